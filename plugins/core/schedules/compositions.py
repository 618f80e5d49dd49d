"""Schedules made of others: one after the other, and the well-known sequences."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import ClassVar, Literal

from ..arguments.check import checks_arguments
from .durations import Duration, DurationLike, as_duration
from .ramps import CosineDecay, LinearDecay, PolynomialDecay, Warmup
from .schedule import Constant, Schedule
from .serializable import is_listing, real
from .shapes import InverseSqrtDecay
from .ticks import Curve, Ticks


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
            if not (is_listing(item) and len(item) == 2 and isinstance(item[1], Schedule)):
                raise TypeError(
                    f"sequence: found {item!r}; expected pairs of a duration and a schedule, such as "
                    f"(epochs(5), {Schedule._example})."
                )
            rest.append((as_duration(item[0], "sequence"), item[1]))
        object.__setattr__(self, "rest", tuple(rest))

    def curve(self, ticks: Ticks) -> Curve:
        begins = [0, *(ticks(begin) for begin, _ in self.rest)]
        if any(late < early for early, late in pairwise(begins)):
            times = ", ".join(str(begin) for begin, _ in self.rest)
            raise ValueError(f"sequence: found the times {times}; expected each at or after the one before it.")
        curves = [part.curve(ticks) for part in (self.first, *(part for _, part in self.rest))]
        if len(curves) == 2:
            (early, late), begin = curves, begins[1]
            return lambda t: early(t) if t < begin else late(t - begin)

        def eta(t: int) -> float:
            index = bisect_right(begins, t) - 1
            return curves[index](t - begins[index])

        return eta

    def _written(self) -> tuple[Schedule | str, ...]:
        rest = (part for begin, following in self.rest for part in (f", ({begin!r}, ", following, ")"))
        return ("sequence(", self.first, *rest, ")")


@checks_arguments
def sequence(first: Schedule, *rest: tuple[DurationLike, Schedule]) -> Sequence:
    """Start with one schedule and switch to others at given times.

    Args:
        first: The schedule from the start.
        *rest: Pairs (time since the start of the sequence, schedule), in order of time. Each schedule has its own
            clock, which starts at its time. Of two at the same time the later one holds.

    Raises:
        TypeError: Something in `rest` is not such a pair.
        ValueError: When resolved, the times are out of order.

    >>> from samestep import epochs
    >>> sequence(Constant(0.1), (epochs(5), Constant()))
    sequence(Constant(value=0.1), (epochs(5), Constant()))
    >>> sequence(Constant(0.1), (epochs(2), StepDecay(0.5, every=epochs(1)))).preview(epochs=4)
    [0.1, 0.1, 1.0, 0.5]
    """
    if is_listing(first):
        raise TypeError(
            f"sequence: found a {type(first).__name__}; write sequence(first, (epochs(5), second)): each but the first "
            f"with the time at which it begins."
        )
    return Sequence(first, rest)  # type: ignore[arg-type]  # text durations become Durations in __post_init__


@checks_arguments
def one_cycle(
    over: DurationLike = "100%",
    *,
    peak: DurationLike | None = None,
    start: float = 1 / 25,
    top: float = 1.0,
    end: float = 1 / 25e4,
    anneal: Literal["cosine", "linear"] = "cosine",
    three_phase: bool = False,
    inclusive: bool = False,
) -> Sequence:
    """Up from `start` to `top` and down to `end`: the 1cycle policy.

    The multiplier goes::

        from start to top           for t < peak
        from top to end             for peak <= t < over

    and with three phases::

        from start to top           for t < peak
        from top to start           for peak <= t < 2 * peak
        from start to end           for 2 * peak <= t < over

    Momentum goes the other way: Recipe(..., momentum=one_cycle(start=1, top=0.85 / 0.95, end=1)).

    Args:
        over: Duration of the whole cycle.
        peak: Time of the top; 30 % of `over` by default.
        start: Multiplier at the beginning, at least 0.
        top: Multiplier at the top, at least 0.
        end: Multiplier at the end, at least 0.
        anneal: How each phase goes, "cosine" or "linear".
        three_phase: Whether the way down has two phases.
        inclusive: Whether the last update before `over` has passed has `end` already; see `Ramp`.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of range.

    Source: Smith and Topin 2018; torch.optim.lr_scheduler.OneCycleLR, whose total_steps = T and pct_start = f are
    over=updates(T - 1) and peak=updates(f * T - 1).

    >>> from samestep import epochs
    >>> one_cycle(epochs(4), peak=epochs(2), start=0, end=0, anneal="linear").preview(epochs=5)
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    _require_anneal("one_cycle", anneal, ("cosine", "linear"))
    _require_values("one_cycle", inclusive, start=start, top=top, end=end)
    phase = CosineDecay if anneal == "cosine" else LinearDecay
    over = as_duration(over, "one_cycle: over")
    peak = over * Fraction(3, 10) if peak is None else as_duration(peak, "one_cycle: peak")
    rest = _less(over, 2 * peak if three_phase else peak)
    if peak == Duration() or rest is None or rest == Duration():
        raise ValueError(
            f"one_cycle: found peak={peak!r} and over={over!r}; expected a peak after the start and "
            f"{'in the first half' if three_phase else 'before the end'}."
        )
    up = phase(peak, start=start, end=top)
    if not three_phase:
        return sequence(up, (peak, phase(rest, start=top, end=end, inclusive=inclusive)))
    last = phase(rest, start=start, end=end, inclusive=inclusive)
    return sequence(up, (peak, phase(peak, start=top, end=start)), (2 * peak, last))


@checks_arguments
def warmup_stable_decay(
    over: DurationLike = "100%",
    *,
    warmup: DurationLike,
    cooldown: DurationLike,
    start: float = 0.0,
    end: float = 0.0,
    anneal: Literal["linear", "cosine", "1-sqrt"] = "linear",
    inclusive: bool = False,
) -> Sequence:
    """Up to the base value, a long stay there, and a short way down: WSD, the trapezoid.

    The multiplier is::

        eta(t) = start + (1 - start) * t / warmup       for t < warmup
        eta(t) = 1                                      for warmup <= t < over - cooldown
        eta(t) = end + (1 - end) * a(tau)               for the cooldown

    where a is::

        1 - tau                         for "linear"
        (1 + cos(pi * tau)) / 2         for "cosine"
        1 - sqrt(tau)                   for "1-sqrt"

    Args:
        over: Duration of the whole.
        warmup: Duration of the first part; it may be zero.
        cooldown: Duration of the last part.
        start: Multiplier at the beginning, at least 0.
        end: Multiplier at the end, at least 0.
        anneal: How the cooldown goes.
        inclusive: Whether the last update before `over` has passed has `end` already; see `Ramp`.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of range; at the latest when resolved, the cooldown begins before the warmup is
            over.

    Source: Hu et al. 2024 (MiniCPM); Haegele et al. 2024 for 1-sqrt.

    >>> from samestep import epochs
    >>> warmup_stable_decay(epochs(6), warmup=epochs(2), cooldown=epochs(2)).preview(epochs=7)
    [0.0, 0.5, 1.0, 1.0, 1.0, 0.5, 0.0]
    """
    over, warmup = as_duration(over, "warmup_stable_decay: over"), as_duration(warmup, "warmup_stable_decay: warmup")
    cooldown = as_duration(cooldown, "warmup_stable_decay: cooldown")
    _require_values("warmup_stable_decay", inclusive, start=start, end=end)
    _require_length("warmup_stable_decay", "cooldown", cooldown)
    stable_until = _less(over, cooldown)
    if stable_until is None:
        raise ValueError(
            f"warmup_stable_decay: found cooldown={cooldown!r} and over={over!r}; expected a shorter cooldown."
        )
    if _less(stable_until, warmup) is None:
        raise ValueError(
            f"warmup_stable_decay: found warmup={warmup!r}, cooldown={cooldown!r} and over={over!r}; expected a "
            f"cooldown that begins after the warmup."
        )
    decays: dict[str, Schedule] = {
        "linear": LinearDecay(cooldown, end=end, inclusive=inclusive),
        "cosine": CosineDecay(cooldown, end=end, inclusive=inclusive),
        "1-sqrt": PolynomialDecay(cooldown, end=end, k_decay=0.5, inclusive=inclusive),
    }
    _require_anneal("warmup_stable_decay", anneal, tuple(decays))
    return sequence(Warmup(warmup, start=start), (warmup, Constant()), (stable_until, decays[anneal]))


@checks_arguments
def noam(warmup: DurationLike) -> Sequence:
    """Up to the base value, then down as one over the square root of time: the schedule of the Transformer.

    The multiplier is::

        eta(t) = min(t / warmup, sqrt(warmup / t))

    Args:
        warmup: Duration until the base value is reached. The paper's learning rate there is (d_model * warmup) ** -0.5.
            Its step_num, which begins at 1, is t: the paper's first update is the second here, after one of learning
            rate 0.

    Raises:
        TypeError: `warmup` is a bare number.
        ValueError: `warmup` is zero.

    Source: Vaswani et al. 2017, equation 3.

    >>> from samestep import epochs
    >>> noam(epochs(2)).preview(epochs=9)[::4]
    [0.0, 0.7071067811865475, 0.5]
    """
    warmup = as_duration(warmup, "noam: warmup")
    _require_length("noam", "warmup", warmup)
    return sequence(Warmup(warmup), (warmup, InverseSqrtDecay(warmup)))


def _less(duration: Duration, other: Duration) -> Duration | None:
    """The difference of two durations, or None where it is negative in every run."""
    try:
        return duration - other
    except ValueError:
        return None


def _require_length(where: str, name: str, found: Duration) -> None:
    if found == Duration():
        raise ValueError(f"{where}: found {name}={found!r}; expected a duration longer than zero.")


def _require_values(where: str, inclusive: bool, **multipliers: float) -> None:
    for name, value in multipliers.items():
        if real(value, f"{where}: {name}") < 0:
            raise ValueError(f"{where}: found {name}={value!r}; expected a multiplier of at least 0.")
    if not isinstance(inclusive, bool):
        raise TypeError(f"{where}: found inclusive={inclusive!r}; expected True or False.")


def _require_anneal(where: str, found: str, known: Collection[str]) -> None:
    if found not in known:
        raise ValueError(f"{where}: found anneal={found!r}; expected one of {', '.join(map(repr, known))}.")
