"""The servers behind the worker: what Redis and the database report, what is required of them, room on the disk."""
