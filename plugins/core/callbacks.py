"""What each mirrored pair of callbacks shares: constructor, validation, values and messages, written once.

The classes here are mixins without a framework. `samestep.lightning` and `samestep.keras` add their hooks and nothing
else, so that signatures and error messages cannot drift apart.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from .durations import Clock, Position, epochs
from .functions import EpochCallable, EpochValues, takes_previous
from .optimizers import Spec
from .plan import Plan
from .recipe import Recipe
from .shapes import StepDecay
from .trace import Trace
from .values import real

Resolution = Literal["update", "epoch"]


class ScheduleMixin(ABC):
    """A callback that decides the value of some hyperparameters at every position of a run."""

    driven: tuple[str, ...]
    resolution: Resolution = "epoch"
    updates_per_epoch: int | None = None
    base: float | None = None
    spec: Spec | None = None

    def __init__(self, **arguments: Any) -> None:
        super().__init__()
        self._arguments = arguments

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self._arguments.items())})"

    def clock(self, updates: int | None, epochs: int | None, max_updates: int | None = None) -> Clock:
        """What the trainer knows of the run's length, joined with `updates_per_epoch=`.

        Raises ValueError where the two contradict each other.
        """
        given = self.updates_per_epoch
        if given is not None and updates is not None and given != updates:
            raise ValueError(
                f"{type(self).__name__}: found updates_per_epoch={given}, but the trainer makes {updates} updates in "
                f"an epoch; leave updates_per_epoch= out."
            )
        return Clock(given if updates is None else updates, epochs, max_updates)

    @abstractmethod
    def prepare(self, clock: Clock) -> None:
        """Resolve the schedule; raises ValueError for what this clock cannot honour."""

    @abstractmethod
    def value(self, hyperparameter: str, base: float, position: Position) -> float:
        """The value of a hyperparameter for the update at `position`, of a parameter group with this base value."""

    def columns(self, hyperparameter: str, bases: Sequence[float], position: Position, count: int) -> list[list[float]]:
        """For each base the values for the update at `position` and those after it in the epoch, `count` in all."""
        positions = [Position(position.epoch, position.update + n) for n in range(count)]
        return [[self.value(hyperparameter, base, each) for each in positions] for base in bases]

    def varies_within_epochs(self) -> bool:
        """Whether some value changes between two updates of the same epoch."""
        return False

    def counts_updates(self) -> bool:
        """Whether some value would be another one if an epoch had another number of updates."""
        return False

    def own_bases(self, found: Sequence[float]) -> list[float]:
        """The base values of the groups of parameters: `base` where it is given, otherwise those that were found."""
        if self.base is None:
            return list(found)
        if len(set(found)) > 1:
            raise self.refuse(
                f"base={self.base!r} for parameter groups whose own are {list(found)}",
                "leave base= out: each group is scheduled from its own",
            )
        return [self.base] * len(found)

    def check_bases(self, bases: Mapping[str, Sequence[float]]) -> None:
        """Refuse base values, by hyperparameter, from which this callback cannot start. By default there are none."""
        return

    def refuse(self, reason: str, remedy: str) -> ValueError:
        """The error for what cannot be honoured: who, what was found, and what to write instead."""
        return ValueError(f"{type(self).__name__}: found {reason}; {remedy}.")


class _PlanMixin(ScheduleMixin):
    """A callback whose values are those of a recipe's plan."""

    recipe: Recipe

    def prepare(self, clock: Clock) -> None:
        try:
            self._plan = Plan(self.recipe, clock)
        except ValueError as error:
            raise ValueError(f"{type(self).__name__}: {error}") from None
        if self.resolution == "update" and clock.updates_per_epoch is None:
            for name in self.driven:
                if not self._plan.constant_within_epochs(name):
                    raise self.refuse(
                        f"a {name} schedule that changes within an epoch, and training data of unknown length",
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

    def check_bases(self, bases: Mapping[str, Sequence[float]]) -> None:
        for name, values in bases.items():
            try:
                self._plan.check(name, max(values))
            except ValueError as error:
                raise ValueError(f"{type(self).__name__}: {error}") from None

    def varies_within_epochs(self) -> bool:
        return self.resolution == "update" and not all(map(self._plan.constant_within_epochs, self.driven))

    def counts_updates(self) -> bool:
        return self.varies_within_epochs() or not all(map(self._plan.in_epochs_alone, self.driven))


class HyperparameterSchedulerMixin(_PlanMixin):
    """Makes an optimizer follow a recipe.

    recipe: what to follow. With a spec it drives every hyperparameter of an optimizer that `build_optimizer` made
        from that spec; without one, its schedules drive whatever optimizer there is.
    resolution: "update" evaluates the plan at every update; "epoch" holds the value of the epoch's first update.
    updates_per_epoch: the number of updates in an epoch, where the training data does not know its length.

    Raises TypeError or ValueError for arguments that are not of this kind, and at the start of training, before the
    first batch, for what cannot be honoured.
    """

    def __init__(
        self, recipe: Recipe, *, resolution: Resolution = "update", updates_per_epoch: int | None = None
    ) -> None:
        super().__init__(recipe=recipe, resolution=resolution, updates_per_epoch=updates_per_epoch)
        if not isinstance(recipe, Recipe):
            raise TypeError(
                f"{type(self).__name__}: found {recipe!r} ({type(recipe).__name__}); expected a Recipe, such as "
                f"Recipe(learning_rate=StepDecay(0.1, every=epochs(5)))."
            )
        if resolution not in ("update", "epoch"):
            raise self.refuse(f"resolution={resolution!r}", "write resolution='update' or resolution='epoch'")
        Clock(updates_per_epoch)
        self.recipe = recipe
        self.spec = recipe.optimizer
        self.driven = recipe.driven
        self.resolution = resolution
        self.updates_per_epoch = updates_per_epoch


class EpochGatedDecayMixin(_PlanMixin):
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
        self.base = _checked_base(self, base)
        self.recipe = Recipe(learning_rate=StepDecay(factor, every=epochs(every_epochs), first=epochs(start_epoch)))

    def value(self, hyperparameter: str, base: float, position: Position) -> float:
        value = super().value(hyperparameter, base, position)
        return max(value, self.floor)

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
        self.base = _checked_base(self, base)
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


class TraceRecorderMixin:
    """Records the values that the optimizer really uses, update by update, into `trace`.

    trace: the `Trace` of the latest training run.
    """

    def __init__(self) -> None:
        super().__init__()
        self.trace = Trace()


def refuse_second_driver(first: ScheduleMixin, second: ScheduleMixin, hyperparameter: str) -> ValueError:
    """The error for two callbacks of ours that drive the same hyperparameter of the same optimizer."""
    return ValueError(
        f"found two callbacks that drive {hyperparameter}: {first!r} and {second!r}; keep one of them, or multiply "
        f"their schedules in one recipe."
    )


def refuse_other_driver(callback: ScheduleMixin, hyperparameter: str, other: str, remedy: str) -> ValueError:
    """The error for a hyperparameter that something else drives already, such as a framework's own scheduler."""
    return callback.refuse(f"{other}, which drives {hyperparameter} already", remedy)


def refuse_longer_epoch(callback: ScheduleMixin, epoch: int, updates: int) -> ValueError:
    """The error for an epoch that goes on after the number of updates that the plan was resolved for."""
    return callback.refuse(
        f"more than {updates} updates in epoch {epoch}, where updates_per_epoch is {updates}",
        "give the number of updates that an epoch makes",
    )


def refuse_other_spec(callback: ScheduleMixin, difference: str) -> ValueError:
    """The error for an optimizer whose numbers are not those of the recipe's spec."""
    return callback.refuse(
        f"an optimizer that is not the recipe's: {difference}",
        "build it with build_optimizer(recipe.optimizer, model), or leave the optimizer out of the recipe to drive "
        "any optimizer by the schedules alone",
    )


def _checked_base(callback: ScheduleMixin, base: float | None) -> float | None:
    if base is None:
        return None
    checked = real(base, f"{type(callback).__name__}: base")
    if checked <= 0:
        raise callback.refuse(f"base={base!r}", "write the learning rate before any decay, greater than 0")
    return checked
