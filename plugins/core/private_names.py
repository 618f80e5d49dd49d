"""Which private or undocumented names of a framework a room relies on, and whether they are still there."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from importlib import import_module
from typing import Any, NamedTuple


class PrivateName(NamedTuple):
    """A name that its framework promises nothing about.

    Attributes:
        owner: Where it is: the dotted path of a module, or of a class in one.
        name: An attribute of it, or one that the class sets on its instances.
        seen: The package and version that it was seen in.
        why: What it is for.
    """

    owner: str
    name: str
    seen: str
    why: str

    def is_there(self) -> bool:
        """Whether the installed framework has it."""
        try:
            owner = _resolved(self.owner)
        except (AttributeError, ImportError):
            return False
        return hasattr(owner, self.name) or (isinstance(owner, type) and _is_set(owner, self.name))


def missing(names: Iterable[PrivateName]) -> list[str]:
    """Those that the installed framework does not have, a sentence each."""
    return [
        f"found no {each.owner}.{each.name}, which was there in {each.seen}; it is needed for this: {each.why}"
        for each in names
        if not each.is_there()
    ]


def _resolved(path: str) -> Any:
    """The module or class of a dotted path."""
    parts = path.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: Any = import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            found = getattr(found, part)
        return found
    raise ModuleNotFoundError(f"found no module {parts[0]!r}.", name=parts[0])


def _is_set(kind: type, name: str) -> bool:
    """Whether a class, or one that it derives from, gives its instances an attribute."""
    annotated = any(name in vars(each).get("__annotations__", {}) for each in kind.__mro__)
    return annotated or any(
        f"self.{name} =" in source or f"self.{name}:" in source for source in map(_source, kind.__mro__)
    )


def _source(kind: type) -> str:
    try:
        return inspect.getsource(kind)
    except (OSError, TypeError):  # of what is built in, or was made by a function, there is none
        return ""
