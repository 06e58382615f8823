"""What workers write to Redis about themselves: minute counters, heartbeats, outcome feed, change feed, backpressure.

Begin with `minute_counters.py`. `worker.monitoring` reads it.
"""
