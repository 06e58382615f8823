"""Write one batch in one transaction, and update the rows that depend on it.

Start with `batch.py`.
"""
