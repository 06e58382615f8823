"""Entries of the lanes become batches for the process pool.

Begin with `dispatcher.py`.
"""
