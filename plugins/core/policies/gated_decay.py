"""The policy of a learning rate that decays every few epochs from a start epoch on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from ..recipes.float32 import float32
from ..recipes.recipe import Recipe
from ..schedules.clock import Clock, Position
from ..schedules.durations import epochs
from ..schedules.serializable import real
from ..schedules.staircases import StepDecay
from .recipe_policy import RecipePolicy


class GatedDecayPolicy(RecipePolicy):
    """Gives base * factor ** (1 + (epoch - start_epoch) // every_epochs) from start_epoch on, at least the floor.

    Args:
        factor: Multiplier of each drop, at least 0.
        start_epoch: The first decayed epoch, counted from 0.
        every_epochs: Whole number of epochs between drops, at least 1.
        floor: The lowest learning rate that the decay reaches.
        base: The learning rate before any decay, or None for each group's own.
        who: Its name in messages.
    """

    kind: ClassVar[str] = "gated decay"

    def __init__(
        self,
        factor: float,
        *,
        start_epoch: int,
        every_epochs: int = 1,
        floor: float = 0.0,
        base: float | None = None,
        who: str,
    ) -> None:
        self.who = who
        for name, found, least in (("start_epoch", start_epoch, 0), ("every_epochs", every_epochs, 1)):
            if not isinstance(found, int) or isinstance(found, bool) or found < least:
                raise self.error(f"{name}={found!r}", f"write a whole number of epochs of at least {least}")
        if real(factor, f"{who}: factor") < 0:
            raise self.error(f"factor={factor!r}", "write a multiplier of at least 0")
        self.start_epoch = start_epoch
        self.floor: float = real(floor, f"{who}: floor")
        if self.floor < 0:
            raise self.error(f"floor={floor!r}", "write a learning rate of at least 0")
        decay = StepDecay(factor, every=epochs(every_epochs), first=epochs(start_epoch))
        super().__init__(Recipe(learning_rate=decay), who=who)
        self.base: float | None = self._checked_base(base)
        self._settings = {
            "factor": decay.factor,
            "start_epoch": start_epoch,
            "every_epochs": every_epochs,
            "floor": self.floor,
            "base": self.base,
        }

    def value(self, hyperparameter: str, base: float, position: Position) -> float:
        return max(super().value(hyperparameter, base, position), self.floor)

    def settings(self) -> dict[str, Any]:
        return self._settings

    def from_settings(self, settings: Mapping[str, Any]) -> Self:
        return type(self)(**settings, who=self.who)

    def possible_mistakes(self, bases: Mapping[str, Sequence[float]], training: Clock) -> list[str]:
        start, last = self.start_epoch, training.epochs
        if last is None:
            return []
        if start >= last:
            return [f"start_epoch={start} is never reached: the last epoch is {last - 1}"]
        for epoch in range(start, last):
            values = (self.value("learning_rate", base, Position(epoch)) for base in bases["learning_rate"])
            if not any(map(float32, values)):
                return [f"learning_rate is 0 from epoch {epoch} on: write a floor="]
        return []

    def check_bases(self, bases: Mapping[str, Sequence[float]]) -> None:
        super().check_bases(bases)
        for base in bases["learning_rate"]:
            if self.floor > base:
                raise self.error(
                    f"floor={self.floor!r} above the learning rate {base!r} that the decay starts from",
                    "write the floor as a learning rate below that, not as a fraction",
                )
