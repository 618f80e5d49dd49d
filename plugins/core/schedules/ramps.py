"""The shapes that go from one value to another over a length, and keep the second.

Symbols as in `shapes`: tau = min(t / T, 1) is the fraction of the length T that has passed.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field

from .durations import Duration, DurationLike, updates
from .schedule import Schedule
from .ticks import Curve, Ticks


@dataclass(frozen=True, repr=False)
class Ramp(Schedule):
    """Base of the shapes that reach their end value exactly at the end of their length, and keep it.

    To write a ramp of your own, implement `between`; unless it ends at 1, give it a field named "end".

    Args:
        over: Duration, longer than zero unless the ramp ends at 1.
        inclusive: Which update is the first with the end value, where n is the number of updates in `over`. False, the
            default: update n, the first after the length. No update of the length is spent at the end value, pieces
            join without repeating a value, and `over` is the T_max, decay_steps or total_iters of other libraries.
            True: update n - 1, the last within the length, so that a ramp over the whole run reaches its end within the
            run. T is then `over` less one update, which needs the number of updates in an epoch.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of range.
    """

    over: DurationLike
    inclusive: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if hasattr(self, "end"):  # one that ends at the base value may be empty: no warmup
            self._require_length("over")
        for name in ("start", "end"):
            if hasattr(self, name):
                self._require(getattr(self, name) >= 0, name, "a multiplier of at least 0")

    @abstractmethod
    def between(self, tau: float, left: float) -> float:
        """eta at a fraction of the length.

        Args:
            tau: The fraction that has passed.
            left: The fraction that is left: 1 - tau, but from the exact time. Near the end, 1 - tau has lost most of
                its digits.
        """

    @property
    def final(self) -> float:
        """eta at the end and after it."""
        return float(getattr(self, "end", 1.0))

    def durations(self) -> Iterator[Duration]:
        yield from super().durations()
        if self.inclusive:
            yield updates(1)

    def length(self, ticks: Ticks) -> int:
        """T, in ticks. Zero or less means that the first update has the end value already."""
        return ticks(self.over) - (ticks.update() if self.inclusive else 0)

    def curve(self, ticks: Ticks) -> Curve:
        between, length, final = self.between, self.length(ticks), self.final
        return lambda t: between(t / length, (length - t) / length) if t < length else final


@dataclass(frozen=True, repr=False)
class LinearDecay(Ramp):
    """A straight line from `start` to `end`.

    The multiplier is::

        eta(t) = start + (end - start) * tau

    Args:
        over: Duration until `end` is reached, longer than zero.
        start: Multiplier at the beginning, at least 0.
        end: Multiplier at the end, at least 0.
        inclusive: See `Ramp`.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of range.

    Source: torch.optim.lr_scheduler.LinearLR.

    >>> LinearDecay(over=epochs(4)).preview(epochs=6)
    [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    >>> LinearDecay(over=updates(5), inclusive=True).preview(epochs=6, updates_per_epoch=1)
    [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    """

    start: float = 1.0
    end: float = 0.0

    def between(self, tau: float, left: float) -> float:
        return _mixed(self.start, self.end, left, tau)


@dataclass(frozen=True, repr=False)
class PolynomialDecay(Ramp):
    """A power of what is left of the length, from `start` to `end`.

    The multiplier is::

        eta(t) = end + (start - end) * (1 - tau ** k_decay) ** power

    Args:
        over: Duration until `end` is reached, longer than zero.
        power: Greater than 0; 1 is a straight line.
        end: Multiplier at the end, at least 0.
        k_decay: Greater than 0; below 1 falls earlier, above 1 later.
        start: Multiplier at the beginning, at least 0.
        inclusive: See `Ramp`.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of range.

    Source: torch.optim.lr_scheduler.PolynomialLR; Zhang and Li 2020 for k_decay; power=1 and k_decay=0.5 is the
    1-sqrt cooldown of Haegele et al. 2024.

    >>> PolynomialDecay(over=epochs(4), power=2).preview(epochs=6)
    [1.0, 0.5625, 0.25, 0.0625, 0.0, 0.0]
    """

    power: float = 1.0
    end: float = 0.0
    k_decay: float = field(default=1.0, kw_only=True)
    start: float = field(default=1.0, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require(self.power > 0, "power", "a number greater than 0")
        self._require(self.k_decay > 0, "k_decay", "a number greater than 0")

    def between(self, tau: float, left: float) -> float:
        if self.k_decay != 1.0:
            _, left = _turned(tau, left, self.k_decay)
        share = left if self.power == 1.0 else left**self.power
        return _mixed(self.start, self.end, share, 1.0 - share)


@dataclass(frozen=True, repr=False)
class CosineDecay(Ramp):
    """Half a cosine from `start` to `end`.

    The multiplier is::

        eta(t) = end + (start - end) * (1 + cos(pi * tau ** k_decay)) / 2

    Args:
        over: Duration until `end` is reached, longer than zero.
        end: Multiplier at the end, at least 0.
        start: Multiplier at the beginning, at least 0.
        k_decay: Greater than 0; below 1 falls earlier, above 1 later.
        inclusive: See `Ramp`.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of range.

    Source: Loshchilov and Hutter 2017 (SGDR), equation 5; keras.optimizers.schedules.CosineDecay; Zhang and Li 2020
    for k_decay.

    >>> CosineDecay(over=epochs(2), end=0.5).preview(epochs=4)
    [1.0, 0.75, 0.5, 0.5]
    """

    end: float = 0.0
    start: float = field(default=1.0, kw_only=True)
    k_decay: float = field(default=1.0, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require(self.k_decay > 0, "k_decay", "a number greater than 0")

    def between(self, tau: float, left: float) -> float:
        if self.k_decay != 1.0:
            tau, left = _turned(tau, left, self.k_decay)
        # The square of a sine has its digits near both ends, where (1 + cos(pi * tau)) / 2, its equal, loses them.
        if tau < left:
            sine = math.sin(math.pi / 2.0 * tau)
            return _mixed(self.start, self.end, 1.0 - sine * sine, sine * sine)
        if tau > left:
            sine = math.sin(math.pi / 2.0 * left)
            return _mixed(self.start, self.end, sine * sine, 1.0 - sine * sine)
        return _mixed(self.start, self.end, 0.5, 0.5)


@dataclass(frozen=True, repr=False)
class TanhDecay(Ramp):
    """A stretch of the hyperbolic tangent: a long stay at the base value, then a fall placed by the bounds.

    The multiplier is::

        eta(t) = end + (1 - end) * (1 - tanh(lower + (upper - lower) * tau)) / 2    for t < T
        eta(t) = end                                                                from there on

    Args:
        over: Duration until `end` is reached, longer than zero.
        end: Multiplier at the end, at least 0.
        lower: Where the tangent is entered, below `upper`.
        upper: Where it is left. tanh(3) leaves 0.25 % of the way to the end, which the last update makes at once.
        inclusive: See `Ramp`.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of range.

    Source: Hsueh et al. 2019; timm.scheduler.TanhLRScheduler.

    >>> [round(eta, 4) for eta in TanhDecay(over=epochs(4)).preview(epochs=6)]
    [1.0, 0.9999, 0.982, 0.2689, 0.0, 0.0]
    """

    end: float = 0.0
    lower: float = -7.0
    upper: float = 3.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require(self.lower < self.upper, "lower", f"a number below upper={self.upper!r}")

    def between(self, tau: float, left: float) -> float:
        angle = self.lower + (self.upper - self.lower) * tau
        # (1 - tanh(angle)) / 2 is 1 / (1 + exp(2 * angle)), which has its digits near the end too.
        small = math.exp(-2.0 * abs(angle))
        small /= 1.0 + small
        return _mixed(1.0, self.end, small, 1.0 - small) if angle > 0 else _mixed(1.0, self.end, 1.0 - small, small)


@dataclass(frozen=True, repr=False)
class RexDecay(Ramp):
    """A reflected exponential: slower than a straight line at first, faster at last.

    The multiplier is::

        eta(t) = end + (1 - end) * (1 - tau) / (1 - tau / 2)

    Args:
        over: Duration until `end` is reached, longer than zero.
        end: Multiplier at the end, at least 0.
        inclusive: See `Ramp`.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of range.

    Source: Chen, Wolfe and Kyrillidis 2022.

    >>> RexDecay(over=epochs(2)).preview(epochs=4)
    [1.0, 0.6666666666666666, 0.0, 0.0]
    """

    end: float = 0.0

    def between(self, tau: float, left: float) -> float:
        share = left / (1.0 - tau / 2.0)
        return _mixed(1.0, self.end, share, 1.0 - share)


@dataclass(frozen=True, repr=False)
class Warmup(Ramp):
    """A straight line from `start` up to the base value; multiply it with what follows.

    The multiplier is::

        eta(t) = start + (1 - start) * tau

    Args:
        over: Duration until the base value is reached; zero is no warmup.
        start: Multiplier of the first update, at least 0.
        inclusive: See `Ramp`.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of range.

    Source: Goyal et al. 2017, section 2.2.

    >>> Warmup(over=epochs(4)).preview(epochs=6)
    [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    """

    start: float = 0.0

    def between(self, tau: float, left: float) -> float:
        return _mixed(self.start, 1.0, left, tau)


def _mixed(start: float, end: float, left: float, passed: float) -> float:
    """`left` parts of start and `passed` parts of end, of 1 in all: exactly start or end where one of them is all.

    A ramp that ends where it starts is constant, which a sum of two rounded products is not in its last bit.
    """
    return start if start == end else start * left + end * passed


def _turned(tau: float, left: float, k_decay: float) -> tuple[float, float]:
    """tau ** k_decay and what is left of it, with all of its digits: early on tau has them, near the end `left`."""
    if tau == 0.0:
        return tau, left
    power = k_decay * (math.log(tau) if tau < 1 / 32 else math.log1p(-left))
    return tau**k_decay, -math.expm1(power)
