"""The web pages for operators. Thin: they show what the packages above return.

Begin with `app.py`, then `pages/overview.py`.
"""
