"""What the core's tests share: a schedule's multiplier at every update of a run."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from samestep import Clock, Plan, Recipe, Schedule

PerUpdate = Callable[..., list[float]]


@pytest.fixture
def per_update() -> PerUpdate:
    """per_update(schedule, count, updates_per_epoch, epochs): eta at the run's updates 0 to count - 1, from a plan."""

    def etas(schedule: Schedule, count: int, updates_per_epoch: int = 1, epochs: int | None = None) -> list[float]:
        # The product with 1.0 changes no bit, and lets Constant() be planned, which alone would drive nothing.
        plan = Plan(Recipe(learning_rate=1.0 * schedule), Clock(updates_per_epoch, epochs))
        positions = (divmod(index, updates_per_epoch) for index in range(count))
        return [plan.multiplier("learning_rate", *position) for position in positions]

    return etas
