"""Background and bulk work on what is stored: retention, reprocessing, re-enrichment, repair of a lane.

Begin with `retention.py`.
"""
