"""The updates of a run whose values are looked at, to tell them in words: every one of a run that is not too long."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import chain, islice
from typing import NamedTuple

from ..schedules.timeline import boundaries
from .plan_values import PlanValues

_ALL = 100_000  # of a longer run, not every update is looked at
_SAMPLED = 10_000
_BOUNDARIES = 20_000
_GOLDEN = Fraction(89, 144)  # samples that keep step with no period


class Look(NamedTuple):
    """Values of a hyperparameter, where there is a spec, otherwise multipliers.

    Attributes:
        numbers: The updates that they belong to, counted over the run; epochs, if their length is unknown.
        values: Infinite where too large for a float, NaN where a user's function gives none.
        each: The number of updates for which each value holds.
        every: Whether every update of the run is looked at, or stands for those that have the same value.
    """

    numbers: Sequence[int]
    values: list[float]
    each: int
    every: bool


def look(plan: PlanValues, name: str, total: int) -> Look:
    """Look at a hyperparameter in a run of `total` updates.

    Of a run of more than 100,000 updates whose values change within epochs, the updates around which parts of the
    schedule begin, end, drop or restart are looked at, up to a limit, and 10,000 others.
    """
    each = plan.clock.updates_per_epoch or 1 if plan.constant_within_epochs(name) else 1
    numbers: Sequence[int] = range(0, total, each)
    every = len(numbers) <= _ALL
    if not every:
        places = boundaries(plan.recipe.schedule(name), plan.clock, len(numbers), each, corners=True)
        around = (range(edge - 2, edge + 2) for place in places for edge in islice(sorted(place), _BOUNDARIES))
        some = (int((sample + sample * _GOLDEN % 1) * len(numbers) / _SAMPLED) for sample in range(_SAMPLED))
        found = {0, 1, len(numbers) - 1, len(numbers) - 2, *some, *chain.from_iterable(islice(around, _BOUNDARIES))}
        numbers = [number * each for number in sorted(found) if 0 <= number < len(numbers)]
    return Look(numbers, plan.looked_at(name, numbers), each, every)


def edge(plan: PlanValues, name: str, begin: int, end: int, each: int, alike: Callable[[float], bool]) -> int:
    """Between an update whose value is alike and another one, before or after it, the one nearest to it that is not.

    Of a stretch in which the values go one way, that is exact.
    """
    return parting(begin, end, each, lambda number: alike(plan.looked_at(name, [number])[0]))


def parting(begin: int, end: int, each: int, alike: Callable[[int], bool]) -> int:
    """As `edge`, where `alike` is asked for the number of an update."""
    while abs(end - begin) > each:
        middle = (begin + end) // (2 * each) * each
        if alike(middle):
            begin = middle
        else:
            end = middle
    return end
