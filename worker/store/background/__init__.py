"""Work that a batch leaves in the store, and its steps. Begin reading in `steps.py`; it uses neither Redis nor Celery."""
