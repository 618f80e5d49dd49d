"""Puts positions and values of a plan into words."""

from __future__ import annotations

import math

from .plan_values import PlanValues


def when(plan: PlanValues, number: int) -> str:
    """The run's update `number` (its epoch, where the length of an epoch is unknown) in words."""
    count = plan.clock.updates_per_epoch
    epoch, update = divmod(number, count or 1)
    place = f"first update of epoch {epoch}" if update == 0 else f"update {update} of epoch {epoch}"
    return place if count is None else f"update {number} ({place})"


def stretch(plan: PlanValues, first: int, last: int) -> str:
    """Several of the run's updates (its epochs, where the length of an epoch is unknown) in words."""
    count = plan.clock.updates_per_epoch
    if count is None:
        return f"epochs {first}-{last}"
    begin, end = first // count, last // count
    return f"updates {first}-{last} ({f'epoch {begin}' if begin == end else f'epochs {begin}-{end}'})"


def text(value: float, digits: int = 6) -> str:
    """A value, rounded for reading."""
    return f"{value:.{digits}g}"


def apart(a: float, b: float) -> tuple[str, str]:
    """Two values that differ, rounded for reading to as many digits as show by how much."""
    for digits in range(6, 18):
        pair = text(a, digits), text(b, digits)
        error = abs(float(pair[0]) - a) + abs(float(pair[1]) - b)
        if pair[0] != pair[1] and (error <= abs(a - b) / 4 or not math.isfinite(error)):
            return pair
    return text(a, 17), text(b, 17)
