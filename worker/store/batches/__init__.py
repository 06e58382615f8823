"""Write one batch: prepare, load under the writer lock, decide, apply. Begin with `writer.py`."""
