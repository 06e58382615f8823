"""The client for crawlers written in Python: submit documents to a lane and read their receipts.

Begin with `client.py`. This package needs neither Celery nor SQL.
"""
