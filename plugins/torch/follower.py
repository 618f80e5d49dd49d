"""Makes a torch optimizer follow a policy: counts its updates and writes the values for the next one.

Under automatic optimization the values of an update are written when its batch starts, and also ahead of time, when the
batch before it ends: `LearningRateMonitor` then reads the same values anywhere in the list of callbacks. Under manual
optimization one batch can make several updates, so values are written before each of them as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ..core.callbacks.errors import longer_epoch_error, other_value_error, unreached_error, unseen_update_error
from ..core.callbacks.follower import Follower
from ..core.callbacks.optimizer_matching import log_name
from ..core.callbacks.start import StartedPolicy
from ..core.checkpoints.resuming import Bases
from ..core.schedules.clock import Position
from . import base_values, param_groups
from .unseen_updates import UnseenUpdates
from .update_count import UpdateCount
from .wrapped_steps import members, shares_groups

_AHEAD = 1024  # number of updates computed at a time

_Columns = list[tuple[str, list[list[float]]]]  # by hyperparameter: for each group, the values of some updates


class TorchFollower(Follower):
    """A torch optimizer that follows a policy.

    Args:
        started: The policy, prepared for its clock, and the base values.
        label: The optimizer's name in logs; "" if it is the only one.
        optimizer: The optimizer to drive.
        verify: Check at every update that it holds what was written.
        by_hand: Whether the user's code makes the updates (manual optimization).
        others: Names of everything else in this training that could write into the optimizer.
        unseen: Notices updates that cannot be counted; None where there is no telling.

    Raises:
        ValueError: The policy cannot drive this optimizer.
    """

    def __init__(
        self,
        started: StartedPolicy,
        label: str,
        optimizer: torch.optim.Optimizer,
        *,
        verify: bool = False,
        by_hand: bool = False,
        others: Sequence[str] = (),
        unseen: UnseenUpdates | None = None,
    ) -> None:
        super().__init__(started, label)
        self.optimizer = optimizer
        self._verifies, self._by_hand, self._others = verify, by_hand, others
        self._bases = started.bases
        self._groups = len(optimizer.param_groups)
        self._is_written = False
        self._start_from(self._bases)
        due = getattr(optimizer, "due", None)
        if due is not None:
            due.driven(self.policy.driven)
        self._unseen = unseen if self._varies else None
        # What is written into an optimizer's groups may not reach the groups of the optimizer inside it.
        self._apart = [each for each in members(optimizer)[1:] if not shares_groups(optimizer, each)]
        after = self._after_update if verify or self._apart else None
        self.count = UpdateCount(optimizer, 0, after, self._before_update if by_hand else None)
        base_values.keep(optimizer, self.bases)

    @property
    def bases(self) -> Bases:
        return self._bases

    @property
    def made(self) -> int:
        return self.count.made

    def begin(self, epoch: int, made: int, continues: bool) -> None:
        """Start training.

        Args:
            epoch: The epoch in which training starts, counted from 0.
            made: The number of updates that this epoch already made.
            continues: Whether the run includes this epoch. A run resumed after its last update keeps the values which
                that used.
        """
        self.count.made = made
        self._compute(epoch, made)
        if continues and not self._is_over():
            self._write(made)

    def end(self) -> None:
        self.count.remove()
        base_values.remember_written(self.optimizer)

    def begin_epoch(self, epoch: int) -> None:
        self.count.made = 0
        self.write_ahead(epoch)

    def before_batch(self) -> None:
        if self._verifies and self._is_written:
            self._verify()
        made, most = self.count.made, self._most_updates
        if most is None or made < most:
            self._write(made)
        elif not self._by_hand:
            raise longer_epoch_error(self.policy, self._epoch, most)
        if self._unseen is not None and not made:
            self._unseen.look()

    def _before_update(self) -> None:
        made, most = self.count.made, self._most_updates
        if most is not None and made >= most:
            raise longer_epoch_error(self.policy, self._epoch, most)
        self._write(made)

    def _after_update(self) -> None:
        for each in self._apart:
            self._check_reached(each)
        if self._verifies:
            self._verify()

    def after_batch(self) -> None:
        if self._varies:
            made, most = self.count.made, self._most_updates
            if self._unseen is not None and not made and self._unseen.found():
                raise unseen_update_error(self.policy, type(self.optimizer).__name__)
            if most is None or made < most:
                self._write(made)

    def write_ahead(self, epoch: int) -> None:
        """Write the values of an epoch's first update."""
        self._compute(epoch, 0)
        self._write(0)

    def _used(self) -> dict[str, list[float]]:
        last = max(self.made - 1, 0) if self._varies else 0
        first, columns = self._first, self._columns
        if not first <= last < first + self._computed:
            # The values ahead have been computed since, or the run that this one continues made the update.
            first, columns = last, self._values(self._epoch, last, 1)
        return {name: [column[last - first] for column in of_groups] for name, of_groups in columns}

    def _is_over(self) -> bool:
        return self._most_updates is not None and self.made >= self._most_updates

    def _values(self, epoch: int, update: int, count: int) -> _Columns:
        """By hyperparameter, the values of each parameter group for `count` updates from `update` on."""
        return [
            (name, self.policy.reduced_columns(name, bases, Position(epoch, update), count))
            for name, bases in self.bases.items()
        ]

    def _compute(self, epoch: int, update: int) -> None:
        """Compute the values of an epoch from `update` on, some updates ahead."""
        self._epoch, self._first, count = epoch, 0, 1
        # A schedule that is constant within epochs ignores the update: an epoch may be longer than the first.
        if self._varies and self._most_updates is not None:
            self._first, count = update, max(1, min(_AHEAD, self._most_updates - update))
        self._computed = count
        self._columns = self._values(epoch, self._first, count)
        self._checked_groups()
        # The common case is written without checking each group again.
        self._stored = param_groups.stored(self.optimizer, self._columns)

    def _write(self, update: int) -> None:
        """Write the values of an update of this epoch into the parameter groups."""
        index = update - self._first if self._varies else 0
        if not 0 <= index < self._computed:
            self._compute(self._epoch, update)
            index = 0
        every = self.optimizer.param_groups
        if len(every) != self._groups:
            self._checked_groups()  # raises
        self._index, self._is_written = index, True
        if self._stored is not None:
            for number, key, values in self._stored:
                every[number][key] = values[index]
            return
        for name, columns in self._columns:
            for group, column in zip(every, columns, strict=True):
                param_groups.write(group, name, column[index])

    def _checked_groups(self) -> list[dict[str, Any]]:
        every = self.optimizer.param_groups
        if len(every) != self._groups:
            raise self.policy.error(
                f"{len(every)} parameter groups, but training started with {self._groups}",
                "add all parameter groups in configure_optimizers",
            )
        return every

    def _check_reached(self, inner: torch.optim.Optimizer) -> None:
        """Raise ValueError if the optimizer inside this one has used other values."""
        for name, columns in self._columns:
            for group, column in zip(inner.param_groups, columns, strict=False):
                if not param_groups.has(group, name) or not param_groups.holds(group, name, column[self._index]):
                    kinds = type(self.optimizer).__name__, type(inner).__name__
                    raise unreached_error(self.policy, *kinds, name)

    def _verify(self) -> None:
        """Raise ValueError if the optimizer does not hold what was written last."""
        every = self._checked_groups()
        for name, columns in self._columns:
            for number, (group, column) in enumerate(zip(every, columns, strict=True)):
                planned = column[self._index]
                if not param_groups.holds(group, name, planned):
                    found, called = param_groups.held(group, name), log_name(name, self._label, number)
                    where = Position(self._epoch, self.made)
                    raise other_value_error(self.policy, called, found, planned, where, self._others)
