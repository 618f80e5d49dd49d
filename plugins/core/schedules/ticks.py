"""Time inside a schedule: an integer number of ticks, so short that every duration in the schedule is a whole number.

This makes time exact, with the arithmetic of Python's integers, at a billion updates as at the first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from .durations import Duration, DurationLike, as_duration, updates
from .extended import Extended

Curve = Callable[[int], float]
"""eta as a function of t, a number of ticks from 0."""


@dataclass(frozen=True)
class Ticks:
    """The number of ticks in each duration of a schedule: call it with a duration, or `length` for one above zero.

    Args:
        exact: The schedule's durations in the clock's unit.
        scale: Ticks in that unit.
        stretch: A schedule within `stretched` has durations of stretch / fineness times their length.
        fineness: See `stretch`.
        extended: Whether powers are numbers that no exponent is too large or too small for.
    """

    exact: Mapping[Duration, Fraction]
    scale: int
    stretch: int = 1
    fineness: int = 1
    extended: bool = False

    def __call__(self, duration: DurationLike) -> int:
        exact = self.exact.get(as_duration(duration, "ticks"))
        if exact is None:
            raise ValueError(
                f"found '{duration}', which the schedule's durations() does not yield; yield it there as well."
            )
        return int(exact * self.scale) * self.stretch

    def length(self, duration: DurationLike) -> int:
        """The ticks of a duration that must be longer than zero.

        Raises:
            ValueError: It is zero in this run, as a difference of durations can be.
        """
        found = self(duration)
        if found == 0:
            raise ValueError(f"'{duration}' is zero in this run, where a length is needed; make the run longer.")
        return found

    def update(self) -> int:
        """The ticks of one update, which is never stretched; updates(1) must be among the durations of the schedule."""
        return int(self.exact[updates(1)] * self.scale) * self.fineness

    def stretched(self, stretch: int, fineness: int) -> Ticks:
        """Ticks of 1 / fineness of the length, in which durations are stretch / fineness times as long."""
        return replace(self, stretch=self.stretch * stretch, fineness=self.fineness * fineness)

    def base(self, factor: float) -> float:
        """A factor to raise to a power."""
        return Extended(factor) if self.extended else factor  # type: ignore[return-value]  # multiplies as one


def finite(curve: Curve, time: int) -> float:
    """The value of a curve at a time in ticks.

    Raises:
        ValueError: It is too large for a float.
    """
    try:
        value = curve(time)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        raise ValueError("the value is too large for a float; bound it with .at_most(...) or .until(...).")
    return value


def limit(factor: float) -> float:
    """A power of a factor whose exponent is too large for a float; raises OverflowError if the power is too."""
    if factor > 1:
        raise OverflowError
    return 0.0 if factor < 1 else 1.0


def root(p: int, q: int) -> float:
    """sqrt(p / q), whatever the size of the two and of their ratio."""
    half = (p.bit_length() - q.bit_length()) // 2
    return math.ldexp(math.sqrt((p << max(-2 * half, 0)) / (q << max(2 * half, 0))), half)
