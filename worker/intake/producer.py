"""The old address of `worker.producer.client`: its names still work here and warn, for one release."""

import warnings

from worker.producer import client


def __getattr__(name: str) -> object:
    if name.startswith("__") or not hasattr(client, name):
        raise AttributeError(name)
    warnings.warn("worker.intake.producer is now worker.producer.client", DeprecationWarning, stacklevel=2)
    return getattr(client, name)
