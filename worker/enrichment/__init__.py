"""A validated document to an enriched one: URLs, providers, topics, language, images, heat. No I/O.

Begin with `enricher.py`, then `enriched_document.py`. Imports `worker.documents` and the packages it may import.
"""
