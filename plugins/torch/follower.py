"""Makes a torch optimizer follow a policy: counts its updates and writes the values for the next one.

Under automatic optimization the values of an update are written when its batch starts, and also ahead of time, when the
batch before it ends: `LearningRateMonitor` then reads the same values anywhere in the list of callbacks. Under manual
optimization one batch can make several updates, so values are written before each of them as well.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

import torch

from ..core.callbacks.errors import (
    late_group_error,
    longer_epoch_error,
    other_spec_error,
    other_value_error,
    unreached_error,
    unseen_update_error,
)
from ..core.callbacks.follower import Follower
from ..core.callbacks.optimizer_matching import log_name
from ..core.callbacks.start import StartedPolicy
from ..core.checkpoints.resuming import Bases
from ..core.schedules.clock import Position
from . import base_values, param_groups
from .build import spec_difference
from .later_groups import LaterGroups
from .optimizers.built_optimizer import BuiltOptimizer
from .unseen_updates import UnseenUpdates
from .update_count import UpdateCount
from .wrapped_steps import members, shares_groups

_AHEAD = 1024  # number of updates computed at a time
_FIRST = 2  # number of updates at an epoch's start before which other values are noticed; with verify=True all are

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
        later: By number, the groups that the run had added before, with their own base values.
        elsewhere: The ids of the parameters whose learning rate something else drives; see `LaterGroups`.
        is_trial: Whether this is a trial of some batches, whose length says nothing of the run's.

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
        later: Mapping[int, Mapping[str, float]] = MappingProxyType({}),
        elsewhere: Collection[int] = (),
        is_trial: bool = False,
    ) -> None:
        super().__init__(started, label)
        self._is_trial = is_trial
        self.optimizer = optimizer
        self._verifies, self._by_hand, self._others = verify, by_hand, others
        # Other values are noticed before each of these updates of an epoch, and at its end.
        self._verified_below = math.inf if verify else _FIRST
        self.groups: LaterGroups = LaterGroups(self.policy, optimizer, started.bases, later, elsewhere)
        self._is_written = self._is_new_epoch = False
        self._start_from(self.groups.driven_bases)
        for each in members(optimizer):
            due = getattr(each, "due", None)
            if due is not None:
                due.driven(self.policy.driven)
        self._unseen = unseen if self._varies else None
        # What is written into an optimizer's groups may not reach the groups of the optimizer inside it.
        self._apart = [each for each in members(optimizer)[1:] if not shares_groups(optimizer, each)]
        before = self._before_update if by_hand else self._before_step
        self.count: UpdateCount = UpdateCount(optimizer, 0, self._after_update, before)
        self._built = [each for each in members(optimizer) if isinstance(each, BuiltOptimizer)]
        for each in self._built:
            each.after_reset = (*each.after_reset, self._write_again)
        base_values.keep(optimizer, self.bases)

    def _warn_of_possible_mistakes(self, bases: Mapping[str, Sequence[float]]) -> None:
        if not self._is_trial:
            super()._warn_of_possible_mistakes(bases)

    @property
    def bases(self) -> Bases:
        return self.groups.bases

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
        self._verified_below = max(self._verified_below, made + _FIRST)
        self.groups.take_elsewhere()
        self._compute(epoch, made)
        if continues and not self._is_over():
            self._write(made)

    def end(self) -> None:
        self.count.remove()
        for each in self._built:
            each.after_reset = tuple(other for other in each.after_reset if other != self._write_again)
        base_values.remember_written(self.optimizer)

    def begin_epoch(self, epoch: int) -> None:
        if self.policy.streams:
            self.policy.begun += self.count.made
        self.count.made = 0
        if self._is_written:
            self._verify(self.groups.elsewhere)
        self._verified_below = max(self._verified_below, _FIRST)
        self.groups.take_elsewhere()
        self.write_ahead(epoch)
        self._is_new_epoch = True

    def before_batch(self) -> None:
        if self._is_new_epoch:
            self._is_new_epoch = False
            if self.groups.take_elsewhere():  # it may be written after this callback's start of the epoch
                self._compute(self._epoch, self.count.made)
        made, most = self.count.made, self._most_updates
        if made < self._verified_below:
            self.check()
        if most is None or made < most:
            self._write(made)
        elif not self._by_hand:
            raise longer_epoch_error(self.policy, self._epoch, most)
        if self._unseen is not None and not made:
            self._unseen.look()

    def _before_step(self) -> None:
        # Groups may have been added after this callback's start of the batch.
        if len(self.optimizer.param_groups) != self.groups.count:
            self._write(self.count.made)

    def _before_update(self) -> None:
        made, most = self.count.made, self._most_updates
        if most is not None and made >= most:
            raise longer_epoch_error(self.policy, self._epoch, most)
        self._write(made)

    def _after_update(self) -> None:
        if len(self.optimizer.param_groups) != self.groups.count:
            raise late_group_error(self.policy)
        for each in self._apart:
            self._check_reached(each)
        if self._verifies:
            self._verify()

    def after_batch(self) -> None:
        if self._varies:
            made, most = self.count.made, self._most_updates
            if made <= self._verified_below:
                self.check()
            if self._unseen is not None and not made and self._unseen.found():
                raise unseen_update_error(self.policy, type(self.optimizer).__name__)
            if most is None or made < most:
                self._write(made)

    def write_ahead(self, epoch: int) -> None:
        """Write the values of an epoch's first update."""
        ending = self.count.made if self.policy.streams else 0  # of the epoch before, which has not been left yet
        self.policy.begun += ending
        self._compute(epoch, 0)
        self._write(0)
        self.policy.begun -= ending

    def _used(self) -> dict[str, list[float]]:
        last = max(self.made - 1, 0) if self._varies else 0
        first, columns = self._first, self._columns
        if not first <= last < first + self._computed:
            # The values ahead have been computed since, or the run that this one continues made the update.
            first, columns = last, self._values(self._epoch, last, 1)
        return {name: [column[last - first] for column in of_groups] for name, of_groups in columns}

    def _is_over(self) -> bool:
        return self._most_updates is not None and self.made >= self._most_updates

    def _check_spec(self) -> None:
        """Raise ValueError if a group that was added differs from the policy's spec in more than its base values."""
        if self.policy.spec is None:
            return
        of_groups = [dict(zip(self.bases, bases, strict=True)) for bases in zip(*self.bases.values(), strict=True)]
        difference = spec_difference(self.policy.spec, self.optimizer, of_groups, self.groups.later)
        if difference is not None:
            raise other_spec_error(self.policy, difference)

    def _values(self, epoch: int, update: int, count: int) -> _Columns:
        """By hyperparameter, the values of each parameter group for `count` updates from `update` on."""
        position = Position(epoch, update)
        return [
            (name, self.groups.elsewhere_too(name, self.policy.reduced_columns(name, bases, position, count)))
            for name, bases in self.groups.bases.items()
        ]

    def _compute(self, epoch: int, update: int) -> None:
        """Compute the values of an epoch from `update` on, some updates ahead."""
        self._epoch, self._first, count = epoch, 0, 1
        # A schedule that is constant within epochs ignores the update: an epoch may be longer than the first.
        if self._varies:
            most = _AHEAD if self._most_updates is None else self._most_updates - update
            self._first, count = update, max(1, min(_AHEAD, most))
        if len(self.optimizer.param_groups) != self.groups.count:
            self._take_new_groups()
        try:
            self._columns = self._values(epoch, self._first, count)
        except ValueError:
            if count == 1 or not self.policy.streams:
                raise
            count = 1  # the run may end before the value that cannot be used
            self._columns = self._values(epoch, self._first, count)
        self._computed = count
        # The common case is written without checking each group again.
        self._stored = param_groups.stored(self.optimizer, self._columns)

    def _write(self, update: int) -> None:
        """Write the values of an update of this epoch into the parameter groups."""
        index = update - self._first if self._varies else 0
        every = self.optimizer.param_groups
        if not 0 <= index < self._computed or len(every) != self.groups.count:
            self._compute(self._epoch, update)
            index = update - self._first if self._varies else 0
        self._index, self._is_written = index, True
        self._put(index)

    def _put(self, index: int) -> None:
        """Put values that have been computed into the parameter groups."""
        every = self.optimizer.param_groups
        if self._stored is not None:
            for number, key, values in self._stored:
                every[number][key] = values[index]
            return
        for name, columns in self._columns:
            for group, column in zip(every, columns, strict=False):  # a group may be new
                param_groups.write(group, name, column[index])

    def _write_again(self) -> None:
        """The optimizer was reset: it has its own numbers in the groups, and no others' base values."""
        base_values.keep(self.optimizer, self.bases)
        if self._is_written:
            self._put(self._index)

    def _take_new_groups(self) -> None:
        """Follow groups that were added since."""
        self.groups.take_new(self._columns[0][1][0][self._index] if self._is_written else None)
        self._check_spec()
        base_values.keep(self.optimizer, self.bases)

    def _check_reached(self, inner: torch.optim.Optimizer) -> None:
        """Raise ValueError if the optimizer inside this one has used other values."""
        for name, columns in self._columns:
            for group, column in zip(inner.param_groups, columns, strict=False):
                if not param_groups.has(group, name) or not param_groups.holds(group, name, column[self._index]):
                    kinds = type(self.optimizer).__name__, type(inner).__name__
                    raise unreached_error(self.policy, *kinds, name)

    def check(self) -> None:
        if self._is_written:
            self._verify()

    def _verify(self, elsewhere: Collection[int] = ()) -> None:
        """Raise ValueError if the optimizer does not hold what was written last.

        Args:
            elsewhere: The groups whose learning rate may have been written since.
        """
        every = self.optimizer.param_groups
        for name, columns in self._columns:
            # What has been added since then is only about to be written.
            for number, (group, column) in enumerate(zip(every, columns, strict=False)):
                planned = column[self._index]
                if name == "learning_rate" and number in elsewhere:
                    continue
                if not param_groups.holds(group, name, planned):
                    found, called = param_groups.held(group, name), log_name(name, self._label, number)
                    where = Position(self._epoch, self.made)
                    raise other_value_error(self.policy, called, found, planned, where, self._others)
