"""A recipe: an optimizer's spec and a schedule for each of its hyperparameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..arguments.check import ChecksArguments, check, checks_arguments, parameters_of
from ..arguments.depth import is_too_deep
from ..arguments.given import hook_error
from ..arguments.mistakes import meant_by
from ..schedules.clock import Clock
from ..schedules.epoch_function import functions
from ..schedules.schedule import Constant, Schedule
from ..schedules.serializable import Functions
from ..specs.spec import HYPERPARAMETERS, Spec
from .plan import Plan

UNCHANGED = Constant()
_VERSION = 1


@dataclass(frozen=True, repr=False)
class Recipe(ChecksArguments):
    """What a training run does with its hyperparameters; the same object drives Lightning and Keras.

    Args:
        optimizer: The spec, or None for a recipe whose schedules drive whatever optimizer you have.
        learning_rate: Schedule, the multiplier of the spec's learning rate.
        weight_decay: Schedule, the multiplier of the spec's weight decay.
        momentum: Schedule, the multiplier of Adam's beta_1 or of SGD's momentum. The values must stay below 1.

    Raises:
        TypeError: `optimizer` is not a spec, or a schedule is not one.
        ValueError: The recipe would drive nothing.

    >>> from samestep import AdamW, StepDecay, epochs
    >>> recipe = Recipe(AdamW(learning_rate=0.5), learning_rate=StepDecay(0.5, every=epochs(2)))
    >>> [recipe.plan(updates_per_epoch=10, epochs=4).value("learning_rate", epoch) for epoch in range(4)]
    [0.5, 0.5, 0.25, 0.25]
    """

    optimizer: Spec | None = None
    learning_rate: Schedule = UNCHANGED
    weight_decay: Schedule = UNCHANGED
    momentum: Schedule = UNCHANGED

    def __post_init__(self) -> None:
        if self.optimizer is not None and not isinstance(self.optimizer, Spec):
            found, remedy = self.optimizer, "write learning_rate= before it"
            raise TypeError(f"Recipe.optimizer: {_misplaced(found, Schedule, 'spec', remedy) or Spec._mistaken(found)}")
        for name in HYPERPARAMETERS:
            found = getattr(self, name)
            if not isinstance(found, Schedule):
                said = _misplaced(found, Spec, "schedule", "write optimizer= before it") or _misplaced(
                    found,
                    (int, float),
                    f"schedule, such as {Schedule._example}",
                    "a constant value belongs in the optimizer's spec",
                )
                raise TypeError(f"Recipe.{name}: {said or Schedule._mistaken(found)}")
        if not self.driven:
            raise ValueError(
                "Recipe: found neither an optimizer nor a schedule, which drives nothing; give an optimizer, such as "
                f"{Spec._example}, or a schedule, such as learning_rate={Schedule._example}."
            )

    def __repr__(self) -> str:
        """The expression that makes this recipe, without what it leaves alone."""
        given = {name: getattr(self, name) for name in ("optimizer", *HYPERPARAMETERS)}
        shown = [f"{name}={each!r}" for name, each in given.items() if each is not None and each != UNCHANGED]
        return f"{type(self).__name__}({', '.join(shown)})"

    def __getattr__(self, name: str) -> Any:
        error = hook_error(self, name)  # of a trainer that was given the recipe as a callback
        if error is not None:
            raise error
        return object.__getattribute__(self, name)  # raises

    @property
    def driven(self) -> tuple[str, ...]:
        """The hyperparameters that this recipe decides: all of them with a spec, otherwise those with a schedule."""
        if self.optimizer is not None:
            return HYPERPARAMETERS
        return tuple(name for name in HYPERPARAMETERS if self.schedule(name) != UNCHANGED)

    def schedule(self, hyperparameter: str) -> Schedule:
        """The schedule of a hyperparameter.

        Raises:
            ValueError: There is no hyperparameter of this name.
        """
        if hyperparameter not in HYPERPARAMETERS:
            meant = meant_by(str(hyperparameter), HYPERPARAMETERS)
            remedy = f": write {meant!r}" if meant else ""
            raise ValueError(
                f"found the hyperparameter {hyperparameter!r}; expected one of {', '.join(HYPERPARAMETERS)}{remedy}."
            )
        schedule: Schedule = getattr(self, hyperparameter)
        return schedule

    def base(self, hyperparameter: str) -> float | None:
        """The base value of a hyperparameter in the spec, or None without a spec.

        Raises:
            ValueError: There is no hyperparameter of this name.
        """
        self.schedule(hyperparameter)
        return None if self.optimizer is None else float(getattr(self.optimizer, hyperparameter))

    def functions(self) -> Functions:
        """Your functions in the schedules, by the names that `to_dict` writes."""
        return {name: each for kind in HYPERPARAMETERS for name, each in functions(self.schedule(kind)).items()}

    @checks_arguments
    def plan(
        self,
        updates_per_epoch: int | None = None,
        epochs: int | None = None,
        max_updates: int | None = None,
    ) -> Plan:
        """This recipe resolved against a run's length.

        Args:
            updates_per_epoch: Updates in each epoch, or None if unknown; see `Clock`.
            epochs: Epochs of the run, or None if unknown.
            max_updates: The run ends after this many updates even if `epochs` are not complete.

        Raises:
            ValueError: A schedule needs a length that is unknown; see `Plan`.
        """
        return Plan(self, Clock(updates_per_epoch, epochs, max_updates))

    def to_dict(self) -> dict[str, Any]:
        """This recipe as JSON-ready data, with a version."""
        return {
            "version": _VERSION,
            "optimizer": None if self.optimizer is None else self.optimizer.to_dict(),
            **{name: self.schedule(name).to_dict() for name in HYPERPARAMETERS},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], functions: Functions | None = None) -> Recipe:
        """The recipe that `to_dict` wrote; nothing in the data is imported or executed.

        Args:
            data: What `to_dict` wrote.
            functions: The functions of each `EpochFunction`, by the names that `to_dict` wrote.

        Raises:
            ValueError: Another version; fields that are unknown or invalid; or data that is nested too deeply. A field
                that is missing has its default.
        """
        if is_too_deep(data):
            raise ValueError("Recipe: found data that is nested too deeply; expected what to_dict() writes.")
        if not isinstance(data, Mapping):
            raise ValueError(f"Recipe: found {data!r}; expected a dictionary, as written by to_dict().")
        version = data.get("version", _VERSION)
        if version != _VERSION or isinstance(version, bool):
            raise ValueError(f"Recipe: found version {version!r}; this samestep reads version {_VERSION}.")
        parts = {str(name): part for name, part in data.items() if name != "version"}
        try:
            check("Recipe", parameters_of(cls), (), parts)
        except TypeError as error:
            raise ValueError(str(error)) from None
        spec = parts.pop("optimizer", None)
        return cls(
            None if spec is None else Spec.from_dict(spec, functions),
            **{name: Schedule.from_dict(part, functions) for name, part in parts.items()},
        )


def _misplaced(found: object, kinds: type | tuple[type, ...], expected: str, remedy: str) -> str:
    """The end of the message about a value of these kinds, which belongs elsewhere; "" for any other value."""
    if not isinstance(found, kinds):
        return ""
    return f"found {found!r} ({type(found).__name__}); expected a {expected}: {remedy}."
