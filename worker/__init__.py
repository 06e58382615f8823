"""Copydesk: ingest news documents from a Redis Stream, then validate, enrich, link and store them. `README.md` is the map."""
