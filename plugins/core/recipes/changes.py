"""The changes of a hyperparameter in words: single ones, and stretches in which it rises or falls."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import islice, takewhile

from ..schedules.timeline import boundaries
from .looking import Look, edge
from .plan_values import PlanValues
from .words import apart, stretch, text, when

_LINES = 50  # per hyperparameter
_DROPS = 20  # per place in a schedule, listed one by one
_SAMPLES = 100  # of a long stretch


def changes(plan: PlanValues, name: str, seen: Look, total: int) -> Iterator[str]:
    """The first value and the changes, up to the first value that is too large or unknown.

    Args:
        plan: The plan.
        name: The hyperparameter.
        seen: What was seen of it.
        total: The number of updates in the run, or of epochs if their length is unknown.
    """
    usable = list(takewhile(math.isfinite, seen.values))
    if usable:
        yield f"from the start: {text(usable[0])}"
    seen = seen._replace(values=usable)
    stretches = _stretches(seen, _turns(seen, boundaries(plan.recipe.schedule(name), plan.clock, total, seen.each)))
    yield from (_told(plan, name, seen, *found) for found in islice(stretches, _LINES))
    more = sum(1 for _ in stretches)
    if more:
        yield f"... and {'' if seen.every else 'at least '}{more} more changes"
    if len(usable) < len(seen.numbers):
        number = seen.numbers[len(usable)]
        if usable:
            number = edge(plan, name, seen.numbers[len(usable) - 1], number, seen.each, math.isfinite)
        yield f"{when(plan, number)}: no value that can be used"


def _told(plan: PlanValues, name: str, seen: Look, first: int, last: int) -> str:
    numbers, values, each, _ = seen
    begin, end, before = numbers[first], numbers[last], numbers[last - 1]
    if begin > numbers[first - 1] + each:
        begin = edge(plan, name, numbers[first - 1], begin, each, lambda value: value == values[first - 1])
    if end > before + each:
        end = each + edge(plan, name, end, before, each, lambda value: value == values[last])
    change = " -> ".join(apart(values[first - 1], values[last]))
    if begin == end:
        return f"{when(plan, begin)}: {change}"
    unit = "epoch" if each == (plan.clock.updates_per_epoch or 1) else "update"
    how = f"every {unit}" if seen.every or _always(plan, name, begin, end, each) else "in steps"
    return f"{stretch(plan, begin, end)}: {change}, {how}"


def _always(plan: PlanValues, name: str, begin: int, end: int, each: int) -> bool:
    """Whether the value changes at every update of a stretch that is looked at."""
    some = range(begin, end + 1, max((end - begin) // _SAMPLES // each, 1) * each)
    pairs = (plan.looked_at(name, (number - each, number)) for number in some)
    return all(before != after for before, after in pairs)


def _stretches(seen: Look, turns: set[int]) -> Iterator[tuple[int, int]]:
    """The first and last change of each stretch that goes one way without a turn; equal for a single change."""
    values = seen.values
    i = 1
    while i < len(values):
        first, direction = i, _direction(values, i)
        i += 1
        while i < len(values) and i not in turns and _direction(values, i) == direction:
            i += 1
        if direction and (i - first > 2 or not seen.every):
            yield first, i - 1
        elif direction:
            yield from ((k, k) for k in range(first, i))


def _turns(seen: Look, boundaries: Iterable[set[int]]) -> set[int]:
    """The changes at boundaries of the schedule's parts where something else begins."""
    values = seen.values
    index = None if seen.every else {number // seen.each: i for i, number in enumerate(seen.numbers)}

    def larger(i: int, j: int) -> bool:
        """Whether change i is clearly larger than change j; False if either is outside the run."""
        if not (0 < i < len(values) and 0 < j < len(values)):
            return False
        return abs(values[i] - values[i - 1]) > 1.25 * abs(values[j] - values[j - 1])

    found = set()
    for of_place in boundaries:
        looked = of_place if index is None else {index[k] for k in of_place if {k - 2, k - 1, k, k + 1} <= index.keys()}
        # A jump at k stands alone. If k is reached smoothly, it belongs to the stretch before.
        turns = {k for k in looked if larger(k, k - 1)}
        turns |= {k + 1 for k in looked if larger(k, k + 1) or larger(k + 1, k)}
        # More turns are a staircase, whose drops are not worth listing.
        if len(turns) <= 2 * _DROPS:
            found |= turns
    return found


def _direction(values: list[float], i: int) -> int:
    return (values[i] > values[i - 1]) - (values[i] < values[i - 1])
