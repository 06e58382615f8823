"""Finds similar articles and groups them into stories: the index, the scores, and the process that links.

Begin with `linker.py`; `index.py`, `texts` and `story_assignment.py` do no I/O.
"""
