"""The mirrored callbacks that set the learning rate of whole epochs: the gated decay, and the user's own function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from .callbacks import PlanMixin, ScheduleMixin
from .durations import Clock, Position, epochs
from .functions import EpochCallable, EpochValues, takes_previous
from .recipe import Recipe
from .shapes import StepDecay
from .values import real


class EpochGatedDecayMixin(PlanMixin):
    """Multiply the learning rate by `factor` every `every_epochs` epochs, the first time at `start_epoch`.

    learning rate in epoch e = base for e < start_epoch,
    max(base * factor ** (1 + (e - start_epoch) // every_epochs), floor) from there on

    factor: multiplier of each drop, at least 0.
    start_epoch: the first decayed epoch, counted from 0; 0 decays the first epoch already.
    every_epochs: whole number of epochs between drops, at least 1.
    floor: the learning rate below which the decay does not go, in the learning rate's own unit.
    base: the learning rate before any decay, where the optimizer's own is not to be used.

    Raises ValueError or TypeError for arguments out of range; at the start of training for a floor above the base.

    >>> decay = EpochGatedDecayMixin(0.1, start_epoch=5, every_epochs=5)
    >>> decay.prepare(Clock())
    >>> [decay.value("learning_rate", 1.0, Position(epoch)) for epoch in (0, 4, 5, 9, 10)]
    [1.0, 1.0, 0.1, 0.1, 0.010000000000000002]
    """

    driven = ("learning_rate",)

    def __init__(
        self,
        factor: float,
        *,
        start_epoch: int,
        every_epochs: int = 1,
        floor: float = 0.0,
        base: float | None = None,
    ) -> None:
        super().__init__(factor=factor, start_epoch=start_epoch, every_epochs=every_epochs, floor=floor, base=base)
        for name, found, least in (("start_epoch", start_epoch, 0), ("every_epochs", every_epochs, 1)):
            if not isinstance(found, int) or isinstance(found, bool) or found < least:
                raise self.refuse(f"{name}={found!r}", f"write a whole number of epochs of at least {least}")
        if real(factor, f"{type(self).__name__}: factor") < 0:
            raise self.refuse(f"factor={factor!r}", "write a multiplier of at least 0")
        self.floor = real(floor, f"{type(self).__name__}: floor")
        if self.floor < 0:
            raise self.refuse(f"floor={floor!r}", "write a learning rate of at least 0")
        self.base = checked_base(self, base)
        decay = StepDecay(factor, every=epochs(every_epochs), first=epochs(start_epoch))
        self.recipe = Recipe(learning_rate=decay)
        self._settings = {
            "factor": decay.factor,
            "start_epoch": start_epoch,
            "every_epochs": every_epochs,
            "floor": self.floor,
            "base": self.base,
        }

    def value(self, hyperparameter: str, base: float, position: Position) -> float:
        value = super().value(hyperparameter, base, position)
        return max(value, self.floor)

    def settings(self) -> dict[str, Any]:
        return self._settings

    def of_settings(self, settings: Mapping[str, Any]) -> Self:
        return type(self)(**settings)

    def check_bases(self, bases: Mapping[str, Sequence[float]]) -> None:
        super().check_bases(bases)
        for base in bases["learning_rate"]:
            if self.floor > base:
                raise self.refuse(
                    f"floor={self.floor!r} above the learning rate {base!r} from which the decay starts",
                    "write the floor as a learning rate, not as a fraction, and below the start",
                )


class LearningRateSchedulerMixin(ScheduleMixin):
    """Set the learning rate of each epoch by the user's own function, the one that Keras' LearningRateScheduler takes.

    learning rate in epoch e = function(e), or, where the function takes two arguments,
    function(e, learning rate in epoch e - 1), starting from the base value

    function: f(epoch) or f(epoch, learning_rate), without side effects, returning a learning rate. The two-argument
        form is folded over epochs 0 to e from the base value, so that it depends on the epoch alone: a second fit, a
        first epoch other than 0 and a resumed run get the value of an uninterrupted run.
    base: the learning rate before any decay, where the optimizer's own is not to be used.

    Raises TypeError for what is not such a function, and at the start of training for parameter groups of different
    learning rates under a one-argument function, which would make them all the same.

    >>> scheduler = LearningRateSchedulerMixin(lambda epoch, lr: lr * 0.1 if epoch % 5 == 0 and epoch != 0 else lr)
    >>> [scheduler.value("learning_rate", 1.0, Position(epoch)) for epoch in (0, 4, 5, 10)]
    [1.0, 1.0, 0.1, 0.010000000000000002]
    """

    driven = ("learning_rate",)

    def __init__(self, function: EpochCallable, *, base: float | None = None) -> None:
        super().__init__(function=function, base=base)
        try:
            self._folded = takes_previous(function)
        except TypeError as error:
            raise TypeError(f"{type(self).__name__}: {error}") from None
        self.function = function
        self.base = checked_base(self, base)
        self._by_base: dict[float, EpochValues] = {}

    def prepare(self, clock: Clock) -> None:
        """A function of the epoch needs to know nothing of the run's length."""

    def value(self, hyperparameter: str, base: float, position: Position) -> float:
        if base not in self._by_base:
            self._by_base[base] = EpochValues(self.function, base)
        return self._by_base[base](position.epoch)

    def check_bases(self, bases: Mapping[str, Sequence[float]]) -> None:
        rates = sorted(set(bases["learning_rate"]))
        if not self._folded and len(rates) > 1:
            raise self.refuse(
                f"parameter groups with the learning rates {rates} and a function of the epoch alone, "
                f"which would make them the same",
                "write the function as f(epoch, learning_rate)",
            )


def checked_base(callback: ScheduleMixin, base: float | None) -> float | None:
    """`base=` of a callback that sets the learning rate; raises TypeError or ValueError for what is none."""
    if base is None:
        return None
    checked = real(base, f"{type(callback).__name__}: base")
    if checked <= 0:
        raise callback.refuse(f"base={base!r}", "write the learning rate before any decay, greater than 0")
    return checked
