"""Edit, redact, replay and discard dead letters, one or many. The command line and the console use this package.

Start with `editing.py`.
"""
