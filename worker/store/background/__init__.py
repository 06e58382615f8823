"""Work that a batch leaves in the store, and its steps. Begin reading in `steps.py`; it imports from `store` alone."""
