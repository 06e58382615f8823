"""Enrich a validated document: canonical URLs, provider, topics, language, images, heat. No I/O.

Begin with `enricher.py`, then `enriched_document.py`. This package may import `worker.documents` and what that may
import.
"""
