"""The base of policies, which give the values of hyperparameters at every position of a run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol, Self

from ..schedules.clock import Clock, Position
from ..schedules.serializable import real
from ..specs.spec import Spec


class Reducer(Protocol):
    """Reduces the values of a hyperparameter that another policy schedules."""

    driven: tuple[str, ...]

    def reduced(self, values: Sequence[float], epoch: int) -> list[float]:
        """The scheduled values of an epoch after the reductions."""


class Policy(ABC):
    """Gives the value of some hyperparameters at every position of a run. It knows no framework and no callback.

    Attributes:
        kind: The name of this kind of policy in checkpoints.
        reduces: Whether it reduces what another policy schedules, if one does.
        driven: The hyperparameters whose values it gives.
        spec: The spec of the optimizer that it is for, or None for any.
        base: The base value of every parameter group, or None for the group's own.
        reduced_by: What reduces its values in this training.
        streams: Whether a schedule needs the number of updates that the run has made, and that alone.
        begun: If so, the number made before the present epoch.
        made: The number made in it, as last noted.
        first_epoch: The epoch at which this training begins.
        who: Its name in messages.
    """

    kind: ClassVar[str]
    reduces: ClassVar[bool] = False
    driven: tuple[str, ...]
    spec: Spec | None = None
    base: float | None = None
    reduced_by: Sequence[Reducer] = ()
    streams: bool = False
    begun: int = 0
    made: int = 0
    first_epoch: int = 0

    def __init__(self, who: str) -> None:
        self.who = who

    @abstractmethod
    def prepare(self, clock: Clock) -> None:
        """Resolve the schedules; raises ValueError if this clock does not allow it."""

    @abstractmethod
    def value(self, hyperparameter: str, base: float, position: Position) -> float:
        """The value of a hyperparameter for the update at `position`, of a parameter group with this base value."""

    def columns(self, hyperparameter: str, bases: Sequence[float], position: Position, count: int) -> list[list[float]]:
        """For each base, the values of `count` updates of an epoch from `position` on."""
        positions = [Position(position.epoch, position.update + n) for n in range(count)]
        return [[self.value(hyperparameter, base, each) for each in positions] for base in bases]

    def reduced_columns(
        self, hyperparameter: str, bases: Sequence[float], position: Position, count: int
    ) -> list[list[float]]:
        """As `columns`, after all reductions."""
        columns = self.columns(hyperparameter, bases, position, count)
        for reducer in self.reduced_by:
            if hyperparameter in reducer.driven:
                columns = [reducer.reduced(column, position.epoch) for column in columns]
        return columns

    def varies_within_epochs(self) -> bool:
        """Whether a value changes between two updates of the same epoch."""
        return False

    def counts_updates(self) -> bool:
        """Whether a value depends on the number of updates in an epoch."""
        return False

    def units(self) -> frozenset[str]:
        """The units of the durations of its schedules."""
        return frozenset()

    def settings(self) -> dict[str, Any] | None:
        """The settings in canonical form, for a checkpoint; None if they cannot be written down."""
        return None

    def from_settings(self, settings: Mapping[str, Any]) -> Self:
        """A policy of this kind, for the same optimizer, with other `settings`.

        Raises:
            ValueError: They are not settings of this kind of policy.
        """
        raise ValueError(f"{self.who}: found {settings!r}; expected no settings.")

    def state(self) -> Sequence[Any]:
        """What it observed during the run and cannot be derived from the position, as plain data."""
        return ()

    def load_state(self, state: Sequence[Any]) -> None:
        """Continue from what `state` returned."""
        return

    def resolve_bases(self, found: Sequence[float]) -> list[float]:
        """The base values of the parameter groups: `base` if given, otherwise the groups' own."""
        if self.base is None:
            return list(found)
        if len(set(found)) > 1:
            raise self.error(
                f"base={self.base!r} for parameter groups with the values {list(found)}",
                "leave base= out: each group starts from its own",
            )
        return [self.base] * len(found)

    def check_bases(self, bases: Mapping[str, Sequence[float]]) -> None:
        """Raise ValueError for base values, by hyperparameter, that this policy cannot start from."""
        return

    def possible_mistakes(self, bases: Mapping[str, Sequence[float]], training: Clock) -> list[str]:
        """What is legal and probably not meant, once prepared: a list of sentences.

        Args:
            bases: The base value of each parameter group, by hyperparameter.
            training: The length of this training, which a continued run's percentages may not refer to.
        """
        return []

    def error(self, found: str, remedy: str) -> ValueError:
        """The error that says who found what, and what to write instead."""
        return ValueError(f"{self.who}: found {found}; {remedy}.")

    def _checked_base(self, base: float | None) -> float | None:
        """`base=` as a learning rate; raises TypeError or ValueError if it is not one."""
        if base is None:
            return None
        checked = real(base, f"{self.who}: base")
        if checked <= 0:
            raise self.error(f"base={base!r}", "write the learning rate before any decay, greater than 0")
        return checked
