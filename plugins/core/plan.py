"""A plan: a recipe resolved against a clock. For every position, the exact float64 value of every hyperparameter."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from . import explain
from .durations import Clock
from .optimizers import HYPERPARAMETERS
from .schedule import finite, resolve

if TYPE_CHECKING:
    from .recipe import Recipe


class Plan:
    """The values of a recipe's hyperparameters at every position of a run.

    A value depends on the position alone: the same position gives the same bits in any order of asking, in another
    process and after a resume. Positions past the end of the run are allowed and follow the same schedules.

    Raises ValueError where a schedule needs a length that the clock does not know.
    """

    def __init__(self, recipe: Recipe, clock: Clock) -> None:
        self.recipe = recipe
        self.clock = clock
        self._curves = {}
        for name in HYPERPARAMETERS:
            try:
                self._curves[name] = resolve(recipe.schedule(name), clock)
            except ValueError as error:
                raise ValueError(f"the {name} schedule: {error}") from None

    def __repr__(self) -> str:
        return f"Plan({self.recipe!r}, {self.clock!r})"

    def __reduce__(self) -> tuple[type[Plan], tuple[Recipe, Clock]]:
        return Plan, (self.recipe, self.clock)

    def multiplier(self, hyperparameter: str, epoch: int, update: int = 0) -> float:
        """eta of `hyperparameter` at a position, both counted from 0; arguments and errors as for `value`."""
        if hyperparameter not in self._curves:
            self.recipe.schedule(hyperparameter)  # raises
        if epoch < 0 or update < 0:
            raise ValueError(f"found epoch {epoch}, update {update}; both count from 0 and cannot be negative.")
        curve, scale = self._curves[hyperparameter]
        if self.clock.updates_per_epoch is not None:
            time = epoch * self.clock.updates_per_epoch + update
        elif update == 0 or self.constant_within_epochs(hyperparameter):
            time = epoch
        else:
            raise ValueError(
                f"the {hyperparameter} schedule changes within an epoch, so its value at update {update} needs "
                f"updates_per_epoch=, which is unknown."
            )
        try:
            return finite(curve, time * scale)
        except ValueError as error:
            raise ValueError(f"the {hyperparameter} schedule at epoch {epoch}, update {update}: {error}") from None

    def value(self, hyperparameter: str, epoch: int, update: int = 0, base: float | None = None) -> float:
        """The value of `hyperparameter` for the update at a position.

        epoch: from 0. update: from 0 within the epoch; updates_per_epoch of them reach the next epoch's first.
        base: the base value where the recipe has no spec (or where a parameter group has its own).
        Raises ValueError for an unknown name, a negative position, a missing base value, or an update within an epoch
        of unknown length where the schedule changes within epochs.
        """
        if base is None:
            base = self.recipe.base(hyperparameter)
        if base is None:
            raise ValueError(
                f"this recipe has no optimizer, so the value of {hyperparameter} needs base=, the base value."
            )
        value = base * self.multiplier(hyperparameter, epoch, update)
        if not math.isfinite(value):
            raise ValueError(f"the value of {hyperparameter} is too large for a float at epoch {epoch}.")
        return value

    def values(self, hyperparameter: str, epoch: int, base: float | None = None) -> list[float]:
        """The value of `hyperparameter` for each update of an epoch; a single value where their number is unknown.

        Raises ValueError as `value` does, and for an epoch of unknown length within which the schedule changes.
        """
        count = self.clock.updates_per_epoch
        if count is None and not self.constant_within_epochs(hyperparameter):
            raise ValueError(
                f"the {hyperparameter} schedule changes within an epoch, so its values need updates_per_epoch=, "
                f"which is unknown."
            )
        return [self.value(hyperparameter, epoch, update, base) for update in range(count or 1)]

    def constant_within_epochs(self, hyperparameter: str) -> bool:
        """Whether the value can only change at the first update of an epoch."""
        schedule = self.recipe.schedule(hyperparameter)
        length = self.clock.updates_per_epoch or 1
        return schedule.stepwise and all(self.clock.exact(duration) % length == 0 for duration in schedule.durations())

    def in_epochs_alone(self, hyperparameter: str) -> bool:
        """Whether the schedule's durations mean the same whatever the number of updates in an epoch."""
        units = {duration.unit for duration in self.recipe.schedule(hyperparameter).durations()}
        return "updates" not in units and ("percent" not in units or self.clock.max_updates is None)

    def table(self) -> str:
        """One row per epoch: its first update, counted over the run, and each value there and at the epoch's end.

        Raises ValueError where the number of epochs is unknown.
        """
        return explain.table(self)

    def explain(self) -> str:
        """The plan in words: what each hyperparameter starts from, when it changes, and to which value.

        The values of a recipe without a spec are shown as multiples of the base value. Raises ValueError where the
        number of epochs is unknown.
        """
        return explain.explain(self)
