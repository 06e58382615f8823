"""Logs, redaction of secrets, throttled warnings, the list of metrics, failpoints for tests.

Begin with `logs.py`. This package imports only `worker.settings` and `schemas`.
"""
