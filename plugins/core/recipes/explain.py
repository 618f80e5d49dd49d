"""A plan in words and as a table: what changes when, to which value, and where two plans differ."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..specs.spec import HYPERPARAMETERS
from .changes import changes
from .lint import lint
from .looking import look, parting
from .plan_values import PlanValues
from .shrink import shrink
from .words import apart, text, when


def table(plan: PlanValues) -> str:
    """One row per epoch: its first update, counted over the run, and each value there and at the epoch's end."""
    names = plan.recipe.driven
    total, count = plan.updates("table()"), plan.clock.updates_per_epoch
    rows = [("epoch", "first update", *names)]
    for begin in range(0, total, count or 1):
        cells = [str(begin // (count or 1)), "?" if count is None else str(begin)]
        for name in names:
            end = min(begin + (count or 1), total) - 1
            first, last = plan.looked_at(name, (begin, end))
            cells.append(text(first) if first == last else " .. ".join(apart(first, last)))
        rows.append(tuple(cells))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def explain(plan: PlanValues) -> str:
    """What each hyperparameter starts from, when it changes and to what; the decay's shrink; possible mistakes."""
    total, known = plan.updates("explain()"), plan.clock.updates_per_epoch
    epochs = -(-total // (known or 1))
    ends = f", ending after {total} updates" if known is not None and total < epochs * known else ""
    lines = [f"{epochs} epochs of {known or 'an unknown number of'} updates{ends}."]
    looks = {name: look(plan, name, total) for name in plan.recipe.driven}
    for name, seen in looks.items():
        of_base = "" if plan.recipe.base(name) is not None else " (as a multiple of the base value)"
        lines.append(f"{name}{of_base}: {plan.recipe.schedule(name)!r}")
        lines += [f"  {line}" for line in changes(plan, name, seen, total)]
    if plan.recipe.optimizer is not None:
        lines += shrink(plan, looks, total)
    warnings = lint(plan, looks)
    if warnings:
        lines += ["possible mistakes:", *(f"  {line}" for line in warnings)]
    return "\n".join(lines)


def diff(plan: PlanValues, other: PlanValues) -> str:
    """One line per hyperparameter in which the plans differ: where first, and where most."""
    if plan.clock.updates_per_epoch != other.clock.updates_per_epoch:
        raise ValueError(
            f"diff: found plans of {plan.clock.updates_per_epoch} and {other.clock.updates_per_epoch} updates per "
            f"epoch; expected the same number."
        )
    if (plan.recipe.optimizer is None) is not (other.recipe.optimizer is None):
        raise ValueError(
            "diff: found a recipe with an optimizer and one without, whose values are multiples of the base values; "
            "give both an optimizer, or neither."
        )
    total, theirs = plan.updates("diff()"), other.updates("diff()")
    lines: list[str] = []
    for name in HYPERPARAMETERS:
        lines += _difference(plan, other, name, min(total, theirs))
    if total != theirs:
        unit = "epochs" if plan.clock.updates_per_epoch is None else "updates"
        lines.append(f"the run: {total} and {theirs} {unit}")
    return "\n".join(lines)


def _difference(plan: PlanValues, other: PlanValues, name: str, total: int) -> Iterator[str]:
    looks = [look(each, name, total) for each in (plan, other)]
    numbers = sorted({number for seen in looks for number in seen.numbers})
    a, b = (each.looked_at(name, numbers) for each in (plan, other))
    gaps = [_gap(*pair) for pair in zip(a, b, strict=True)]
    if not any(gaps):
        return
    i, j = next(i for i, gap in enumerate(gaps) if gap), gaps.index(max(gaps))
    first, most = numbers[i], numbers[j]
    every = all(seen.every for seen in looks)
    if not every and i:
        first = parting(numbers[i - 1], first, 1, lambda number: not _gap(*_at(plan, other, name, number)))
    ours, theirs = _at(plan, other, name, first)
    furthest = f"; furthest apart {'at' if every else 'near'} {when(plan, most)}: {_pair(a[j], b[j])}"
    yield (
        f"{name}: the first difference is at {when(plan, first)}: {_pair(ours, theirs)}"
        + (furthest if gaps[j] > _gap(ours, theirs) else ", and none is larger")
    )


def _at(plan: PlanValues, other: PlanValues, name: str, number: int) -> tuple[float, float]:
    """Both plans' values at an update."""
    return plan.looked_at(name, [number])[0], other.looked_at(name, [number])[0]


def _gap(a: float, b: float) -> float:
    """How far apart two values are; infinitely far, if only one of them is a number."""
    if a == b or (math.isnan(a) and math.isnan(b)):
        return 0.0
    return math.inf if math.isnan(a) or math.isnan(b) else abs(a - b)


def _pair(a: float, b: float) -> str:
    """Two values that differ, with as many digits as show it."""
    return " and ".join(apart(a, b))
