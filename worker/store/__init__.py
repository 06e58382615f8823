"""The relational store: tables, migrations, and one transaction a batch.

Start with `tables.py`, then `apply/batch.py`. This package imports neither Redis clients nor Celery.
"""
