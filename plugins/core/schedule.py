"""A schedule: an immutable, unitless multiplier of a base value over time, and the ways to combine schedules.

Time inside a schedule is an integer number of ticks. `resolve` chooses the tick so that every duration in the schedule
is a whole number of them, which makes time exact and its arithmetic that of Python's integers.

The gate rule, obeyed by every shape: intervals are half open, [begin, end), counted from 0; a boundary that falls
between two updates takes effect at the first update at or after it; a shape has its end value exactly at its end and
keeps it from there on.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any, ClassVar

from .durations import Clock, Duration, DurationLike, as_duration
from .values import Value

Curve = Callable[[int], float]
Ticks = Callable[[DurationLike], int]


@dataclass(frozen=True, repr=False)
class Schedule(Value, ABC, family=True):
    """A multiplier eta(t) of a base value; 1.0 means the base value itself.

    A shape of your own is a frozen dataclass that derives from this class and writes its formula in `curve`. Fields
    annotated `float` or `DurationLike` are checked when it is made.
    """

    _example: ClassVar[str] = "StepDecay(0.1, every=epochs(5))"
    _stepwise: ClassVar[bool] = False  # the value changes at the schedule's own durations only

    @abstractmethod
    def curve(self, ticks: Ticks) -> Curve:
        """eta as a function of t, an integer number of ticks from 0; `ticks` turns a duration into them."""

    @property
    def stepwise(self) -> bool:
        """Whether the value is constant between the schedule's own durations, as that of a StepDecay is."""
        return self._stepwise and all(part.stepwise for part in self._parts() if isinstance(part, Schedule))

    def preview(self, epochs: int, updates_per_epoch: int | None = None) -> list[float]:
        """eta at the first update of each of `epochs` epochs.

        Raises ValueError for a schedule in updates without `updates_per_epoch`, and for a value too large for a float.
        """
        curve, scale = resolve(self, Clock(updates_per_epoch, epochs))
        return [finite(curve, epoch * (updates_per_epoch or 1) * scale) for epoch in range(epochs)]

    def durations(self) -> Iterator[Duration]:
        """Every duration that is written in this schedule."""
        for part in self._parts():
            if isinstance(part, Duration):
                yield part
            else:
                yield from part.durations()

    def _parts(self) -> Iterator[Duration | Schedule]:
        pending: list[Any] = [getattr(self, f.name) for f in fields(self)]
        while pending:
            part = pending.pop(0)
            if isinstance(part, tuple):
                pending = [*part, *pending]
            elif isinstance(part, (Duration, Schedule)):
                yield part

    def after(self, begin: DurationLike) -> After:
        """Hold this schedule's starting value until `begin`, and start its own clock there."""
        return After(self, begin)

    def until(self, end: DurationLike) -> Until:
        """Stop this schedule's clock at `end`: the value that it has there is kept."""
        return Until(self, end)

    def at_least(self, bound: float) -> AtLeast:
        """max(eta, bound); `bound` is a multiplier of the base value."""
        return AtLeast(self, bound)

    def at_most(self, bound: float) -> AtMost:
        """min(eta, bound); `bound` is a multiplier of the base value."""
        return AtMost(self, bound)

    def __mul__(self, other: Schedule | float) -> Product:
        return Product(self, _as_schedule(other))

    def __rmul__(self, other: float) -> Product:
        return Product(_as_schedule(other), self)


@dataclass(frozen=True, repr=False)
class Constant(Schedule):
    """The same multiplier for ever.

    eta(t) = value

    value: multiplier, at least 0.

    >>> Constant() * Constant(0.5)
    Constant() * Constant(value=0.5)
    """

    value: float = 1.0
    _stepwise: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require(self.value >= 0, "value", "a multiplier of at least 0")

    def curve(self, ticks: Ticks) -> Curve:
        value = self.value
        return lambda t: value


@dataclass(frozen=True, repr=False)
class After(Schedule):
    """`schedule.after(begin)`: eta(t) = schedule(0) for t < begin, schedule(t - begin) from there on."""

    schedule: Schedule
    begin: DurationLike
    _stepwise: ClassVar[bool] = True

    def curve(self, ticks: Ticks) -> Curve:
        inner, begin = self.schedule.curve(ticks), ticks(self.begin)
        return lambda t: inner(t - begin if t > begin else 0)

    def __repr__(self) -> str:
        return f"{_operand(self.schedule)}.after({self.begin!r})"


@dataclass(frozen=True, repr=False)
class Until(Schedule):
    """`schedule.until(end)`: eta(t) = schedule(min(t, end))."""

    schedule: Schedule
    end: DurationLike
    _stepwise: ClassVar[bool] = True

    def curve(self, ticks: Ticks) -> Curve:
        inner, end = self.schedule.curve(ticks), ticks(self.end)
        return lambda t: inner(t if t < end else end)

    def __repr__(self) -> str:
        return f"{_operand(self.schedule)}.until({self.end!r})"


@dataclass(frozen=True, repr=False)
class _Bounded(Schedule):
    schedule: Schedule
    bound: float
    _stepwise: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require(self.bound >= 0, "bound", "a multiplier of at least 0")


@dataclass(frozen=True, repr=False)
class AtLeast(_Bounded):
    """`schedule.at_least(bound)`: eta(t) = max(schedule(t), bound)."""

    def curve(self, ticks: Ticks) -> Curve:
        inner, bound = self.schedule.curve(ticks), self.bound
        return lambda t: max(inner(t), bound)

    def __repr__(self) -> str:
        return f"{_operand(self.schedule)}.at_least({self.bound!r})"


@dataclass(frozen=True, repr=False)
class AtMost(_Bounded):
    """`schedule.at_most(bound)`: eta(t) = min(schedule(t), bound)."""

    def curve(self, ticks: Ticks) -> Curve:
        inner, bound = self.schedule.curve(ticks), self.bound
        return lambda t: min(inner(t), bound)

    def __repr__(self) -> str:
        return f"{_operand(self.schedule)}.at_most({self.bound!r})"


@dataclass(frozen=True, repr=False)
class Product(Schedule):
    """`left * right`, where either may be a number: eta(t) = left(t) * right(t)."""

    left: Schedule
    right: Schedule
    _stepwise: ClassVar[bool] = True

    def curve(self, ticks: Ticks) -> Curve:
        left, right = self.left.curve(ticks), self.right.curve(ticks)
        return lambda t: left(t) * right(t)

    def __repr__(self) -> str:
        # a * (b * c) keeps its brackets: as a tree, and in the last bit, it is not (a * b) * c.
        return f"{self.left!r} * {_operand(self.right)}"


@dataclass(frozen=True, repr=False)
class Sequence(Schedule):
    """What `sequence` makes: the last schedule whose time has come, each with its own clock from there."""

    first: Schedule
    rest: tuple[tuple[Duration, Schedule], ...]
    _stepwise: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        rest = []
        for item in self.rest:
            if not (isinstance(item, tuple) and len(item) == 2 and isinstance(item[1], Schedule)):
                raise TypeError(
                    f"sequence: found {item!r}; expected pairs of a duration and a schedule, such as "
                    f"(epochs(5), {Schedule._example})."
                )
            rest.append((as_duration(item[0], "sequence"), item[1]))
        object.__setattr__(self, "rest", tuple(rest))

    def curve(self, ticks: Ticks) -> Curve:
        begins = [0, *(ticks(begin) for begin, _ in self.rest)]
        if any(late <= early for early, late in pairwise(begins)):
            times = ", ".join(str(begin) for begin, _ in self.rest)
            raise ValueError(
                f"sequence: found the times {times}; expected each to lie after the one before it and after the start."
            )
        curves = [part.curve(ticks) for part in (self.first, *(part for _, part in self.rest))]

        def eta(t: int) -> float:
            index = bisect_right(begins, t) - 1
            return curves[index](t - begins[index])

        return eta

    def __repr__(self) -> str:
        return f"sequence({', '.join(map(repr, (self.first, *self.rest)))})"


def sequence(first: Schedule, *rest: tuple[DurationLike, Schedule]) -> Sequence:
    """`first`, and from each given time on the schedule that is given with it, with its own clock from there.

    rest: pairs (time since the sequence's start, schedule), in increasing time.
    Raises TypeError for what is not such a pair; ValueError, when resolved, for times that do not increase.

    >>> sequence(Constant(0.1), (epochs(5), Constant()))
    sequence(Constant(value=0.1), (epochs(5), Constant()))
    """
    return Sequence(first, rest)  # type: ignore[arg-type]  # text durations become Durations in __post_init__


def resolve(schedule: Schedule, clock: Clock) -> tuple[Curve, int]:
    """`schedule` as a function of an integer number of ticks, and the number of ticks in a unit of `clock`."""
    exact = {duration: clock.exact(duration) for duration in schedule.durations()}
    scale = math.lcm(*(time.denominator for time in exact.values()))

    def ticks(duration: DurationLike) -> int:
        return int(exact[as_duration(duration, "ticks")] * scale)

    return schedule.curve(ticks), scale


def finite(curve: Curve, time: int) -> float:
    """`curve` at a time in ticks; raises ValueError for a value that is too large for a float."""
    try:
        value = curve(time)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        raise ValueError("the value is too large for a float; bound it with .at_most(...) or .until(...).")
    return value


def _as_schedule(factor: Schedule | float) -> Schedule:
    return factor if isinstance(factor, Schedule) else Constant(factor)


def _operand(schedule: Schedule) -> str:
    return f"({schedule!r})" if isinstance(schedule, Product) else repr(schedule)
