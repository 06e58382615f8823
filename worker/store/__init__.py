"""The relational store: tables, migrations, and one transaction a batch.

Start with `tables.py`, then `batches/writer.py`. This package imports neither Redis clients nor Celery.
"""
