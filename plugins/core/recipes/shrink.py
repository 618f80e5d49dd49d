"""The effect of the weight decay alone on a weight, in words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from .looking import Look
from .plan_values import PlanValues
from .words import text


def shrink(plan: PlanValues, looks: Mapping[str, Look], total: int) -> Iterator[str]:
    """What an update without a gradient does to a weight, at the start and over the run; nothing if it is unknown.

    Args:
        plan: The plan.
        looks: What was seen of each hyperparameter.
        total: The number of updates in the run, or of epochs if their length is unknown.
    """
    names = ("learning_rate", "weight_decay")
    count, spec, every = plan.clock.updates_per_epoch, plan.recipe.optimizer, all(looks[name].every for name in names)
    # If neither changes within epochs, one update stands for all of its epoch.
    each = min(looks[name].each for name in names)
    numbers = sorted(
        {count or 0, *(number for name in names if looks[name].each == each for number in looks[name].numbers)}
    )
    numbers = [number for number in numbers if number < total]
    values = zip(*(plan.looked_at(name, numbers) for name in names), strict=True)
    decays: list[Any] = [spec.shrink(rate, decay) for rate, decay in values]
    rates = [(1 - spec.l1_ratio) * decay for decay in decays]
    if not all(map(math.isfinite, rates)):
        return
    yield "weights without a gradient:"
    yield f"  shrink by {text(100 * rates[0])} % in the first update"
    if count is not None:
        if max(rates) < 1:
            logs = list(_sums(numbers, [math.log1p(-rate) for rate in rates], total, each))
            first = [log for number, log in zip(numbers, logs, strict=True) if number < count]
            about, digits = ("", 6) if every else ("about ", 3)
            epoch, run = (text(100 * (0.0 - math.expm1(math.fsum(of))), digits) for of in (first, logs))
            yield f"  by {about}{epoch} % in the first epoch, by {about}{run} % in the run"
        else:
            product = "learning_rate * weight_decay" if spec.weight_decay_basis == "learning_rate" else "their decay"
            share = " * (1 - l1_ratio)" if spec.l1_ratio else ""
            yield f"  vanish or change their sign where {product}{share} is 1 or more"
    if spec.l1_ratio:
        yield f"  move towards 0 by {text(decays[0] * spec.l1_ratio)} in the first update"
    if 0 < rates[0] < 1:
        halved = math.log(0.5) / math.log1p(-rates[0])
        yield f"  at the first update's rate they would halve in {text(halved)} updates"


def _sums(numbers: list[int], values: list[float], total: int, each: int) -> Iterator[float]:
    """The sum of the values from each number to the next: by a straight line, if those between were not looked at."""
    for (number, after), (value, following) in zip(
        pairwise([*numbers, total]), pairwise([*values, values[-1]]), strict=True
    ):
        between = after - number
        yield value * between if between <= each else (value + following) / 2 * between + (value - following) / 2
