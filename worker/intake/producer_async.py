"""The old address of `worker.producer.async_client`: its names still work here and warn, for one release."""

import warnings

from worker.producer import async_client


def __getattr__(name: str) -> object:
    if name.startswith("__") or not hasattr(async_client, name):
        raise AttributeError(name)
    warnings.warn("worker.intake.producer_async is now worker.producer.async_client", DeprecationWarning, stacklevel=2)
    return getattr(async_client, name)
