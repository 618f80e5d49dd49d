"""The updates of a run whose learning rate is 0, as a framework that stores it in float32 sees it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from ..schedules.ramps import Ramp
from ..schedules.timeline import parts
from .looking import Look, edge
from .plan_values import PlanValues
from .words import stretch, when

_TOLD = 20  # stretches
_LARGEST = 2.0**-150  # that rounds to 0 in float32


class _Zeros(NamedTuple):
    """Updates of the value 0, from the first to the last one, counted over the run."""

    first: int
    last: int


def zeros(plan: PlanValues, seen: Look, total: int) -> Iterator[str]:
    """A sentence for each stretch of updates with a learning rate of 0, and one for those that stand alone.

    The first update of a run may have it alone: with it a warmup begins.
    """
    alone, end = list[int](), total - 1
    found = list(islice(_stretches(plan, seen, total), _TOLD + 1))
    for first, last in found[:_TOLD]:
        if first == last and first not in (0, end):
            alone.append(first)
        elif last > 0 or total == 1 or plan.clock.updates_per_epoch is None:
            yield _told(plan, _Zeros(first, last), total)
    if len(alone) == 1:
        yield _told(plan, _Zeros(alone[0], alone[0]), total)
    elif alone:
        unit = "epochs" if plan.clock.updates_per_epoch is None else "updates"
        yield f"{unit} {', '.join(map(str, alone))} have {_effect(plan, _Zeros(alone[0], alone[-1]))}"
    if len(found) > _TOLD:
        yield f"after update {found[_TOLD - 1].last}, there are more that have the value 0"


def _stretches(plan: PlanValues, seen: Look, total: int) -> Iterator[_Zeros]:
    numbers, values, each, _ = seen

    def is_zero(value: float) -> bool:
        return value <= _LARGEST

    index = 0
    while index < len(values):
        if not is_zero(values[index]):
            index += 1
            continue
        begin = numbers[index]
        if index:
            begin = each + edge(plan, "learning_rate", begin, numbers[index - 1], each, is_zero)
        while index < len(values) and is_zero(values[index]):
            index += 1
        end = total
        if index < len(values):
            end = edge(plan, "learning_rate", numbers[index - 1], numbers[index], each, is_zero)
        yield _Zeros(begin, end - 1)


def _told(plan: PlanValues, found: _Zeros, total: int) -> str:
    first, last = found
    one, of_epochs = first == last, plan.clock.updates_per_epoch is None
    where = stretch(plan, first, last) if not one else f"epoch {first}" if of_epochs else when(plan, first)
    remedy = ""
    if last == total - 1:
        where += ", the last one," if one else ", the last ones,"
        remedy = ": bound the schedule with .at_least(...)" if _rounded(plan, found) else ": end above 0"
        if one and _inclusive(plan, total):
            remedy = ": leave inclusive=True out, or end above 0"
    if first == 0:
        where = f"every {'epoch' if of_epochs else 'update'}" if last == total - 1 else where
        remedy = ": let the schedule start above 0"
    if one or where.startswith("every"):
        effect = _effect(plan, found).replace("change", "changes").replace("only decay", "only decays")
        return f"{where} has {effect}{remedy}"
    return f"{where} have {_effect(plan, found)}{remedy}"


def _effect(plan: PlanValues, found: _Zeros) -> str:
    spec = plan.recipe.optimizer
    decays = spec is not None and spec.weight_decay_basis == "update" and max(plan.looked_at("weight_decay", found)) > 0
    in_float32 = " in float32" if _rounded(plan, found) else ""
    return f"the value 0{in_float32} and {'only decay the weights' if decays else 'change no weight'}"


def _rounded(plan: PlanValues, found: _Zeros) -> bool:
    return max(plan.looked_at("learning_rate", found)) > 0


def _inclusive(plan: PlanValues, total: int) -> bool:
    """Whether all ramps that end at 0 with the run are inclusive."""
    ends = [
        part.schedule.inclusive
        for part in parts(plan.recipe.schedule("learning_rate"), plan.clock, total)
        if isinstance(part.schedule, Ramp) and part.schedule.final == 0 and part.last == total - 1
        if part.reached(part.time(part.schedule.length(part.ticks))) is not None
    ]
    return bool(ends) and all(ends)
