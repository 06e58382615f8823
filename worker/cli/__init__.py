"""The commands, one module each. They print what the packages above return.

Begin with `main.py`.
"""
