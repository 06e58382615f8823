"""The commands, one module each. Thin: they print what the packages above return.

Begin with `main.py`.
"""
