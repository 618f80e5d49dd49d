"""The smooth shapes without an end: one small class each, a multiplier eta of the shape's own elapsed time t.

Symbols, here and in `ramps`: eta the multiplier, t the elapsed time, T a shape's length `over`, p its period `every`,
tau = min(t / T, 1) the fraction of the length that has passed. `start` and `end` are multipliers too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar, Literal

from .durations import Duration, DurationLike, updates
from .schedule import Schedule
from .ticks import Curve, Ticks, limit, root


@dataclass(frozen=True, repr=False)
class ExponentialDecay(Schedule):
    """Decay smoothly, by `factor` in each period.

    The multiplier is::

        eta(t) = factor ** (t / every)

    Args:
        factor: Multiplier of each period, greater than 0.
        every: Duration of a period, longer than zero.

    Raises:
        TypeError: `factor` is not a number, or `every` is a bare number.
        ValueError: An argument is out of range.

    Source: torch.optim.lr_scheduler.ExponentialLR with every=epochs(1); keras.optimizers.schedules.ExponentialDecay.

    >>> ExponentialDecay(0.25, every=epochs(2)).preview(epochs=4)
    [1.0, 0.5, 0.25, 0.125]
    """

    factor: float
    every: DurationLike

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require(self.factor > 0, "factor", "a multiplier greater than 0")
        self._require_length("every")

    def curve(self, ticks: Ticks) -> Curve:
        factor, every = ticks.base(self.factor), ticks.length(self.every)

        def eta(t: int) -> float:
            try:
                power: float = factor ** (t / every)
                return power
            except OverflowError:
                return limit(factor)

        return eta


@dataclass(frozen=True, repr=False)
class InverseTimeDecay(Schedule):
    """Decay as one over time. Legacy Keras' `decay=d` is `InverseTimeDecay(d, every=updates(1))`.

    The multiplier is::

        eta(t) = 1 / (1 + rate * t / every)
        eta(t) = 1 / (1 + rate * floor(t / every))      as a staircase

    Args:
        rate: Growth of the denominator in each period, at least 0.
        every: Duration of a period, longer than zero.
        staircase: Hold the value within each period; 1 / (1 + rate * epoch) is every=epochs(1), staircase=True.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of range.

    Source: tf_keras.optimizers.legacy.Adam(decay=); keras.optimizers.schedules.InverseTimeDecay.

    >>> InverseTimeDecay(1.0, every=updates(2)).preview(epochs=4, updates_per_epoch=2)
    [1.0, 0.5, 0.3333333333333333, 0.25]
    """

    rate: float
    every: DurationLike
    staircase: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require(self.rate >= 0, "rate", "a number of at least 0")
        self._require_length("every")

    @property
    def stepwise(self) -> bool:
        return self.staircase

    def curve(self, ticks: Ticks) -> Curve:
        rate, every = self.rate, ticks.length(self.every)
        staircase = self.staircase

        def eta(t: int) -> float:
            try:
                return 1.0 / (1.0 + rate * (t // every if staircase else t / every))
            except OverflowError:
                return float(1 / (1 + Fraction(rate) * (t // every if staircase else Fraction(t, every))))

        return eta


@dataclass(frozen=True, repr=False)
class InverseSqrtDecay(Schedule):
    """Decay as one over the square root of time.

    The multiplier is::

        eta(t) = 1 / sqrt(1 + t / timescale)

    Args:
        timescale: Duration after which eta is 1 / sqrt(2), longer than zero. After a warmup of the same length, eta is
            sqrt(warmup / t) with t counted from the start of the run, as in `noam`.

    Raises:
        TypeError: `timescale` is a bare number.
        ValueError: `timescale` is zero.

    Source: transformers.get_inverse_sqrt_schedule; Zhai et al. 2022 (arXiv 2106.04560), appendix D.

    >>> InverseSqrtDecay(epochs(1)).preview(epochs=4)
    [1.0, 0.7071067811865475, 0.5773502691896258, 0.5]
    """

    timescale: DurationLike

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_length("timescale")

    def curve(self, ticks: Ticks) -> Curve:
        timescale, sqrt = ticks.length(self.timescale), math.sqrt

        def eta(t: int) -> float:
            try:
                return 1.0 / sqrt(1.0 + t / timescale)
            except OverflowError:
                return root(timescale, timescale + t)

        return eta


@dataclass(frozen=True, repr=False)
class Normalized(Schedule):
    """Make a weight decay independent of the length of the run: its base value is then the normalized one.

    The multiplier is constant::

        eta(t) = sqrt(1 / n)        where n is the number of updates in `over`

    Args:
        over: Duration, longer than zero; the whole run by default. In a schedule repeated with growth, each cycle has
            its own n.

    Raises:
        TypeError: `over` is a bare number.
        ValueError: `over` is zero; when resolved, the number of updates in it is unknown.

    Source: Loshchilov and Hutter 2019, appendix B.1, where sqrt(b / (B T)) is sqrt(1 / n).

    >>> Normalized(updates(100)).preview(epochs=2, updates_per_epoch=50)
    [0.1, 0.1]
    """

    over: DurationLike = "100%"
    _stepwise: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_length("over")

    def durations(self) -> Iterator[Duration]:
        yield from super().durations()
        yield updates(1)

    def curve(self, ticks: Ticks) -> Curve:
        eta = root(ticks.update(), ticks.length(self.over))
        return lambda t: eta


@dataclass(frozen=True, repr=False)
class Triangular(Schedule):
    """Up to the base value and down again, over and over: the cyclical learning rate.

    The multiplier is::

        eta(t) = start + (1 - start) * height(t) * x(t)

    where x rises in a straight line from 0 to 1 during `up` and falls back during `down`, and height is::

        1               for "triangular"
        1 / 2 ** n      for "triangular2", in cycle n = 0, 1, ...
        gamma ** u      for "exp_range", after u updates

    Args:
        up: Duration of the rise, longer than zero.
        down: Duration of the fall, longer than zero; `up` by default.
        start: Multiplier of the low points, at least 0.
        mode: "triangular", "triangular2" or "exp_range".
        gamma: Factor per update for "exp_range", in (0, 1].

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of range.

    Source: Smith 2017; torch.optim.lr_scheduler.CyclicLR, whose base_lr is `start` times its max_lr.

    >>> Triangular(up=epochs(2), start=0.5).preview(epochs=6)
    [0.5, 0.75, 1.0, 0.75, 0.5, 0.75]
    """

    up: DurationLike
    down: DurationLike | None = None
    start: float = 0.0
    mode: Literal["triangular", "triangular2", "exp_range"] = "triangular"
    gamma: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_length("up")
        self._require_length("down")
        self._require(self.start >= 0, "start", "a multiplier of at least 0")
        self._require(0 < self.gamma <= 1, "gamma", "a multiplier greater than 0 and at most 1")
        self._require(self.gamma == 1 or self.mode == "exp_range", "gamma", "1 unless mode='exp_range'")

    def durations(self) -> Iterator[Duration]:
        yield from super().durations()
        if self.mode == "exp_range":
            yield updates(1)

    def curve(self, ticks: Ticks) -> Curve:
        start, span, up = self.start, 1.0 - self.start, ticks.length(self.up)
        down = up if self.down is None else ticks.length(self.down)
        period = up + down

        def rise(t: int) -> float:
            t %= period
            return span * (t / up if t < up else (period - t) / down)

        if self.mode == "triangular":
            return lambda t: start + rise(t)
        if self.mode == "triangular2":
            return lambda t: start + 0.5 ** (t // period) * rise(t)
        gamma, update = self.gamma, ticks.update()
        return lambda t: start + gamma ** (t / update) * rise(t)
