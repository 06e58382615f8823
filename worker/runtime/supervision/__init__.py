"""Heartbeats, watchdog, circuit breaker, admission control and restarts of a worker.

Begin with `supervision_loop.py`.
"""
