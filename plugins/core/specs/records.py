"""Finds the records of the kinds of optimizers: one module per kind in each package that has them."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from pkgutil import iter_modules
from typing import Protocol, TypeVar

from ..arguments.given import is_model
from .spec import Spec


class Record(Protocol):
    """What a package knows about one kind."""

    @property
    def kind(self) -> type[Spec]:
        """The class of its specs."""


R = TypeVar("R", bound=Record)
T = TypeVar("T")


def records(package: str, path: Iterable[str], kind: type[R]) -> dict[type[Spec], R]:
    """The records of a package by the class of their specs: the `RECORD` of each module that has one.

    Args:
        package: The package's name.
        path: The package's `__path__`.
        kind: The class of its records.
    """
    modules = (import_module(f"{package}.{module.name}") for module in iter_modules(path))
    found = (getattr(module, "RECORD", None) for module in modules)
    return {record.kind: record for record in found if isinstance(record, kind)}


def record_of(known: dict[type[Spec], T], spec: object, who: str) -> T:
    """The record of a spec's kind.

    Raises:
        TypeError: It is not a spec, or the package does not know its kind.
    """
    record = known.get(type(spec))  # type: ignore[arg-type]  # anything else has no record
    if record is None:
        if is_model(spec):
            raise TypeError(
                f"{who}: found the model {type(spec).__name__}; expected a spec first: write {who}(spec, model)."
            )
        raise TypeError(f"{who}: {Spec._mistaken(spec)}")
    return record
