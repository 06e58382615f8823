"""Rejected documents: edit, redact, replay, discard, one or many. The command line and the console use it.

Begin with `editing.py`.
"""
