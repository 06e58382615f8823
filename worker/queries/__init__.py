"""Questions about what is stored: explain, search, articles, stories, similar articles.

Begin with `explanation.py`. Reads only.
"""
