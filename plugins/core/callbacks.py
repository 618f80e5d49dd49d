"""What each mirrored pair of callbacks shares: constructor, validation, values and messages, written once.

The classes here are mixins without a framework. `samestep.lightning` and `samestep.keras` add their hooks and nothing
else, so that signatures and error messages cannot drift apart.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, Self, get_args

from .durations import Clock, Position
from .optimizers import Spec
from .plan import Plan
from .recipe import Recipe

Resolution = Literal["update", "epoch"]
OnChange = Literal["raise", "use_new", "use_saved"]
Key = str | int
"""Which optimizer: the path of the part of the model whose parameters it has, or its number."""


class Reducer(Protocol):
    """What reduces the values of a hyperparameter that another callback schedules."""

    driven: tuple[str, ...]

    def reduced(self, values: Sequence[float], epoch: int) -> list[float]:
        """What scheduled values of an epoch become."""


class ScheduleMixin(ABC):
    """A callback that decides the value of some hyperparameters at every position of a run."""

    driven: tuple[str, ...]
    resolution: Resolution = "epoch"
    updates_per_epoch: int | None = None
    base: float | None = None
    spec: Spec | None = None
    verify: bool = False
    on_change: OnChange | None = None  # what holds where a run goes on by other settings; None warns, of the new ones
    of: Key | None = None
    reduces: bool = False  # whether it reduces what another callback schedules, where one does
    reduced_by: Sequence[Reducer] = ()  # what reduces its values in this training

    def __init__(self, **arguments: Any) -> None:
        super().__init__()
        self._arguments = arguments

    @property
    def who(self) -> str:
        """The callback, and which optimizer's part of it where it has several, as messages name it."""
        return type(self).__name__ if self.of is None else f"{type(self).__name__} of {self.of!r}"

    @property
    def parts(self) -> Mapping[Key, ScheduleMixin] | None:
        """What drives which optimizer, where this callback tells them apart."""
        return None

    @property
    def drives_each(self) -> bool:
        """Whether several optimizers are all driven by the same schedule."""
        return True

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self._arguments.items())})"

    def clock(self, updates: int | None, epochs: int | None, max_updates: int | None = None) -> Clock:
        """What the trainer knows of the run's length, joined with `updates_per_epoch=`.

        Raises ValueError where the two contradict each other.
        """
        given = self.updates_per_epoch
        if given is not None and updates is not None and given != updates:
            raise ValueError(
                f"{self.who}: found updates_per_epoch={given}, but the trainer makes {updates} updates in "
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

    def used(self, hyperparameter: str, base: float, position: Position) -> float:
        """The value for the update at `position`, as all that reduces it has it."""
        return self.used_columns(hyperparameter, [base], position, 1)[0][0]

    def used_columns(
        self, hyperparameter: str, bases: Sequence[float], position: Position, count: int
    ) -> list[list[float]]:
        """As `columns`, as all that reduces the values has them."""
        columns = self.columns(hyperparameter, bases, position, count)
        for reducer in self.reduced_by:
            if hyperparameter in reducer.driven:
                columns = [reducer.reduced(column, position.epoch) for column in columns]
        return columns

    def varies_within_epochs(self) -> bool:
        """Whether some value changes between two updates of the same epoch."""
        return False

    def counts_updates(self) -> bool:
        """Whether some value would be another one if an epoch had another number of updates."""
        return False

    def settings(self) -> dict[str, Any] | None:
        """What decides the values, in canonical form, for a checkpoint; None where that cannot be written down."""
        return None

    def of_settings(self, settings: Mapping[str, Any]) -> ScheduleMixin:
        """A callback for the same optimizer of the `settings` of another; raises ValueError where they are not some."""
        raise ValueError(f"{self.who}: found {settings!r}; expected none.")

    def memory(self) -> Sequence[Any]:
        """What it has seen of the run, as plain data, and would need to go on."""
        return ()

    def recall(self, memory: Sequence[Any]) -> None:
        """Go on with what `memory` gave."""
        return

    def units(self) -> frozenset[str]:
        """The units of the durations of its schedules."""
        return frozenset()

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
        return ValueError(f"{self.who}: found {reason}; {remedy}.")


class PlanMixin(ScheduleMixin):
    """A callback whose values are those of a recipe's plan."""

    recipe: Recipe

    def prepare(self, clock: Clock) -> None:
        try:
            self._plan = Plan(self.recipe, clock)
        except ValueError as error:
            raise ValueError(f"{self.who}: {error}") from None
        if self.resolution == "update" and clock.updates_per_epoch is None:
            for name in self.driven:
                if not self._plan.constant_within_epochs(name):
                    raise self.refuse(
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


class HyperparameterSchedulerMixin(PlanMixin):
    """Makes an optimizer follow a recipe, or several optimizers one each.

    recipe: what to follow. With a spec it drives every hyperparameter of an optimizer that `build_optimizer` made
        from that spec; without one, its schedules drive whatever optimizer there is. For a model of several optimizers
        a mapping: a recipe by the path of the part of the model whose parameters the optimizer has, or by its number.
    resolution: "update" evaluates the plan at every update; "epoch" holds the value of the epoch's first update.
    updates_per_epoch: the number of updates in an epoch, where the trainer cannot know it: for training data of unknown
        length and under manual optimization. For several optimizers one number, or a mapping with the same keys.
    on_change: what to do where a run goes on from a checkpoint that was trained with another recipe. "raise" tells the
        differences; "use_new" goes on by this recipe and the length of this run, from the position of the checkpoint;
        "use_saved" by the recipe of the checkpoint. With the same recipe, and with "use_saved", percentages are of the
        length that the run had at its start, so that a run which is extended is not stretched.
    verify: check that the optimizer holds the planned values, at every update (Lightning) or epoch (Keras), and stop
        with a message that says what was written last, and by whom, where it does not.

    Raises TypeError or ValueError for arguments that are not of this kind, and at the start of training, before the
    first batch, for what cannot be honoured.

    >>> from samestep import StepDecay, Warmup
    >>> scheduler = HyperparameterSchedulerMixin(
    ...     {
    ...         "generator": Recipe(learning_rate=Warmup("4 updates")),
    ...         "discriminator": Recipe(weight_decay=StepDecay(0.1, "1 epoch")),
    ...     }
    ... )
    >>> scheduler.driven
    ('learning_rate', 'weight_decay')
    """

    on_change: OnChange

    def __init__(
        self,
        recipe: Recipe | Mapping[Key, Recipe],
        *,
        resolution: Resolution = "update",
        updates_per_epoch: int | Mapping[Key, int] | None = None,
        on_change: OnChange = "raise",
        verify: bool = False,
    ) -> None:
        super().__init__(
            recipe=recipe,
            resolution=resolution,
            updates_per_epoch=updates_per_epoch,
            on_change=on_change,
            verify=verify,
        )
        if resolution not in ("update", "epoch"):
            raise self.refuse(f"resolution={resolution!r}", "write resolution='update' or resolution='epoch'")
        if not isinstance(verify, bool):
            raise self.refuse(f"verify={verify!r}", "write verify=True or verify=False")
        self.on_change = checked_on_change(self, on_change)
        self.resolution, self.verify = resolution, verify
        self._parts = None
        if isinstance(recipe, Recipe):
            Clock(updates_per_epoch)  # type: ignore[arg-type]  # it refuses a mapping
            self.recipe, self.spec, self.driven = recipe, recipe.optimizer, recipe.driven
            self.updates_per_epoch = updates_per_epoch  # type: ignore[assignment]
        else:
            self._parts = self._checked_parts(recipe, updates_per_epoch)
            self.driven = tuple(dict.fromkeys(name for part in self._parts.values() for name in part.driven))

    def _checked_parts(self, recipe: Any, given: Any) -> dict[Key, HyperparameterSchedulerMixin]:
        """A callback for each of the recipes of a mapping."""
        if not isinstance(recipe, Mapping) or not recipe:
            raise TypeError(
                f"{type(self).__name__}: found {recipe!r} ({type(recipe).__name__}); expected a Recipe, such as "
                f"Recipe(learning_rate=StepDecay(0.1, every=epochs(5))), or several by their optimizers, such as "
                f"{{'generator': Recipe(...), 'discriminator': Recipe(...)}}."
            )
        parts = {}
        for key, each in recipe.items():
            if isinstance(key, bool) or not isinstance(key, (str, int)) or isinstance(each, Mapping):
                raise TypeError(
                    f"{type(self).__name__}: found {key!r}: {each!r}; expected a Recipe by the path of a part of the "
                    f"model, such as 'generator', or by the number of an optimizer, such as 0."
                )
            updates = given.get(key) if isinstance(given, Mapping) else given
            parts[key] = self._part(each, self.resolution, updates, key)
        unknown = [key for key in given if key not in recipe] if isinstance(given, Mapping) else []
        if unknown:
            raise self.refuse(f"updates_per_epoch for {unknown}", f"give it for {list(recipe)}, as the recipes are")
        return parts

    def _part(self, recipe: Any, resolution: Any, updates: int | None, of: Key | None) -> Self:
        part = type(self)(
            recipe, resolution=resolution, updates_per_epoch=updates, on_change=self.on_change, verify=self.verify
        )
        part.of = of
        return part

    @property
    def parts(self) -> Mapping[Key, ScheduleMixin] | None:
        return self._parts

    @property
    def drives_each(self) -> bool:
        return False

    def settings(self) -> dict[str, Any] | None:
        try:
            return {"recipe": self.recipe.to_dict(), "resolution": self.resolution}
        except ValueError:  # a function without a name
            return None

    def of_settings(self, settings: Mapping[str, Any]) -> Self:
        if not isinstance(settings, Mapping) or set(settings) != {"recipe", "resolution"}:
            raise ValueError(f"{self.who}: found the settings {list(settings)}; expected a recipe and a resolution.")
        saved = Recipe.from_dict(settings["recipe"], self.recipe.functions())
        return self._part(saved, settings["resolution"], self.updates_per_epoch, self.of)


def checked_on_change(callback: ScheduleMixin, on_change: Any) -> OnChange:
    """`on_change` as it was given; raises ValueError for none of the three."""
    if on_change not in get_args(OnChange):
        raise callback.refuse(
            f"on_change={on_change!r}", "write on_change='raise', on_change='use_new' or on_change='use_saved'"
        )
    checked: OnChange = on_change
    return checked
