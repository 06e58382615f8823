"""Logs, redaction of secrets, throttled warnings, the list of metrics, failpoints for tests.

Begin with `logs.py`. Imports only `worker.settings` and `schemas`.
"""
