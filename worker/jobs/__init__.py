"""Background and bulk jobs: retention, reprocessing, re-enrichment, repair of a lane.

Start with `retention.py`.
"""
