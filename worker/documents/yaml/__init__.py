"""A YAML parser with limits. It turns libyaml's events into nodes that know their line and column. No I/O.

Begin with `builder.py`.
"""
