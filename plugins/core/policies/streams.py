"""Schedules of runs whose epochs have no known length, where the number of updates made says it all.

Training data of unknown length, and manual optimization, leave open how many updates an epoch makes. A schedule whose
durations are updates, or percentages of a number of updates, needs to know only how many the run has made: its plan
takes the whole run as one epoch.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet

from ..recipes.recipe import Recipe
from ..schedules.clock import Clock
from ..schedules.schedule import Constant, Schedule
from ..specs.spec import Spec

_ENDLESS = 2**62  # updates


def streamed_names(recipe: Recipe, clock: Clock) -> frozenset[str]:
    """The hyperparameters whose schedules need the number of updates that a run has made, and that alone."""
    if clock.updates_per_epoch is not None:
        return frozenset()
    known = {"updates"}
    if clock.max_updates is not None and clock.epochs is None:  # otherwise epochs may end the run before
        known.add("percent")

    def units(name: str) -> set[str]:
        return {unit for duration in recipe.schedule(name).durations() for unit in duration.units}

    streamed = frozenset(name for name in recipe.driven if units(name) and units(name) <= known)
    # What has no durations is constant, in whatever it is counted.
    return streamed | {name for name in recipe.driven if streamed and not units(name)}


def stream_clock(clock: Clock) -> Clock:
    """The clock of a run that is one epoch."""
    return Clock(clock.max_updates or _ENDLESS, None, clock.max_updates)


class Part:
    """The schedules of some of a recipe's hyperparameters; the others are constant."""

    def __init__(self, recipe: Recipe, names: AbstractSet[str]) -> None:
        self._recipe, self._names = recipe, names
        self.optimizer: Spec | None = recipe.optimizer
        self.driven: tuple[str, ...] = recipe.driven
        self.base: Callable[[str], float | None] = recipe.base

    def schedule(self, hyperparameter: str) -> Schedule:
        """The schedule of a hyperparameter."""
        return self._recipe.schedule(hyperparameter) if hyperparameter in self._names else Constant()
