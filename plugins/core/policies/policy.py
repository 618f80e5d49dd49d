"""What gives the values of hyperparameters at every position of a run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol, Self

from ..schedules.durations import Clock, Position
from ..schedules.serializable import real
from ..specs.spec import Spec


class Reducer(Protocol):
    """What reduces the values of a hyperparameter that another policy schedules."""

    driven: tuple[str, ...]

    def reduced(self, values: Sequence[float], epoch: int) -> list[float]:
        """What scheduled values of an epoch become."""


class Policy(ABC):
    """Gives the value of some hyperparameters at every position of a run. It knows no framework and no callback.

    Attributes:
        kind: What a checkpoint calls a policy of this class.
        reduces: Whether it reduces what another policy schedules, where one does.
        driven: The hyperparameters that it gives the values of.
        spec: The optimizer that it is for, or None for any.
        base: The base value of every parameter group, or None for the group's own.
        reduced_by: What reduces its values in this training.
        who: What messages call it.
    """

    kind: ClassVar[str]
    reduces: ClassVar[bool] = False
    driven: tuple[str, ...]
    spec: Spec | None = None
    base: float | None = None
    reduced_by: Sequence[Reducer] = ()

    def __init__(self, who: str) -> None:
        self.who = who

    @abstractmethod
    def prepare(self, clock: Clock) -> None:
        """Resolve the schedules; raises ValueError for what this clock cannot honour."""

    @abstractmethod
    def value(self, hyperparameter: str, base: float, position: Position) -> float:
        """The value of a hyperparameter for the update at `position`, of a parameter group with this base value."""

    def columns(self, hyperparameter: str, bases: Sequence[float], position: Position, count: int) -> list[list[float]]:
        """For each base, the values for the update at `position` and those after it in the epoch, `count` in all."""
        positions = [Position(position.epoch, position.update + n) for n in range(count)]
        return [[self.value(hyperparameter, base, each) for each in positions] for base in bases]

    def reduced_columns(
        self, hyperparameter: str, bases: Sequence[float], position: Position, count: int
    ) -> list[list[float]]:
        """As `columns`, after everything that reduces the values."""
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

    def units(self) -> frozenset[str]:
        """The units of the durations of its schedules."""
        return frozenset()

    def settings(self) -> dict[str, Any] | None:
        """What decides the values, in canonical form, for a checkpoint; None where that cannot be written down."""
        return None

    def from_settings(self, settings: Mapping[str, Any]) -> Self:
        """A policy of this kind, for the same optimizer, of the `settings` of another one.

        Raises:
            ValueError: They are not the settings of a policy of this kind.
        """
        raise ValueError(f"{self.who}: found {settings!r}; expected no settings.")

    def state(self) -> Sequence[Any]:
        """What it has seen of the run and cannot be had from the position, as plain data."""
        return ()

    def load_state(self, state: Sequence[Any]) -> None:
        """Continue with what `state` gave."""
        return

    def resolve_bases(self, found: Sequence[float]) -> list[float]:
        """The base values of the parameter groups: `base` where it is given, otherwise those that were found."""
        if self.base is None:
            return list(found)
        if len(set(found)) > 1:
            raise self.error(
                f"base={self.base!r} for parameter groups with the values {list(found)}",
                "leave base= out: each group starts from its own",
            )
        return [self.base] * len(found)

    def check_bases(self, bases: Mapping[str, Sequence[float]]) -> None:
        """Refuse base values, by hyperparameter, from which this policy cannot start. By default there are none."""
        return

    def error(self, found: str, remedy: str) -> ValueError:
        """The error for what cannot be done exactly: who, what was found, and what to write instead."""
        return ValueError(f"{self.who}: found {found}; {remedy}.")

    def _checked_base(self, base: float | None) -> float | None:
        """`base=` as a learning rate; raises TypeError or ValueError for what is none."""
        if base is None:
            return None
        checked = real(base, f"{self.who}: base")
        if checked <= 0:
            raise self.error(f"base={base!r}", "write the learning rate before any decay, greater than 0")
        return checked
