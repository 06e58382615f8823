"""The web pages for operators. They show what the packages above return.

Begin with `app.py`, then `pages/overview.py`.
"""
