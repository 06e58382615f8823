"""Celery's Redis transport and consumer, hardened against bad messages and lost connections."""
