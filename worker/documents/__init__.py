"""Bytes of a document to a validated article or to its problems. No I/O.

Begin with `validation.py`. Imports `schemas`, `worker.settings`, `worker.telemetry`.
"""
