"""Constructors and functions that say what to write instead of a wrong argument."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, wraps
from types import FunctionType
from typing import Any, ParamSpec, Self, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class ChecksArguments:
    """Base of classes whose constructors say what to write instead of a wrong argument."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        if args or kwargs:  # pickle and copy give none
            check(cls.__name__, parameters_of(cls), args, kwargs)
        return super().__new__(cls)


def checks_arguments(function: Callable[P, T]) -> Callable[P, T]:
    """Make a function say what to write instead of a wrong argument; what it does otherwise is not touched."""
    refuse = _refuse

    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except TypeError as error:
            refuse(function, error, args, kwargs)
            raise

    # With the function's own globals, whoever reads its annotations (LightningCLI does) can evaluate them.
    own = FunctionType(call.__code__, function.__globals__, closure=call.__closure__)
    return wraps(function)(own)


def _refuse(function: Any, error: TypeError, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Raise the TypeError of a call whose arguments its function did not take; none if it was raised inside."""
    if error.__traceback__ is None or error.__traceback__.tb_next is not None:
        return
    signature, given = inspect.signature(function), args
    if next(iter(signature.parameters), None) in ("self", "cls"):
        signature, given = _without_first(signature), args[1:]
    check(function.__qualname__, signature, given, kwargs)


def check(who: str, signature: inspect.Signature, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Refuse arguments that a signature does not take.

    Raises:
        TypeError: An argument is unknown, missing, given twice or given by position where only its name will do.
    """
    try:
        signature.bind(*args, **kwargs)
    except TypeError:
        from .mistakes import argument_error  # not needed by whoever writes the right names

        raise argument_error(who, signature, args, kwargs) from None


def _without_first(signature: inspect.Signature) -> inspect.Signature:
    return signature.replace(parameters=[*signature.parameters.values()][1:])


def parameters_of(cls: type) -> inspect.Signature:
    """The parameters of a class's constructor."""
    return _of_constructor(cls.__init__)  # type: ignore[misc]


@lru_cache(maxsize=256)
def _of_constructor(constructor: Any) -> inspect.Signature:
    return _without_first(inspect.signature(constructor))
