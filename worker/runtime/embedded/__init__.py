"""The servers of the default mode, started and stopped by one owner.

Begin with `local_stack.py`.
"""
