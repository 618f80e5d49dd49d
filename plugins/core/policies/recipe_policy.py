"""The policy of a recipe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, Self, get_args

from ..recipes.lint import lint
from ..recipes.plan_values import PlanValues
from ..recipes.recipe import UNCHANGED, Recipe
from ..schedules.clock import Clock, Position
from ..schedules.epoch_function import function_error
from ..specs.spec import Spec
from .policy import Policy
from .streams import Part, stream_clock, streamed_names

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
        self.recipe: Recipe = recipe
        self.resolution: Resolution = resolution
        self.spec: Spec | None = recipe.optimizer
        self.driven: tuple[str, ...] = recipe.driven

    def prepare(self, clock: Clock) -> None:
        self._streamed = streamed_names(self.recipe, clock)
        self.streams: bool = bool(self._streamed)
        rest = set(self.driven) - self._streamed
        try:
            if self.streams and rest:
                plan = PlanValues(Part(self.recipe, rest), clock)
                stream = PlanValues(Part(self.recipe, self._streamed), stream_clock(clock))
                self._plans = {**dict.fromkeys(rest, plan), **dict.fromkeys(self._streamed, stream)}
                self._whole = None
            else:
                self._whole = PlanValues(self.recipe, stream_clock(clock) if self.streams else clock)
                self._plans = dict.fromkeys(self.driven, self._whole)
        except ValueError as error:
            raise ValueError(f"{self.who}: {error}") from None
        if self.resolution == "update" and clock.updates_per_epoch is None:
            for name in sorted(rest):
                if not self._plans[name].constant_within_epochs(name):
                    raise self.error(
                        f"a {name} schedule that changes within an epoch, and training data of unknown length or "
                        f"manual optimization",
                        "give updates_per_epoch=, or resolution='epoch' to hold the value of each epoch's first update",
                    )

    def value(self, hyperparameter: str, base: float, position: Position) -> float:
        update = position.update if self.resolution == "update" else 0
        if hyperparameter in self._streamed:
            position = Position(0, self.begun + update)
        else:
            position = Position(position.epoch, update)
        return self._plans[hyperparameter].value(hyperparameter, *position, base)

    def columns(self, hyperparameter: str, bases: Sequence[float], position: Position, count: int) -> list[list[float]]:
        plan = self._plans[hyperparameter]
        updates = plan.clock.updates_per_epoch
        if updates is None or not self.varies_within_epochs():
            return super().columns(hyperparameter, bases, position, count)
        begin = self.begun if hyperparameter in self._streamed else position.epoch * updates
        begin += position.update
        return plan.columns(hyperparameter, begin, begin + count, bases)

    def state(self) -> list[int]:
        return [self.begun + self.made] if self.streams else []

    def load_state(self, state: Sequence[Any]) -> None:
        self.begun: int = next((made for made in state if type(made) is int), 0)

    def units(self) -> frozenset[str]:
        durations = (duration for name in self.driven for duration in self.recipe.schedule(name).durations())
        return frozenset(unit for duration in durations for unit in duration.units)

    def check_bases(self, bases: Mapping[str, Sequence[float]]) -> None:
        for name, values in bases.items():
            try:
                self._plans[name].check(name, max(values))
            except ValueError as error:
                raise function_error(self.who, error) from None
            except Exception as error:  # of a function of the user's
                raise function_error(self.who, error) from error

    def possible_mistakes(self, bases: Mapping[str, Sequence[float]], training: Clock) -> list[str]:
        found = [
            f"{name}: every base value is 0, and so is every multiple of it: set {name} in the optimizer, or leave its "
            f"schedule out"
            for name, values in bases.items()
            if not any(values) and self.recipe.schedule(name) != UNCHANGED
        ]
        plan = self._whole
        if plan is not None and plan.clock.length() is not None:
            found += [*lint(plan, remarks=False), *self._beyond(plan, training)]
        return found

    def _beyond(self, plan: PlanValues, training: Clock) -> Iterator[str]:
        """Updates without effect after the end of the run that percentages refer to."""
        own, now = plan.clock.length(), training.length()
        if own is None or now is None or now <= own or "learning_rate" not in self.driven:
            return
        epoch, update = divmod(int(own), plan.clock.updates_per_epoch or 1)
        if plan.multiplier("learning_rate", epoch, update) == 0:
            yield (
                f"learning_rate: it is 0 from {Position(epoch, update)} on, the end of the run that its percentages "
                f"refer to: train no further, or write on_change='use_new'"
            )

    def varies_within_epochs(self) -> bool:
        return self.resolution == "update" and not all(
            plan.constant_within_epochs(name) for name, plan in self._plans.items()
        )

    def counts_updates(self) -> bool:
        return self.varies_within_epochs() or not all(plan.in_epochs_alone(name) for name, plan in self._plans.items())

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
