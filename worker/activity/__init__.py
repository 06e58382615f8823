"""What workers record of themselves in Redis: counters by minute, heartbeats, the outcome feed, the change feed, back-pressure.

Begin with `minute_counters.py`. `worker.monitoring` reads it.
"""
