"""The public contract with producers and readers: fields, kinds, problem codes and JSON forms.

Begin with `article.py`, then `codes.py`. This package imports nothing from `worker`.
"""
