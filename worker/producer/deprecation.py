"""Old parameter names of the client, accepted with a warning for one release."""

import functools
import warnings
from collections.abc import Callable
from typing import ParamSpec, TypeVar

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


def renamed_parameters(**renamed: str) -> Callable[[Callable[_Parameters, _Result]], Callable[_Parameters, _Result]]:
    """Decorate a function to accept old keyword names: `old="new"` passes `old` as `new` with a DeprecationWarning."""

    def decorate(function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
        @functools.wraps(function)
        def call(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
            for old, new in renamed.items():
                if old in kwargs:
                    warnings.warn(f"{old}= is now {new}=", DeprecationWarning, stacklevel=2)
                    kwargs.setdefault(new, kwargs.pop(old))
            return function(*args, **kwargs)

        return call

    return decorate
