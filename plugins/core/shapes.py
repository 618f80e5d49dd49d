"""The shapes: one small class each, a multiplier eta of the shape's own elapsed time t.

Symbols: eta the multiplier, t the elapsed time, T the shape's length `over`, p its period `every`,
tau = min(t / T, 1) the fraction of the length that has passed. `start` and `end` are multipliers too.
"""

from __future__ import annotations

import inspect
import math
from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from .durations import Duration, DurationLike, epochs
from .schedule import Curve, Schedule, Ticks
from .values import Functions, real


@dataclass(frozen=True, repr=False)
class StepDecay(Schedule):
    """Multiply by `factor` every period: the staircase.

    eta(t) = factor ** n, where n = 0 for t < first, and n = 1 + floor((t - first) / every) from there on

    factor: multiplier of each drop, at least 0.
    every: duration between drops, longer than zero.
    first: duration until the first drop; `every` unless given, and zero means that the run starts dropped.

    Raises ValueError or TypeError for a factor or a duration that is not one.
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
        _require_length(self, "every")

    def curve(self, ticks: Ticks) -> Curve:
        factor, every = self.factor, ticks(self.every)
        first = every if self.first is None else ticks(self.first)
        return lambda t: factor ** ((t - first) // every + 1) if t >= first else 1.0


@dataclass(frozen=True, repr=False)
class ExponentialDecay(Schedule):
    """Decay smoothly, by `factor` in each period.

    eta(t) = factor ** (t / every)

    factor: multiplier of each period, greater than 0.
    every: duration, longer than zero.

    Source: torch.optim.lr_scheduler.ExponentialLR with every=epochs(1); keras.optimizers.schedules.ExponentialDecay.

    >>> ExponentialDecay(0.25, every=epochs(2)).preview(epochs=4)
    [1.0, 0.5, 0.25, 0.125]
    """

    factor: float
    every: DurationLike

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require(self.factor > 0, "factor", "a multiplier greater than 0")
        _require_length(self, "every")

    def curve(self, ticks: Ticks) -> Curve:
        factor, every = self.factor, ticks(self.every)
        return lambda t: factor ** (t / every)


@dataclass(frozen=True, repr=False)
class InverseTimeDecay(Schedule):
    """Decay as one over time. What legacy Keras called `decay=d` is `InverseTimeDecay(d, every=updates(1))`.

    eta(t) = 1 / (1 + rate * t / every)

    rate: growth of the denominator in each period, at least 0.
    every: duration, longer than zero. With epochs(1) the value glides within each epoch; a callback's
        resolution="epoch" holds it.

    Source: tf_keras.optimizers.legacy.Adam(decay=); keras.optimizers.schedules.InverseTimeDecay.

    >>> InverseTimeDecay(1.0, every=updates(2)).preview(epochs=4, updates_per_epoch=2)
    [1.0, 0.5, 0.3333333333333333, 0.25]
    """

    rate: float
    every: DurationLike

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require(self.rate >= 0, "rate", "a number of at least 0")
        _require_length(self, "every")

    def curve(self, ticks: Ticks) -> Curve:
        rate, every = self.rate, ticks(self.every)
        return lambda t: 1.0 / (1.0 + rate * (t / every))


@dataclass(frozen=True, repr=False)
class _Ramp(Schedule):
    """A shape of length `over` that has its end value exactly at its end, and keeps it."""

    over: DurationLike

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_length(self, "over")
        for name in ("start", "end"):
            if hasattr(self, name):
                self._require(getattr(self, name) >= 0, name, "a multiplier of at least 0")

    @abstractmethod
    def between(self, tau: float) -> float:
        """eta at the fraction tau of the length, 0 <= tau < 1."""

    @property
    def final(self) -> float:
        """eta at the end and after it."""
        return float(getattr(self, "end", 1.0))

    def curve(self, ticks: Ticks) -> Curve:
        between, over, final = self.between, ticks(self.over), self.final
        return lambda t: between(t / over) if t < over else final


@dataclass(frozen=True, repr=False)
class LinearDecay(_Ramp):
    """A straight line from `start` to `end`.

    eta(t) = start + (end - start) * tau

    over: duration until `end` is reached, longer than zero.
    start, end: multipliers, at least 0.

    Source: torch.optim.lr_scheduler.LinearLR.

    >>> LinearDecay(over=epochs(4)).preview(epochs=6)
    [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    """

    start: float = 1.0
    end: float = 0.0

    def between(self, tau: float) -> float:
        return self.start + (self.end - self.start) * tau


@dataclass(frozen=True, repr=False)
class CosineDecay(_Ramp):
    """Half a cosine from 1 to `end`.

    eta(t) = end + (1 - end) * (1 + cos(pi * tau)) / 2

    over: duration until `end` is reached, longer than zero.
    end: multiplier, at least 0.

    Source: Loshchilov and Hutter 2017 (SGDR), equation 5; keras.optimizers.schedules.CosineDecay.

    >>> CosineDecay(over=epochs(2), end=0.5).preview(epochs=4)
    [1.0, 0.75, 0.5, 0.5]
    """

    end: float = 0.0

    def between(self, tau: float) -> float:
        return self.end + (1.0 - self.end) * (1.0 + math.cos(math.pi * tau)) / 2.0


@dataclass(frozen=True, repr=False)
class Warmup(_Ramp):
    """A straight line from `start` up to the base value, to be multiplied with what follows.

    eta(t) = start + (1 - start) * tau

    over: duration until the base value is reached, longer than zero.
    start: multiplier of the first update, at least 0.

    Source: Goyal et al. 2017, section 2.2.

    >>> Warmup(over=epochs(4)).preview(epochs=6)
    [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    """

    start: float = 0.0

    def between(self, tau: float) -> float:
        return self.start + (1.0 - self.start) * tau


EpochCallable = Callable[[int], float] | Callable[[int, float], float]


@dataclass(frozen=True, repr=False)
class EpochFunction(Schedule):
    """The user's own multiplier of each epoch.

    eta(e) = function(e), or, where the function takes two arguments, function(e, eta(e - 1)) with eta(-1) = 1

    function: f(epoch) or f(epoch, multiplier), without side effects, returning a multiplier of at least 0. The
    two-argument form is folded over epochs 0 to e, so that a value depends on the epoch alone. Inside `.after(...)`
    epochs count from there.

    Raises TypeError for what cannot be called with one or two arguments; ValueError for a value that is not finite
    or is negative. `to_dict` writes the function's name, and `from_dict` needs `functions={name: function}`.

    >>> EpochFunction(lambda epoch, eta: eta * 0.5 if epoch >= 2 else eta).preview(epochs=4)
    [1.0, 1.0, 0.5, 0.25]
    """

    function: EpochCallable
    _stepwise: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.function, str):
            raise ValueError(
                f"EpochFunction.function: found the name {self.function!r}, and functions are not imported by name; "
                f"give from_dict(..., functions={{{self.function!r}: the_function}})."
            )
        takes_previous(self.function)

    @classmethod
    def _from_fields(cls, data: dict[str, Any], functions: Functions) -> Self:
        name = data.get("function")
        if isinstance(name, str) and name in functions:
            data = {**data, "function": functions[name]}
        return super()._from_fields(data, functions)

    def durations(self) -> Iterator[Duration]:
        yield epochs(1)

    def curve(self, ticks: Ticks) -> Curve:
        epoch, eta = ticks(epochs(1)), EpochValues(self.function, 1.0)
        return lambda t: eta(t // epoch)

    def __repr__(self) -> str:
        return f"EpochFunction({getattr(self.function, '__qualname__', repr(self.function))})"


def takes_previous(function: EpochCallable) -> bool:
    """Whether `function` takes (epoch, previous value) and not (epoch); Keras asks in the same order.

    Raises TypeError for what can be called with neither.
    """
    expected = "expected a function f(epoch) or f(epoch, learning_rate)"
    if not callable(function):
        raise TypeError(f"found {function!r} ({type(function).__name__}); {expected}.")
    try:
        signature = inspect.signature(function)
    except ValueError:
        raise TypeError(f"found {function!r}, whose arguments cannot be seen; {expected}.") from None
    for count in (2, 1):
        try:
            signature.bind(*range(count))
        except TypeError:
            continue
        return count == 2
    raise TypeError(f"found a function of {signature}; {expected}.")


class EpochValues:
    """The value of each epoch under a user's function, as a pure function of the epoch.

    f(epoch) is asked as it is; f(epoch, previous) is folded over epochs 0..e from `base`, never from what an
    optimizer holds, so that a resumed or repeated run cannot decay twice. Values are computed once and remembered.
    """

    def __init__(self, function: EpochCallable, base: float) -> None:
        self._function: Callable[..., float] = function
        self._base = base
        self._folded = takes_previous(function)
        self._values: list[float] = []

    def __call__(self, epoch: int) -> float:
        while len(self._values) <= epoch:
            e = len(self._values)
            previous = self._values[-1] if self._values else self._base
            found = self._function(e, previous) if self._folded else self._function(e)
            value = real(found, f"the value of {self._function!r} at epoch {e}")
            if value < 0:
                raise ValueError(f"{self._function!r} returned {value} at epoch {e}; expected a number of at least 0.")
            self._values.append(value)
        return self._values[epoch]


def _require_length(schedule: Schedule, name: str) -> None:
    duration = getattr(schedule, name)
    schedule._require(duration.amount > 0, name, "a duration longer than zero")
