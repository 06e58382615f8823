"""The bounded YAML parser: libyaml's events to nodes that know their line and column. No I/O.

Begin with `builder.py`.
"""
