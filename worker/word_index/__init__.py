"""The index of the words of titles and excerpts, for the search. It is filled behind the ingest, never by a batch.

Begin with `filling.py`. It may import the store and `linking/texts/words.py`, which cuts texts of every script.
"""
