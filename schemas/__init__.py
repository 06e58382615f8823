"""The public contract with producers and readers: fields, kinds, problem codes and JSON forms.

Begin with `article.py`, then `codes.py`. Imports nothing from `worker`.
"""
