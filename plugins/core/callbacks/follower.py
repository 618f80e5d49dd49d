"""The interface of both frameworks' followers: an optimizer that follows a policy, and the values it used."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from ..checkpoints.resuming import Bases, driver_of
from ..checkpoints.saved import Driver
from ..policies.policy import Policy
from ..schedules.clock import Clock, Position
from .errors import longer_epoch_error, warn_of_possible_mistakes, warn_of_shorter_epoch
from .optimizer_matching import log_name
from .start import StartedPolicy


class Follower(ABC):
    """An optimizer that follows a policy.

    Args:
        started: The policy, prepared for its clock, and the base values.
        label: The optimizer's name in logs; "" if it is the only one.
    """

    def __init__(self, started: StartedPolicy, label: str) -> None:
        self.policy: Policy = started.policy
        self.clock: Clock = started.clock
        self._training = started.training
        self._label = label
        self._varies = self.policy.varies_within_epochs()
        # The number of updates in an epoch, if the values depend on it.
        self._most_updates = self.clock.updates_per_epoch if self.policy.counts_updates() else None
        self._epoch = 0

    def _start_from(self, bases: Mapping[str, Sequence[float]]) -> None:
        """Check the base values of the parameter groups, by hyperparameter, and warn of possible mistakes.

        Raises:
            ValueError: The policy cannot start from them.
        """
        self.policy.check_bases(bases)
        self._warn_of_possible_mistakes(bases)

    def _warn_of_possible_mistakes(self, bases: Mapping[str, Sequence[float]]) -> None:
        mistakes = self.policy.possible_mistakes(bases, self._training)
        if mistakes:
            warn_of_possible_mistakes(self.policy, mistakes)

    def first_values(self, hyperparameter: str, epoch: int) -> list[float]:
        """The value of each parameter group for the first update of an epoch; none before the model is built."""
        bases = self.bases.get(hyperparameter, ())
        return [column[0] for column in self.policy.reduced_columns(hyperparameter, bases, Position(epoch), 1)]

    @property
    @abstractmethod
    def bases(self) -> Bases:
        """The base values of the parameter groups, by hyperparameter."""

    def driver(self) -> Driver:
        """The record, for a checkpoint, of what drives the optimizer."""
        return driver_of(self.policy, self.clock, self.bases)

    @property
    @abstractmethod
    def made(self) -> int:
        """The updates of this epoch so far."""

    @abstractmethod
    def begin_epoch(self, epoch: int) -> None:
        """Begin an epoch: write its values, or those of its first update."""

    def before_batch(self) -> None:
        """Write the values of the next update."""
        return

    def after_batch(self) -> None:
        """Write the values of the next update ahead."""
        return

    def end_epoch(self, may_be_short: bool) -> dict[str, float]:
        """End an epoch.

        Args:
            may_be_short: Whether it may have made fewer updates than planned for a known reason.

        Returns:
            The values that its last update used, by their names in logs.

        Raises:
            ValueError: The epoch made more updates than planned, or the optimizer holds another value.
        """
        made, most = self.made, self._most_updates
        if most is not None and made > most:
            raise longer_epoch_error(self.policy, self._epoch, most)
        self.check()
        if most is not None and made < most and not may_be_short:
            warn_of_shorter_epoch(self.policy, self._epoch, made, most)
        return {
            log_name(name, self._label, group): value
            for name, of_groups in self._used().items()
            for group, value in enumerate(of_groups)
        }

    def check(self) -> None:
        """Raise ValueError if the optimizer does not hold what was written."""
        return

    @abstractmethod
    def _used(self) -> Mapping[str, Sequence[float]]:
        """By hyperparameter, the value that each parameter group's last update of the epoch used."""

    def end(self) -> None:
        """Training ends."""
        return
