"""The public API as text, a line for each name: `python tests/api/public.py` prints it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType

ROOMS = ("samestep", "samestep.torch", "samestep.lightning", "samestep.keras", "samestep.parity")
_PLAIN = (bool, int, float, str, type(None), tuple)


def api() -> list[str]:
    """A line for each public name of every room and for each public member of its classes, sorted."""
    return sorted({line for room in ROOMS for line in _room(import_module(room))})


def _room(room: ModuleType) -> Iterator[str]:
    for name in room.__all__:
        found, full = getattr(room, name), f"{room.__name__}.{name}"
        yield full + _signature(found)
        if isinstance(found, type):
            yield from (f"{full}.{member}" for member in _members(found))


def _members(kind: type) -> Iterator[str]:
    """What samestep's classes add to those of a framework: methods with their signatures, properties, fields.

    The hooks that a framework calls, `on_...`, are the framework's.
    """
    own = [base for base in kind.__mro__ if base.__module__.startswith("samestep")]
    foreign = {name for base in kind.__mro__ if base not in own for name in dir(base)}
    for base in own:
        fields = dict.fromkeys([*vars(base).get("__annotations__", {}), *vars(base)])
        for name in fields:
            if not name.startswith("_") and name not in foreign:
                found = inspect.getattr_static(kind, name, None)
                function = found.__func__ if isinstance(found, classmethod | staticmethod) else found
                if not inspect.isroutine(function):
                    yield name
                elif not name.startswith("on_"):
                    yield name + _signature(function)


def _signature(found: object) -> str:
    """Arguments and defaults; not the types, which a type checker compares."""
    try:
        signature = inspect.signature(found)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return ""
    return str(
        signature.replace(
            parameters=[_plain(each) for each in signature.parameters.values()],
            return_annotation=inspect.Signature.empty,
        )
    )


def _plain(parameter: inspect.Parameter) -> inspect.Parameter:
    parameter = parameter.replace(annotation=inspect.Parameter.empty)
    if parameter.default is inspect.Parameter.empty or isinstance(parameter.default, _PLAIN):
        return parameter
    return parameter.replace(default=...)


if __name__ == "__main__":
    print("\n".join(api()))
