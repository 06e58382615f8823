"""The relational store: tables, migrations, and one transaction a batch.

Begin with `tables.py`, then `apply/batch.py`. Imports no package of the queue's clients and nothing of Celery.
"""
