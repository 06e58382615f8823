"""The worker as a Celery application. No other package depends on Celery.

Begin with `app.py` and `tasks.py`; then `dispatch/`, `broker/`, `supervision/`, `embedded/`.
"""
