"""An optimizer of a Keras model that follows a schedule: when its values are written, and what it has of them.

An optimizer of `build_optimizer` gets the values of an epoch's updates at the start of the epoch, in its table. Any
other optimizer has a learning rate in a variable, which is written at the start of the epoch, and before each batch
where it changes within the epoch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops

from ..core.callbacks.errors import longer_epoch_error, other_spec_error, other_value_error, warn_of_shorter_epoch
from ..core.callbacks.optimizer_matching import log_name, logged
from ..core.checkpoints.resuming import Continued
from ..core.recipes.float32 import shortest_decimal
from ..core.schedules.durations import Position
from ..core.specs.spec import HYPERPARAMETERS
from .models import Optimizer, has_own_train_step, iterations
from .scheduled import ScheduledOptimizer
from .table import Rows


class Follower(ABC):
    """An optimizer, and the part of a callback whose schedules it follows.

    going_on: what gives the values, prepared for its clock. label: what tells the optimizer from others in a log.
    each_batch: whether values are written before each batch. others: the callbacks that could write besides.
    """

    each_batch = False
    others: Sequence[str] = ()

    def __init__(self, going_on: Continued, label: str, optimizer: Optimizer, model: keras.Model) -> None:
        self.going_on = going_on
        self.optimizer, self._label, self._model = optimizer, label, model
        self.part = part = going_on.part
        updates = going_on.clock.updates_per_epoch
        self._varies = part.varies_within_epochs()
        self._columns = (updates or 1) if self._varies else 1
        self._most_updates = updates if part.counts_updates() else None
        self._start = self._seen = iterations(optimizer)
        self._epoch = 0

    def begin_epoch(self, epoch: int) -> None:
        """Write the values of the epoch, or of its first update."""
        self._epoch, self._start = epoch, iterations(self.optimizer)

    def before_batch(self) -> None:
        """Write the values of the next update."""
        return

    def end_epoch(self) -> dict[str, float]:
        """The values of the epoch's last update, by the name that a log has them under.

        Raises ValueError where the epoch was not as planned, or where another value was found.
        """
        self._seen = iterations(self.optimizer)
        made = self._seen - self._start
        if self._most_updates is not None and made > self._most_updates:
            raise longer_epoch_error(self.part, self._epoch, self._most_updates)
        self.check()
        if self._most_updates is not None and made < self._most_updates and not self._may_be_short():
            warn_of_shorter_epoch(self.part, self._epoch, made, self._most_updates)
        return logged(self.part, self._label, {n: self.bases(n) for n in self.part.driven}, self._epoch, made)

    def _may_be_short(self) -> bool:
        """Whether an epoch may have made fewer updates than it should, as everybody knows: some are skipped."""
        return self._model.stop_training or hasattr(self._model.optimizer, "inner_optimizer")

    @abstractmethod
    def bases(self, name: str) -> list[float]:
        """The base value of each group of parameters."""

    @abstractmethod
    def check(self) -> None:
        """Raise ValueError where the optimizer does not hold what was written."""

    def _refuse_value(self, name: str, found: float, planned: float, update: int) -> ValueError:
        name = log_name(name, self._label) if name in HYPERPARAMETERS else name
        where = Position(self._epoch, update)
        return other_value_error(self.part, name, found, planned, where, self.others or ["the model's own code"])


class TableFollower(Follower):
    """An optimizer of `build_optimizer`."""

    optimizer: ScheduledOptimizer

    def __init__(self, going_on: Continued, label: str, optimizer: ScheduledOptimizer, model: keras.Model) -> None:
        super().__init__(going_on, label, optimizer, model)
        part = going_on.part
        self.before = optimizer.run.before  # what it was made to go on from
        if part.spec is not None:
            difference = part.spec.difference(optimizer.spec)
            if difference is not None:
                raise other_spec_error(part, difference)
        reserve(model, optimizer, self._columns)
        self._updates = going_on.clock.updates_per_epoch
        self._checked = optimizer.built
        if self._checked:
            part.check_bases({name: self.bases(name) for name in part.driven})

    def bases(self, name: str) -> list[float]:
        return self._own(name, self.optimizer.table.base[name])

    def begin_epoch(self, epoch: int) -> None:
        super().begin_epoch(epoch)
        self.optimizer.run.begin_epoch(epoch)
        self.optimizer.table.begin_epoch({name: partial(self._rows, name) for name in self.part.driven})

    def _own(self, name: str, found: Sequence[float]) -> list[float]:
        return self.part.own_bases(found) if name == "learning_rate" else list(found)

    def _rows(self, name: str, found: Sequence[float]) -> list[list[float]]:
        """The values of an epoch for each base value that was found."""
        bases = self._own(name, found)
        if not self._checked:
            self.part.check_bases({name: bases})
        return self.part.used_columns(name, bases, Position(self._epoch), self._columns)

    def check(self) -> None:
        if not self.part.verify:
            return
        self._check_count()
        table = self.optimizer.table
        held, start = table.held()
        if start != self._start:
            raise self._refuse_value("the number of updates before the epoch", start, self._start, 0)
        for name in self.part.driven:
            planned = np.array(self._rows(name, table.base[name]))
            found = held[:, HYPERPARAMETERS.index(name), : planned.shape[1]]
            for group, update in np.argwhere(found != planned.astype(found.dtype))[:1]:
                value = float(found[group, update]), float(planned[group, update])
                raise self._refuse_value(log_name(name, self._label, group), *value, int(update))
        formed = table.rows().astype(held.dtype)
        for group, row, update in np.argwhere((held != formed) & ~(np.isnan(held) & np.isnan(formed)))[:1]:
            value = float(held[group, row, update]), float(formed[group, row, update])
            raise self._refuse_value(Rows._fields[row], *value, int(update))

    def _check_count(self) -> None:
        """Refuse a number of updates that only a change of the optimizer's variables explains."""
        made = self._seen - self._start
        # A train_step of the user's own makes as many as it likes.
        sure = not (self._may_be_short() or has_own_train_step(self._model))
        if made < 0 or (sure and self._updates is not None and made != self._updates):
            count = "some" if self._updates is None else self._updates
            raise self.part.refuse(
                f"{made} updates in epoch {self._epoch} by the count of the optimizer, where it should have made "
                f"{count}",
                f"give the number of updates that an epoch makes, or remove what has changed the optimizer's "
                f"variables, perhaps one of {', '.join(self.others)}",
            )


def reserve(model: keras.Model, optimizer: ScheduledOptimizer, columns: int, recorded: int = 0) -> None:
    """Make room in an optimizer's table, and have the train step traced anew if it grew."""
    if optimizer.table.reserve(columns, recorded):
        # A train step that was traced with the smaller variables would go on using them.
        model.make_train_function(force=True)


def number(variable: Any) -> float:
    """A variable's number as the decimal that it was written as: 0.001, not 0.0010000000474974513."""
    value = ops.convert_to_numpy(variable)
    return shortest_decimal(float(value)) if value.dtype == "float32" else float(value)
