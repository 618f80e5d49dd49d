"""A plan in words and as a table: what changes when, to which value, and where two plans differ.

If values change within epochs, all of them are computed: a fraction of a second for a million updates.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

from ..schedules.timeline import boundaries
from ..specs.spec import HYPERPARAMETERS
from .lint import lint
from .plan_values import PlanValues
from .words import shown, stretch, text, when

_LINES = 50  # per hyperparameter
_DROPS = 20  # per part of a schedule, listed one by one


def table(plan: PlanValues) -> str:
    """One row per epoch: its first update, counted over the run, and each value there and at the epoch's end."""
    names = plan.recipe.driven
    total, count = plan.updates("table()"), plan.clock.updates_per_epoch
    rows = [("epoch", "first update", *names)]
    for begin in range(0, total, count or 1):
        cells = [str(begin // (count or 1)), "?" if count is None else str(begin)]
        for name in names:
            end = min(begin + (count or 1), total) - 1
            (first,), (last,) = shown(plan, name, begin, begin + 1), shown(plan, name, end, end + 1)
            cells.append(text(first) if first == last else f"{text(first)} .. {text(last)}")
        rows.append(tuple(cells))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def explain(plan: PlanValues) -> str:
    """What each hyperparameter starts from, when it changes and to what; the decay's shrink; possible mistakes."""
    total, known = plan.updates("explain()"), plan.clock.updates_per_epoch
    epochs = -(-total // (known or 1))
    ends = f", ending after {total} updates" if known is not None and total < epochs * known else ""
    lines = [f"{epochs} epochs of {known or 'an unknown number of'} updates{ends}."]
    for name in plan.recipe.driven:
        of_base = "" if plan.recipe.base(name) is not None else " (as a multiple of the base value)"
        lines.append(f"{name}{of_base}: {plan.recipe.schedule(name)!r}")
        lines += [f"  {line}" for line in _changes(plan, name, total)]
    if plan.recipe.optimizer is not None:
        lines += ["weights without a gradient:", *(f"  {line}" for line in _shrink(plan, total))]
    warnings = lint(plan)
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
    lines = []
    for name in HYPERPARAMETERS:
        a, b = shown(plan, name, 0, min(total, theirs)), shown(other, name, 0, min(total, theirs))
        apart = [abs(x - y) for x, y in zip(a, b, strict=True)]
        if any(apart):
            first, most = next(i for i, gap in enumerate(apart) if gap), apart.index(max(apart))
            furthest = f"; furthest apart at {when(plan, most)}: {_pair(a[most], b[most])}"
            lines.append(
                f"{name}: the first difference is at {when(plan, first)}: {_pair(a[first], b[first])}"
                + (furthest if apart[most] > apart[first] else ", and none is larger")
            )
    if total != theirs:
        unit = "epochs" if plan.clock.updates_per_epoch is None else "updates"
        lines.append(f"the run: {total} and {theirs} {unit}")
    return "\n".join(lines)


def _pair(a: float, b: float) -> str:
    """Two values that differ, with as many digits as show it."""
    return f"{text(a)} and {text(b)}" if text(a) != text(b) else f"{a!r} and {b!r}"


def _changes(plan: PlanValues, name: str, total: int) -> Iterator[str]:
    """A hyperparameter's changes: single ones, and stretches that rise or fall."""
    count = plan.clock.updates_per_epoch or 1
    stepwise = plan.constant_within_epochs(name) or count == 1
    each = count if stepwise else 1
    values = shown(plan, name, 0, total, each)
    yield f"from the start: {text(values[0])}"
    stretches = list(
        _stretches(values, _turns(values, boundaries(plan.recipe.schedule(name), plan.clock, total, each)))
    )
    for first, last in stretches[:_LINES]:
        change = f"{text(values[first - 1])} -> {text(values[last])}"
        if first == last:
            yield f"{when(plan, first * each)}: {change}"
        else:
            yield f"{stretch(plan, first * each, last * each)}: {change}, every {'epoch' if stepwise else 'update'}"
    if len(stretches) > _LINES:
        yield f"... and {len(stretches) - _LINES} more changes"


def _stretches(values: list[float], turns: set[int]) -> Iterator[tuple[int, int]]:
    """The first and last change of each stretch that goes one way without a turn; equal for a single change."""
    i = 1
    while i < len(values):
        first, direction = i, _direction(values, i)
        i += 1
        while i < len(values) and i not in turns and _direction(values, i) == direction:
            i += 1
        if direction and i - first > 2:
            yield first, i - 1
        elif direction:
            yield from ((k, k) for k in range(first, i))


def _turns(values: list[float], boundaries: Iterable[set[int]]) -> set[int]:
    """The changes at boundaries of the schedule's parts where something else begins."""

    def larger(i: int, j: int) -> bool:
        """Whether change i is clearly larger than change j; False if either is outside the run."""
        if not (0 < i < len(values) and 0 < j < len(values)):
            return False
        return abs(values[i] - values[i - 1]) > 1.25 * abs(values[j] - values[j - 1])

    found = set()
    for of_part in boundaries:
        # A jump at k stands alone. If k is reached smoothly, it belongs to the stretch before.
        turns = {k for k in of_part if larger(k, k - 1)}
        turns |= {k + 1 for k in of_part if larger(k, k + 1) or larger(k + 1, k)}
        # More turns are a staircase, whose drops are not worth listing.
        if len(turns) <= 2 * _DROPS:
            found |= turns
    return found


def _direction(values: list[float], i: int) -> int:
    return (values[i] > values[i - 1]) - (values[i] < values[i - 1])


def _shrink(plan: PlanValues, total: int) -> Iterator[str]:
    """The effect of the weight decay alone on a weight, at the start and over the run."""
    names = ("learning_rate", "weight_decay")
    count = plan.clock.updates_per_epoch
    # If neither changes within epochs, one update stands for all of its epoch.
    each = (count or 1) if all(map(plan.constant_within_epochs, names)) else 1
    spec: Any = plan.recipe.optimizer
    values = zip(*(shown(plan, name, 0, total, each) for name in names), strict=True)
    decays = [spec.shrink(rate, decay) for rate, decay in values]
    rates = [(1 - spec.l1_ratio) * decay for decay in decays]
    yield f"shrink by {text(100 * rates[0])} % in the first update"
    if count is not None:
        if max(rates) < 1:
            logs = [math.log1p(-rate) * min(each, total - each * i) for i, rate in enumerate(rates)]
            epoch, run = (0.0 - math.expm1(math.fsum(part)) for part in (logs[: -(-count // each)], logs))
            yield f"by {text(100 * epoch)} % in the first epoch, by {text(100 * run)} % in the run"
        else:
            product = "learning_rate * weight_decay" if spec.weight_decay_basis == "learning_rate" else "their decay"
            yield f"vanish or change their sign where {product} is 1 or more"
    if spec.l1_ratio:
        yield f"move towards 0 by {text(decays[0] * spec.l1_ratio)} in the first update"
    if 0 < rates[0] < 1:
        yield f"at the first update's rate they would halve in {text(math.log(0.5) / math.log1p(-rates[0]))} updates"
