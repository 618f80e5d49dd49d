"""Puts positions and values of a plan into words."""

from __future__ import annotations

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


def text(value: float) -> str:
    """A value, rounded for reading."""
    return f"{value:.6g}"


def shown(plan: PlanValues, name: str, begin: int, end: int, every: int = 1) -> list[float]:
    """The values of a stretch where there is a spec, otherwise the multipliers."""
    if plan.recipe.optimizer is None:
        return plan.multipliers(name, begin, end, every)
    return plan.between(name, begin, end, every=every)
