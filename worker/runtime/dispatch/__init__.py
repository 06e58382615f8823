"""Groups entries of the lanes into batches and sends them to the process pool.

Begin with `dispatcher.py`.
"""
