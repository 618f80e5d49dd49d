"""The shapes that jump at given times and stay in between.

Symbols as in `shapes`: eta the multiplier, t the elapsed time.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import ClassVar

from .durations import DurationLike
from .schedule import Schedule
from .ticks import Curve, Ticks, limit


@dataclass(frozen=True, repr=False)
class StepDecay(Schedule):
    """Multiply by `factor` every period: the staircase.

    The multiplier is::

        eta(t) = 1                                              for t < first
        eta(t) = factor ** (1 + floor((t - first) / every))     from there on

    Args:
        factor: Multiplier of each drop, at least 0.
        every: Duration between drops, longer than zero.
        first: Duration until the first drop; `every` by default. Zero starts the run with the first drop already made.

    Raises:
        TypeError: `factor` is not a number, or a duration is a bare number.
        ValueError: An argument is out of range.

    Source: torch.optim.lr_scheduler.StepLR, whose `step_size` is `every`.

    >>> StepDecay(0.5, every=epochs(2)).preview(epochs=6)
    [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
    """

    factor: float
    every: DurationLike
    first: DurationLike | None = None
    _stepwise: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require(self.factor >= 0, "factor", "a multiplier of at least 0")
        self._require_length("every")

    def curve(self, ticks: Ticks) -> Curve:
        factor, every = ticks.base(self.factor), ticks.length(self.every)
        first = every if self.first is None else ticks(self.first)

        def eta(t: int) -> float:
            try:
                return factor ** ((t - first) // every + 1) if t >= first else 1.0
            except OverflowError:
                return limit(factor)

        return eta


@dataclass(frozen=True, repr=False)
class MultiStepDecay(Schedule):
    """Multiply by `factor` at each of the given times.

    The multiplier is::

        eta(t) = factor ** n        where n counts the times at or before t

    Args:
        factor: Multiplier of each drop, at least 0.
        at: Durations from the start, in any order and any mixture of units. A time given twice drops twice.

    Raises:
        TypeError: `factor` is not a number, or a duration is a bare number.
        ValueError: `factor` is out of range, or there are no durations.

    Source: torch.optim.lr_scheduler.MultiStepLR, whose milestones are `at`.

    >>> MultiStepDecay(0.5, at=[epochs(1), epochs(3)]).preview(epochs=5)
    [1.0, 0.5, 0.5, 0.25, 0.25]
    """

    factor: float
    at: tuple[DurationLike, ...]
    _stepwise: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require(self.factor >= 0, "factor", "a multiplier of at least 0")
        self._require(len(self.at) > 0, "at", "the times of the drops, such as [epochs(30), epochs(60)]")

    def curve(self, ticks: Ticks) -> Curve:
        factor, times = ticks.base(self.factor), sorted(map(ticks, self.at))
        return lambda t: factor ** bisect_right(times, t)


@dataclass(frozen=True, repr=False)
class Table(Schedule):
    """Values written down, one for each period.

    The multiplier is::

        eta(t) = values[floor(t / every)]       and the last value after the last period

    Args:
        values: Multipliers, at least 0; at least one of them.
        every: Duration of a period, longer than zero: epochs(1) for a value per epoch, updates(1) for one per update.

    Raises:
        TypeError: A value is not a number, or `every` is a bare number.
        ValueError: An argument is out of range, or there are no values.

    >>> Table([0.1, 1.0, 0.5], every=epochs(1)).preview(epochs=5)
    [0.1, 1.0, 0.5, 0.5, 0.5]
    """

    values: tuple[float, ...]
    every: DurationLike
    _stepwise: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require(len(self.values) > 0, "values", "at least one multiplier")
        self._require(min(self.values) >= 0, "values", "multipliers of at least 0")
        self._require_length("every")

    def curve(self, ticks: Ticks) -> Curve:
        values, every = self.values, ticks.length(self.every)
        last, final = len(values) - 1, values[-1]
        return lambda t: values[n] if (n := t // every) < last else final
