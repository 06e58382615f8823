"""Read-only queries: explain, search, articles, stories, similar articles.

Start with `explanation.py`.
"""
