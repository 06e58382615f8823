"""The client for crawlers written in Python: submit documents to a lane and read what became of them.

Begin with `client.py`. Needs neither Celery nor SQL.
"""
