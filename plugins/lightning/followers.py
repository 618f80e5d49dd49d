"""An optimizer of torch that follows a schedule: how many updates it made, and the values that it holds for the next.

Under automatic optimization the values of an update are written when its batch starts, and ahead, when the batch before
it ends: `LearningRateMonitor` then reads the same ones wherever it stands in the list of callbacks. Under manual
optimization an optimizer can make several updates of a batch, and they are written before each of them as well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from ..core.callbacks.errors import longer_epoch_error, other_spec_error, other_value_error, warn_of_shorter_epoch
from ..core.callbacks.hyperparameter_scheduler import ScheduleMixin
from ..core.callbacks.optimizer_matching import log_name, logged
from ..core.schedules.durations import Position
from . import groups, optimizers

_AHEAD = 1024  # updates whose values are computed at a time


class Updates:
    """Counts the updates that an optimizer really makes in an epoch: one that a loss scaler skips is none.

    made: those of this epoch so far. on_update: called after each, before it is counted.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, made: int, on_update: Callable[[], None]) -> None:
        self.made = made
        self._on_update = on_update
        self._hook = optimizer.register_step_post_hook(torch.compiler.disable(self._count))

    def _count(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        if not groups.skipped(optimizer):
            self._on_update()
            self.made += 1

    def remove(self) -> None:
        """Count no more."""
        self._hook.remove()


class Follower:
    """An optimizer, and the part of a callback whose schedules it follows.

    part: what gives the values, prepared for this run. label: what tells the optimizer from others in a log, or "".
    updates: how many it makes in an epoch, where the trainer knows it. by_hand: whether the user's code makes them.
    others: what else runs in this training and could write into the optimizer.

    Raises ValueError for an optimizer that the part cannot drive.
    """

    def __init__(
        self,
        part: ScheduleMixin,
        label: str,
        optimizer: torch.optim.Optimizer,
        updates: int | None,
        by_hand: bool,
        others: Sequence[str],
    ) -> None:
        self.part, self.optimizer = part, optimizer
        self._label, self._by_hand, self._others = label, by_hand, others
        if part.spec is not None:
            difference = optimizers.spec_difference(part.spec, optimizer)
            if difference is not None:
                raise other_spec_error(part, difference)
        # Of an epoch, where the values depend on their number.
        self._most_updates = updates if part.counts_updates() else None
        self._varies = part.varies_within_epochs()
        self._bases = {name: self._base_values(name) for name in part.driven}
        self._groups = len(optimizer.param_groups)
        self._written = False
        self._hook: Any = None
        part.check_bases(self._bases)

    def begin(self, epoch: int, made: int, goes_on: bool) -> Updates:
        """Training begins in this epoch, of which so many updates were made before; returns what counts them.

        goes_on: whether this epoch is one of the run. A run that is resumed after its last update keeps what that used.
        """
        self._updates = Updates(self.optimizer, made, self._verify if self.part.verify else lambda: None)
        before = torch.compiler.disable(self._before_update)
        self._hook = self.optimizer.register_step_pre_hook(before) if self._by_hand else None
        self._compute(epoch, made)
        if goes_on and not self._is_over():
            self._write(made)
        return self._updates

    def end(self) -> None:
        """Training ends."""
        if self._hook is not None:
            self._hook.remove()

    def begin_epoch(self, epoch: int) -> None:
        """An epoch begins."""
        self._updates.made = 0
        self.write_for(epoch, 0)

    def before_batch(self) -> None:
        """Write the values of the next update; raises ValueError where an epoch has no values for it."""
        if self.part.verify and self._written:
            self._verify()
        if self._is_over() and self._by_hand:
            return
        self._before_update()

    def _before_update(self, *_: Any) -> None:
        if self._is_over():
            raise longer_epoch_error(self.part, self._epoch, self._most_updates or 0)
        self._write(self._updates.made)

    def after_batch(self) -> None:
        """Write the values of the next update ahead."""
        if self._varies and not self._is_over():
            self._write(self._updates.made)

    def end_epoch(self) -> None:
        """Notice an epoch that nothing broke off, and that did not make the updates that it should."""
        made, most = self._updates.made, self._most_updates
        if most is not None and made > most:
            raise longer_epoch_error(self.part, self._epoch, most)
        if most is not None and made < most:
            warn_of_shorter_epoch(self.part, self._epoch, made, most)

    def used(self) -> dict[str, float]:
        """The values of this epoch's last update so far, by the name that a log has them under."""
        return logged(self.part, self._label, self._bases, self._epoch, self._updates.made)

    def write_for(self, epoch: int, update: int) -> None:
        """Compute the values from this update of this epoch on, and write its own."""
        self._compute(epoch, update)
        self._write(update)

    def _is_over(self) -> bool:
        return self._most_updates is not None and self._updates.made >= self._most_updates

    def _base_values(self, name: str) -> list[float]:
        every = self.optimizer.param_groups
        if not all(groups.has(group, name) for group in every):
            kind = type(self.optimizer).__name__
            raise self.part.refuse(
                f"the optimizer {kind}, which has no {name}", "leave its schedule out, or use another"
            )
        return self.part.own_bases([groups.base_value(group, name) for group in every])

    def _compute(self, epoch: int, update: int) -> None:
        """The values of the updates of an epoch from `update` on, some of them ahead, for each parameter group."""
        self._epoch, self._first, count = epoch, 0, 1
        # A schedule that is constant within epochs does not ask for the update: an epoch may be longer than the first.
        if self._varies and self._most_updates is not None:
            self._first, count = update, max(1, min(_AHEAD, self._most_updates - update))
        self._computed = count
        self._columns = [
            (name, self.part.used_columns(name, bases, Position(epoch, self._first), count))
            for name, bases in self._bases.items()
        ]
        self._checked_groups()
        # The common case is written without asking each group how it holds its values.
        self._stored = groups.stored(self.optimizer, self._columns)

    def _write(self, update: int) -> None:
        """Write the values of an update of this epoch into the parameter groups."""
        index = update - self._first if self._varies else 0
        if not 0 <= index < self._computed:
            self._compute(self._epoch, update)
            index = 0
        every = self._checked_groups()
        self._index, self._written = index, True
        if self._stored is not None:
            for number, key, values in self._stored:
                every[number][key] = values[index]
            return
        for name, columns in self._columns:
            for group, column in zip(every, columns, strict=True):
                groups.write(group, name, column[index])

    def _checked_groups(self) -> list[dict[str, Any]]:
        every = self.optimizer.param_groups
        if len(every) != self._groups:
            raise self.part.refuse(
                f"{len(every)} parameter groups where training started with {self._groups}",
                "give the optimizer all of its parameter groups in configure_optimizers",
            )
        return every

    def _verify(self) -> None:
        """Raise ValueError where the optimizer does not hold what was written last."""
        every = self._checked_groups()
        for name, columns in self._columns:
            for number, (group, column) in enumerate(zip(every, columns, strict=True)):
                planned = column[self._index]
                if not groups.holds(group, name, planned):
                    found, called = groups.held(group, name), log_name(name, self._label, number)
                    where = Position(self._epoch, self._updates.made)
                    raise other_value_error(self.part, called, found, planned, where, self._others)
