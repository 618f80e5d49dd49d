"""The policy of a recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Self, get_args

from ..recipes.plan_values import PlanValues
from ..recipes.recipe import Recipe
from ..schedules.clock import Clock, Position
from .policy import Policy

Resolution = Literal["update", "epoch"]


class RecipePolicy(Policy):
    """Gives the values of a recipe's plan.

    Args:
        recipe: The recipe to follow.
        resolution: "update" evaluates the plan at every update; "epoch" holds the value of the epoch's first update.
        who: Its name in messages.
    """

    kind: ClassVar[str] = "recipe"

    def __init__(self, recipe: Recipe, *, resolution: Resolution = "update", who: str) -> None:
        super().__init__(who)
        if resolution not in get_args(Resolution):
            raise self.error(f"resolution={resolution!r}", "write resolution='update' or resolution='epoch'")
        self.recipe, self.resolution = recipe, resolution
        self.spec, self.driven = recipe.optimizer, recipe.driven

    def prepare(self, clock: Clock) -> None:
        try:
            self._plan = PlanValues(self.recipe, clock)
        except ValueError as error:
            raise ValueError(f"{self.who}: {error}") from None
        if self.resolution == "update" and clock.updates_per_epoch is None:
            for name in self.driven:
                if not self._plan.constant_within_epochs(name):
                    raise self.error(
                        f"a {name} schedule that changes within an epoch, and training data of unknown length or "
                        f"manual optimization",
                        "give updates_per_epoch=, or resolution='epoch' to hold the value of each epoch's first update",
                    )

    def value(self, hyperparameter: str, base: float, position: Position) -> float:
        update = position.update if self.resolution == "update" else 0
        return self._plan.value(hyperparameter, position.epoch, update, base)

    def columns(self, hyperparameter: str, bases: Sequence[float], position: Position, count: int) -> list[list[float]]:
        updates = self._plan.clock.updates_per_epoch
        if updates is None or not self.varies_within_epochs():
            return super().columns(hyperparameter, bases, position, count)
        begin = position.epoch * updates + position.update
        return self._plan.columns(hyperparameter, begin, begin + count, bases)

    def units(self) -> frozenset[str]:
        durations = (duration for name in self.driven for duration in self.recipe.schedule(name).durations())
        return frozenset(unit for duration in durations for unit in duration.units)

    def check_bases(self, bases: Mapping[str, Sequence[float]]) -> None:
        for name, values in bases.items():
            try:
                self._plan.check(name, max(values))
            except ValueError as error:
                raise ValueError(f"{self.who}: {error}") from None

    def varies_within_epochs(self) -> bool:
        return self.resolution == "update" and not all(map(self._plan.constant_within_epochs, self.driven))

    def counts_updates(self) -> bool:
        return self.varies_within_epochs() or not all(map(self._plan.in_epochs_alone, self.driven))

    def settings(self) -> dict[str, Any] | None:
        try:
            return {"recipe": self.recipe.to_dict(), "resolution": self.resolution}
        except ValueError:  # a function without a name
            return None

    def from_settings(self, settings: Mapping[str, Any]) -> Self:
        if not isinstance(settings, Mapping) or set(settings) != {"recipe", "resolution"}:
            raise ValueError(f"{self.who}: found the settings {list(settings)}; expected a recipe and a resolution.")
        saved = Recipe.from_dict(settings["recipe"], self.recipe.functions())
        return type(self)(saved, resolution=settings["resolution"], who=self.who)
