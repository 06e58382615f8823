"""The lease queue on a Redis Stream, its Lua functions, and the connection to Redis.

Begin with `lease_queue.py`. Imports nothing of the store and nothing of Celery.
"""
