"""Random compositions of every shape, always the same ones, as data that another Python reads."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from samestep import Clock, Recipe, Schedule
from tests.core.strategies import clocks, schedules


def compositions(count: int) -> list[dict[str, Any]]:
    """`count` schedules with a clock and a base value each, in which every value of the run is one."""
    found: list[dict[str, Any]] = []

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(schedules, clocks, st.floats(1e-6, 1.0))
    def collect(schedule: Schedule, clock: Clock, base: float) -> None:
        plan = Recipe(learning_rate=schedule).plan(clock.updates_per_epoch, clock.epochs)
        try:
            plan.values("learning_rate", base=base)
        except ValueError:  # grows beyond a float
            return
        found.append({"schedule": schedule.to_dict(), "clock": [clock.updates_per_epoch, clock.epochs], "base": base})

    collect()
    return found
