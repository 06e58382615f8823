"""The lease queue on a Redis Stream, its Lua scripts, and the connection to Redis.

Begin with `lease_queue.py`. This package imports neither the store nor Celery.
"""
