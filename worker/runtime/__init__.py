"""The worker as a Celery application. All of Celery is here.

Begin with `app.py` and `tasks.py`; then `dispatch/`, `broker/`, `supervision/`, `embedded/`.
"""
