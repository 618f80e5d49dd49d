"""Lists private or undocumented names of a framework, and checks that they still exist."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from importlib import import_module
from typing import Any, NamedTuple

from .version_numbers import is_older


class PrivateName(NamedTuple):
    """A name that its framework may change at any time.

    Attributes:
        owner: The dotted path of the module or class that has it.
        name: An attribute of the owner, or one that the class sets on its instances.
        seen: The package and version in which it was seen.
        why: What samestep needs it for.
        since: The first version that has it; "" for all that samestep supports.
        until: The first version for which samestep does without it; "" for none.
    """

    owner: str
    name: str
    seen: str
    why: str
    since: str = ""
    until: str = ""

    def is_needed(self) -> bool:
        """Whether samestep needs it of the version of the framework that is installed."""
        if not self.since and not self.until:
            return True
        installed = str(import_module(self.owner.partition(".")[0]).__version__)
        return not is_older(installed, self.since) and (not self.until or is_older(installed, self.until))

    def is_there(self) -> bool:
        """Whether the installed framework still has it."""
        try:
            owner = _resolved(self.owner)
        except (AttributeError, ImportError):
            return False
        return hasattr(owner, self.name) or (isinstance(owner, type) and _is_set(owner, self.name))


def listed(names: Iterable[PrivateName]) -> tuple[PrivateName, ...]:
    """A table of names, in which "likewise" stands for the reason of the name before."""
    table: list[PrivateName] = []
    for each in names:
        table.append(each._replace(why=table[-1].why) if each.why == "likewise" else each)
    return tuple(table)


def missing(names: Iterable[PrivateName]) -> list[str]:
    """A sentence for each name that samestep needs and that the installed framework does not have."""
    return [
        f"found no {each.owner}.{each.name}, which {each.seen} had; samestep needs it for this: {each.why}"
        for each in names
        if each.is_needed() and not each.is_there()
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
    """Whether a class or one of its bases sets an attribute on its instances."""
    annotated = any(name in vars(each).get("__annotations__", {}) for each in kind.__mro__)
    return annotated or any(
        f"self.{name} =" in source or f"self.{name}:" in source for source in map(_source, kind.__mro__)
    )


def _source(kind: type) -> str:
    try:
        return inspect.getsource(kind)
    except (OSError, TypeError):  # built-in or generated classes have no source
        return ""
