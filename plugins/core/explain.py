"""A plan in words and as a table: when what changes, to which value."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .plan import Plan


def table(plan: Plan) -> str:
    """One row per epoch: its first update, counted over the run, and each value there and at the epoch's end."""
    names = plan.recipe.driven
    rows = [("epoch", "first update", *names)]
    for epoch, count in enumerate(_updates_by_epoch(plan, "table()")):
        known = plan.clock.updates_per_epoch
        cells = [str(epoch), "?" if known is None else str(epoch * known)]
        for name in names:
            start, end = _shown(plan, name, epoch, 0), _shown(plan, name, epoch, count - 1)
            cells.append(_text(start) if start == end else f"{_text(start)} .. {_text(end)}")
        rows.append(tuple(cells))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def explain(plan: Plan) -> str:
    """What each hyperparameter starts from, when it changes and to what, and what the weight decay amounts to."""
    counts = _updates_by_epoch(plan, "explain()")
    known = plan.clock.updates_per_epoch
    ends = f", ending after {sum(counts)} updates" if known is not None and sum(counts) < len(counts) * known else ""
    lines = [f"{len(counts)} epochs of {known or 'an unknown number of'} updates{ends}."]
    for name in plan.recipe.driven:
        of_base = "" if plan.recipe.base(name) is not None else " (as a multiple of the base value)"
        lines.append(f"{name}{of_base}: {plan.recipe.schedule(name)!r}")
        lines += [f"  {line}" for line in _changes(plan, name, counts)]
    if plan.recipe.optimizer is not None:
        lines += ["weights without a gradient:", *(f"  {line}" for line in _shrink(plan, counts))]
    return "\n".join(lines)


def _changes(plan: Plan, name: str, counts: list[int]) -> Iterator[str]:
    """The runs of a hyperparameter's values: stretches that stay, single changes, stretches that rise or fall."""
    stepwise = plan.clock.updates_per_epoch is None or plan.constant_within_epochs(name)
    places = [(e, u) for e, count in enumerate(counts) for u in range(1 if stepwise else count)]
    values = [_shown(plan, name, *place) for place in places]
    yield f"from the start: {_text(values[0])}"
    i = 1
    while i < len(values):
        direction = _direction(values, i)
        first = i
        while i < len(values) and _direction(values, i) == direction:
            i += 1
        if direction == 0:
            continue
        if i - first > 2:
            each = "epoch" if stepwise else "update"
            yield (
                f"from {_when(plan, places[first])} at every {each} until {_when(plan, places[i - 1])}: "
                f"{_text(values[first - 1])} -> {_text(values[i - 1])}"
            )
            continue
        for k in range(first, i):
            yield f"from {_when(plan, places[k])}: {_text(values[k - 1])} -> {_text(values[k])}"


def _direction(values: list[float], i: int) -> int:
    return (values[i] > values[i - 1]) - (values[i] < values[i - 1])


def _when(plan: Plan, place: tuple[int, int]) -> str:
    epoch, update = place
    count = plan.clock.updates_per_epoch
    words = f"the first update of epoch {epoch}" if update == 0 else f"epoch {epoch}, update {update}"
    return words if count is None else f"update {epoch * count + update} ({words})"


def _shrink(plan: Plan, counts: list[int]) -> Iterator[str]:
    """What the weight decay alone does to a weight, at the start and over the run."""
    first = plan.value("learning_rate", 0) * plan.value("weight_decay", 0)
    yield f"shrink by {_text(first)} of themselves in the first update"
    if plan.clock.updates_per_epoch is not None:
        rates = [
            plan.value("learning_rate", e, u) * plan.value("weight_decay", e, u)
            for e, count in enumerate(counts)
            for u in range(count)
        ]
        if max(rates) < 1:
            logs = [math.log1p(-rate) for rate in rates]
            epoch, run = (0.0 - math.expm1(math.fsum(part)) for part in (logs[: counts[0]], logs))
            yield f"by {_text(epoch)} in the first epoch, by {_text(run)} in the run"
        else:
            yield "and are gone, or change their sign, where learning_rate * weight_decay is 1 or more"
    if 0 < first < 1:
        yield f"and at the first update's rate would halve in {_text(math.log(0.5) / math.log1p(-first))} updates"


def _updates_by_epoch(plan: Plan, what: str) -> list[int]:
    """The number of updates that each epoch of the run makes; 1 for each where it is not known."""
    count = plan.clock.updates_per_epoch or 1
    length = plan.clock.length()
    if length is None:
        raise ValueError(f"{what} needs the number of epochs, which is unknown; give plan(epochs=...).")
    total = int(length)
    return [min(count, total - begin) for begin in range(0, total, count)]


def _shown(plan: Plan, name: str, epoch: int, update: int) -> float:
    """The value where there is a spec, otherwise the multiplier."""
    base = plan.recipe.base(name)
    return plan.multiplier(name, epoch, update) if base is None else plan.value(name, epoch, update)


def _text(value: float) -> str:
    return f"{value:.6g}"
