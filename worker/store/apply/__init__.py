"""One batch written in one transaction, and the rows that follow from it.

Begin with `batch.py`.
"""
