"""Parse and validate a document: from its bytes to an article and its problems. No I/O.

Begin with `validation.py`. This package may import `schemas`, `worker.settings` and `worker.telemetry`.
"""
