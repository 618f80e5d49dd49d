"""A schedule: an immutable, unitless multiplier of a base value over time, and the ways to combine schedules.

The gate rule, obeyed by every shape: intervals are half open, [begin, end), counted from 0. A boundary between two
updates takes effect at the first update at or after it. A shape reaches its end value exactly at its end and keeps it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from typing import Any, ClassVar, NoReturn

from ..arguments.check import checks_arguments
from .clock import Clock
from .durations import Duration, DurationLike
from .extended import Extended
from .growing_cycles import growing_cycles
from .serializable import Value
from .ticks import Curve, Ticks, finite, limit

_Written = tuple["Schedule | str", ...]


@dataclass(frozen=True, repr=False)
class Schedule(Value, ABC, family=True):
    """A multiplier eta(t) of a base value; 1.0 means the base value itself.

    To write a shape of your own, derive a frozen dataclass from this class and implement `curve`. Fields annotated
    `float` or `DurationLike` are checked when it is made.
    """

    _example: ClassVar[str] = "StepDecay(0.1, every=epochs(5))"
    _stepwise: ClassVar[bool] = False  # the value changes at the schedule's own durations only

    @abstractmethod
    def curve(self, ticks: Ticks) -> Curve:
        """eta as a function of t, an integer number of ticks from 0.

        Args:
            ticks: Turns a duration of this schedule into ticks.
        """

    def __repr__(self) -> str:
        """The expression that makes this schedule, which may be nested as deep as one that can be evaluated."""
        found, left = list[str](), list[Schedule | str](self._written())
        while left:
            each = left.pop()
            if isinstance(each, Schedule) and type(each).__repr__ is Schedule.__repr__:
                left += each._written()
            else:
                found.append(str(each))
        return "".join(reversed(found))

    def _written(self) -> _Written:
        """The source of this schedule, in which other schedules stand for theirs."""
        return (super().__repr__(),)

    @property
    def stepwise(self) -> bool:
        """Whether the value is constant between the schedule's own durations, like that of a `StepDecay`."""
        return self._stepwise and all(part.stepwise for part in self.parts() if isinstance(part, Schedule))

    @checks_arguments
    def preview(self, epochs: int, updates_per_epoch: int | None = None) -> list[float]:
        """eta at the first update of each epoch.

        Args:
            epochs: The number of epochs.
            updates_per_epoch: The number of updates in each.

        Raises:
            ValueError: The schedule is in updates and `updates_per_epoch` is missing, or a value is too large for a
                float.
        """
        curve, scale = resolve(self, Clock(updates_per_epoch, epochs))
        return [finite(curve, epoch * (updates_per_epoch or 1) * scale) for epoch in range(epochs)]

    def durations(self) -> Iterator[Duration]:
        """Every duration written in this schedule."""
        for part in self.parts():
            if isinstance(part, Duration):
                yield part
            else:
                yield from part.durations()

    def _require_length(self, name: str) -> None:
        self._require(getattr(self, name) != Duration(), name, "a duration longer than zero")

    def parts(self) -> Iterator[Duration | Schedule]:
        """The durations and schedules that this one is written with."""

        def inside(value: Any) -> Iterator[Duration | Schedule]:
            if isinstance(value, (Duration, Schedule)):
                yield value
            elif isinstance(value, tuple):
                for item in value:
                    yield from inside(item)

        for field in fields(self):
            yield from inside(getattr(self, field.name))

    @checks_arguments
    def after(self, begin: DurationLike) -> After:
        """Hold this schedule's starting value until `begin`, and start its own clock there.

        Raises:
            TypeError: `begin` is a bare number.
            ValueError: `begin` is a text that is not a duration.

        >>> StepDecay(0.5, every=epochs(1)).after(epochs(2)).preview(epochs=5)
        [1.0, 1.0, 1.0, 0.5, 0.25]
        """
        return After(self, begin)

    @checks_arguments
    def until(self, end: DurationLike) -> Until:
        """Stop this schedule's clock at `end`: it keeps the value that it has there.

        Raises:
            TypeError: `end` is a bare number.
            ValueError: `end` is a text that is not a duration.

        >>> StepDecay(0.5, every=epochs(1)).until(epochs(2)).preview(epochs=5)
        [1.0, 0.5, 0.25, 0.25, 0.25]
        """
        return Until(self, end)

    @checks_arguments
    def skip(self, time: DurationLike) -> Skip:
        """Start this schedule as if `time` had passed already.

        Raises:
            TypeError: `time` is a bare number.
            ValueError: `time` is a text that is not a duration.

        >>> StepDecay(0.5, every=epochs(2)).skip(epochs(1)).preview(epochs=4)
        [1.0, 0.5, 0.5, 0.25]
        """
        return Skip(self, time)

    @checks_arguments
    def at_least(self, bound: float) -> AtLeast:
        """max(eta, bound), where `bound` is a multiplier of the base value.

        Raises:
            TypeError: `bound` is not a number.
            ValueError: `bound` is negative or not finite.

        >>> StepDecay(0.5, every=epochs(1)).at_least(0.2).preview(epochs=4)
        [1.0, 0.5, 0.25, 0.2]
        """
        return AtLeast(self, bound)

    @checks_arguments
    def at_most(self, bound: float) -> AtMost:
        """min(eta, bound), where `bound` is a multiplier of the base value.

        Raises:
            TypeError: `bound` is not a number.
            ValueError: `bound` is negative or not finite.

        >>> StepDecay(0.5, every=epochs(1)).at_most(0.6).preview(epochs=4)
        [0.6, 0.5, 0.25, 0.125]
        """
        return AtMost(self, bound)

    @checks_arguments
    def repeat(self, every: DurationLike, growth: float = 1.0, decay: float = 1.0) -> Repeat:
        """Start this schedule again in each cycle.

        In cycle n = 0, 1, 2, ... the multiplier is::

            decay ** n * schedule((t - begin) / growth ** n)

        where the cycle is every * growth ** n long and begins at::

            begin = every * (1 + growth + ... + growth ** (n - 1))

        Cycles begin exactly where the decimal that growth was written as says. A growth with decimals costs time, more
        so the closer it is to 1: there are many cycles, and they begin at fractions with n times as many digits.

        Args:
            every: Length of the first cycle.
            growth: How many times as long the next cycle is, and this schedule in it; 1, or at least 1.01.
            decay: How many times as large its values are.

        Raises:
            TypeError: An argument has the wrong type.
            ValueError: An argument is out of range.

        >>> CosineDecay(over=epochs(2)).repeat(epochs(2), growth=2, decay=0.5).preview(epochs=7)
        [1.0, 0.5, 0.5, 0.42677669529663687, 0.25, 0.07322330470336312, 0.25]
        >>> LinearDecay(over=epochs(2)).repeat(epochs(2), decay=0.5).preview(epochs=5)
        [1.0, 0.5, 0.5, 0.25, 0.25]
        """
        return Repeat(self, every, growth, decay)

    def __mul__(self, other: Schedule | float) -> Product:
        return Product(self, _as_schedule(other))

    def __rmul__(self, other: float) -> Product:
        return Product(_as_schedule(other), self)

    def __add__(self, other: object) -> NoReturn:
        raise TypeError(
            f"found {type(self).__name__} and {type(other).__name__} added or subtracted; write first * second to "
            f"multiply schedules, as in Warmup('1 epoch') * CosineDecay('9 epochs').after('1 epoch'), or "
            f"sequence(first, (time, second)) for one after the other."
        )

    __radd__: ClassVar[Callable[[Schedule, object], NoReturn]] = __add__
    __sub__: ClassVar[Callable[[Schedule, object], NoReturn]] = __add__
    __rsub__: ClassVar[Callable[[Schedule, object], NoReturn]] = __add__

    def __truediv__(self, other: object) -> NoReturn:
        raise TypeError(f"found {type(self).__name__} and {other!r} divided; write schedule * 0.5 to halve it.")

    __rtruediv__: ClassVar[Callable[[Schedule, object], NoReturn]] = __truediv__
    __pow__: ClassVar[Callable[[Schedule, object], NoReturn]] = __truediv__

    def __call__(self, *args: object, **kwargs: object) -> NoReturn:
        raise TypeError(
            f"found {type(self).__name__} called as a function; write schedule.preview(epochs=10) for its "
            f"multipliers, or recipe.plan(...).value('learning_rate', epoch, update) for a value."
        )


def ticks(schedule: Schedule, clock: Clock) -> Ticks:
    """The ticks of a schedule under a clock; raises ValueError if the clock knows too little."""
    exact = {duration: clock.exact(duration) for duration in schedule.durations()}
    return Ticks(exact, math.lcm(*(time.denominator for time in exact.values())))


def resolve(schedule: Schedule, clock: Clock) -> tuple[Curve, int]:
    """A schedule as a function of an integer number of ticks, and the number of ticks in a unit of the clock."""
    found = ticks(schedule, clock)
    return schedule.curve(found), found.scale


@dataclass(frozen=True, repr=False)
class Constant(Schedule):
    """The same multiplier at all times.

    The multiplier is::

        eta(t) = value

    Args:
        value: Multiplier, at least 0.

    Raises:
        TypeError: `value` is not a number.
        ValueError: `value` is negative or not finite.

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

    def _written(self) -> _Written:
        return (*_operand(self.schedule), f".after({self.begin!r})")


@dataclass(frozen=True, repr=False)
class Until(Schedule):
    """`schedule.until(end)`: eta(t) = schedule(min(t, end))."""

    schedule: Schedule
    end: DurationLike
    _stepwise: ClassVar[bool] = True

    def curve(self, ticks: Ticks) -> Curve:
        inner, end = self.schedule.curve(ticks), ticks(self.end)
        return lambda t: inner(t if t < end else end)

    def _written(self) -> _Written:
        return (*_operand(self.schedule), f".until({self.end!r})")


@dataclass(frozen=True, repr=False)
class Skip(Schedule):
    """`schedule.skip(time)`: eta(t) = schedule(t + time)."""

    schedule: Schedule
    time: DurationLike
    _stepwise: ClassVar[bool] = True

    def curve(self, ticks: Ticks) -> Curve:
        inner, time = self.schedule.curve(ticks), ticks(self.time)
        return lambda t: inner(t + time)

    def _written(self) -> _Written:
        return (*_operand(self.schedule), f".skip({self.time!r})")


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

    def _written(self) -> _Written:
        return (*_operand(self.schedule), f".at_least({self.bound!r})")


@dataclass(frozen=True, repr=False)
class AtMost(_Bounded):
    """`schedule.at_most(bound)`: eta(t) = min(schedule(t), bound)."""

    def curve(self, ticks: Ticks) -> Curve:
        inner, bound = self.schedule.curve(ticks), self.bound

        def eta(t: int) -> float:
            try:
                return min(inner(t), bound)
            except OverflowError:  # too large for a float, so certainly above the bound
                return bound

        return eta

    def _written(self) -> _Written:
        return (*_operand(self.schedule), f".at_most({self.bound!r})")


@dataclass(frozen=True, repr=False)
class Product(Schedule):
    """`left * right`, where either may be a number: eta(t) = left(t) * right(t)."""

    left: Schedule
    right: Schedule
    _stepwise: ClassVar[bool] = True

    def curve(self, ticks: Ticks) -> Curve:
        left, right = self.left.curve(ticks), self.right.curve(ticks)
        if ticks.extended:
            return lambda t: Extended(1.0) * left(t) * right(t)  # type: ignore[return-value]

        def eta(t: int) -> float:
            try:
                if (product := left(t) * right(t)) < math.inf:
                    return product
            except OverflowError:
                pass
            # A factor is too large for a float. The product may not be.
            return float(self.curve(replace(ticks, extended=True))(t))

        return eta

    def _written(self) -> _Written:
        # a * (b * c) keeps its brackets: as a tree, and in the last bit, it is not (a * b) * c.
        return (self.left, " * ", *_operand(self.right))


@dataclass(frozen=True, repr=False)
class Repeat(Schedule):
    """`schedule.repeat(every, growth, decay)`: warm restarts; see `Schedule.repeat`."""

    schedule: Schedule
    every: DurationLike
    growth: float = 1.0
    decay: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_length("every")
        # Between the two, the fractions that say where the cycles begin have too many digits to calculate with.
        self._require(self.growth == 1 or self.growth >= 1.01, "growth", "1, or a factor of at least 1.01")
        self._require(self.decay >= 0, "decay", "a multiplier of at least 0")

    @property
    def stepwise(self) -> bool:
        return self.schedule.stepwise and self.growth.is_integer()

    def curve(self, ticks: Ticks) -> Curve:
        every, decay = ticks.length(self.every), ticks.base(self.decay)
        if self.growth == 1:
            inner = self.schedule.curve(ticks)
            if self.decay == 1:
                return lambda t: inner(t % every)

            def eta(t: int) -> float:
                try:
                    amplitude = decay ** (t // every)
                except OverflowError:
                    amplitude = limit(decay)
                return amplitude * inner(t % every)

            return eta
        growth = Fraction(repr(self.growth))  # 1.1 is eleven tenths, as durations read their floats
        return growing_cycles(self.schedule.curve, ticks, every, growth, decay)

    def _written(self) -> _Written:
        options = "".join(f", {name}={value!r}" for name in ("growth", "decay") if (value := getattr(self, name)) != 1)
        return (*_operand(self.schedule), f".repeat({self.every!r}{options})")


def _as_schedule(factor: Schedule | float) -> Schedule:
    return factor if isinstance(factor, Schedule) else Constant(factor)


def _operand(schedule: Schedule) -> _Written:
    """The source of a schedule that something is done to."""
    return ("(", schedule, ")") if isinstance(schedule, Product) else (schedule,)
