"""A trace: the values that an optimizer really used, update by update, and the comparison of two traces."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

from ..recipes.float32 import float32
from ..schedules.clock import Position

_SHOWN = 3  # names in a repr


class Values(Mapping[str, float]):
    """The values of an update by hyperparameter, which takes eight bytes for each.

    Args:
        index: Where the value of each hyperparameter is; all updates with the same ones share it.
        numbers: The values.
    """

    __slots__ = ("_index", "_numbers")

    def __init__(self, index: Mapping[str, int], numbers: Iterable[float]) -> None:
        self._index, self._numbers = index, array("d", numbers)

    def __getitem__(self, hyperparameter: str) -> float:
        return self._numbers[self._index[hyperparameter]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._index)

    def __len__(self) -> int:
        return len(self._index)

    def __repr__(self) -> str:
        return repr(dict(self))


class Entry(NamedTuple):
    """One update: where it was made, and the values that it used, by hyperparameter."""

    position: Position
    values: Mapping[str, float]


class Difference(NamedTuple):
    """The first update at which two traces part. `ours` or `theirs` is None if that trace has no such update."""

    number: int
    position: Position
    hyperparameter: str
    ours: float | Position | None
    theirs: float | Position | None

    def describe(self, ours: str, theirs: str) -> str:
        """The difference in one sentence; `ours` and `theirs` name the two traces."""
        where = f"update {self.number} ({self.position})"
        if self.ours is None or self.theirs is None:
            longer, shorter = (theirs, ours) if self.ours is None else (ours, theirs)
            return f"{longer} made {where} and {shorter} did not"
        return f"{self.hyperparameter} first differs at {where}: {ours} used {self.ours}, {theirs} used {self.theirs}"


@dataclass(repr=False)
class Trace:
    """The recorded updates of a run in order."""

    entries: list[Entry] = field(default_factory=list)
    _index: dict[str, int] = field(default_factory=dict, init=False, compare=False)  # of the latest update

    def __repr__(self) -> str:
        if not self.entries:
            return "<Trace of no update>"
        first, last = self.entries[0], self.entries[-1]
        some = ", ".join(islice(last.values, _SHOWN)) + ", ..." * (len(last.values) > _SHOWN)
        return f"<Trace of {len(self)} updates, from {first.position} to {last.position}: {some}>"

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> Entry:
        return self.entries[index]

    def record(self, position: Position, values: Mapping[str, float]) -> None:
        """Append one update."""
        if values.keys() != self._index.keys():
            self._index = {name: number for number, name in enumerate(values)}
        self.entries.append(Entry(position, Values(self._index, (values[name] for name in self._index))))

    def column(self, hyperparameter: str) -> list[float]:
        """The value of one hyperparameter at every update.

        Raises:
            KeyError: An update did not record it.
        """
        return [entry.values[hyperparameter] for entry in self.entries]

    def first_difference(self, other: Trace) -> Difference | None:
        """Where `other` first used another value, after rounding both to float32, or None if it never did.

        Positions are compared, and the hyperparameters that both traces recorded. NaN equals NaN.
        """
        for index in range(max(len(self), len(other))):
            if index >= len(self) or index >= len(other):
                longer = self if index < len(self) else other
                ours = longer[index].position if longer is self else None
                theirs = longer[index].position if longer is other else None
                return Difference(index, longer[index].position, "position", ours, theirs)
            a, b = self[index], other[index]
            if a.position != b.position:
                return Difference(index, a.position, "position", a.position, b.position)
            for name in a.values:
                if name in b.values and _apart(a.values[name], b.values[name]):
                    return Difference(index, a.position, name, a.values[name], b.values[name])
        return None

    def largest_difference(self, other: Trace, hyperparameter: str) -> float:
        """The largest absolute difference of one hyperparameter at any update, both rounded to float32.

        It is NaN if one trace has a NaN where the other has a number.

        Raises:
            ValueError: The traces are not equally long.
        """
        if len(self) != len(other):
            raise ValueError(f"found traces of {len(self)} and {len(other)} updates; expected equally many.")
        pairs = zip(self.column(hyperparameter), other.column(hyperparameter), strict=True)
        apart = [_apart(a, b) for a, b in pairs]
        return math.nan if any(map(math.isnan, apart)) else max(apart, default=0.0)

    def to_dict(self) -> dict[str, Any]:
        """This trace as JSON-ready data, by column."""
        names = sorted({name for entry in self.entries for name in entry.values})
        return {
            "epoch": [entry.position.epoch for entry in self.entries],
            "update": [entry.position.update for entry in self.entries],
            "values": {name: [entry.values.get(name) for entry in self.entries] for name in names},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Trace:
        """The trace that `to_dict` wrote."""
        trace = cls()
        for index, position in enumerate(zip(data["epoch"], data["update"], strict=True)):
            values = {name: column[index] for name, column in data["values"].items()}
            trace.record(Position(*position), {name: v for name, v in values.items() if v is not None})
        return trace


def _apart(a: float, b: float) -> float:
    """The distance of two values as float32: 0 between two NaN, NaN between one and a number."""
    a, b = float32(a), float32(b)
    return 0.0 if a == b or (math.isnan(a) and math.isnan(b)) else abs(a - b)
