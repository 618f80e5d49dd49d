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
from weakref import WeakKeyDictionary

import keras
import numpy as np
from keras import ops

from ..core.callbacks import ScheduleMixin
from ..core.durations import Position
from ..core.optimizers import HYPERPARAMETERS
from ..core.refusals import refuse_longer_epoch, refuse_other_driver, refuse_other_spec, refuse_other_value
from ..core.trace import float32, shortest_decimal
from ..core.which import log_name
from .models import Optimizer, has_own_train_step, iterations
from .scheduled import ScheduledOptimizer
from .table import Rows

# Of optimizers that are not ours: the learning rate before any decay, and the one that was written last.
_KNOWN: WeakKeyDictionary[Optimizer, tuple[float | None, float]] = WeakKeyDictionary()


def follow(
    part: ScheduleMixin, label: str, optimizer: Optimizer, model: keras.Model, params: dict[str, Any]
) -> Follower:
    """A follower for an optimizer of a model that is about to be trained, by what Keras knows of the run in `params`.

    part, label: as `which.followed` has them. Raises ValueError for what the part cannot drive.
    """
    clock = part.clock(_updates_per_epoch(part, params.get("steps"), optimizer, model), params.get("epochs"))
    part.prepare(clock)
    kind = _TableFollower if isinstance(optimizer, ScheduledOptimizer) else _StockFollower
    return kind(part, label, optimizer, model, clock.updates_per_epoch)


def _updates_per_epoch(
    part: ScheduleMixin, batches: int | None, optimizer: Optimizer, model: keras.Model
) -> int | None:
    if part.updates_per_epoch is not None and has_own_train_step(model):
        return None  # it may make any number of updates of a batch
    accumulated = optimizer.gradient_accumulation_steps or 1
    strategy = getattr(model, "distribute_strategy", None)  # tensorflow has one
    if accumulated > 1 and strategy is not None and strategy.num_replicas_in_sync > 1:
        raise part.refuse(
            f"gradient_accumulation_steps={accumulated} under {type(strategy).__name__}, where Keras cannot accumulate",
            "leave it out, and make the batches larger",
        )
    if batches is None or batches % accumulated == 0:
        return None if batches is None else batches // accumulated
    raise part.refuse(
        f"{batches} batches in an epoch and gradient_accumulation_steps={accumulated}, which does not divide them",
        "make it divide: Keras would carry the rest over into the next epoch, where Lightning makes an update of it",
    )


class Follower(ABC):
    """An optimizer, and the part of a callback whose schedules it follows.

    part: what gives the values, prepared for this run. updates: how many an epoch has, where that is known.
    each_batch: whether values are written before each batch. others: the callbacks that could write besides.
    """

    each_batch = False
    others: Sequence[str] = ()

    def __init__(self, part: ScheduleMixin, label: str, optimizer: Optimizer, updates: int | None) -> None:
        self.part, self.optimizer, self._label = part, optimizer, label
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
            raise refuse_longer_epoch(self.part, self._epoch, self._most_updates)
        self.check()
        last = Position(self._epoch, max(made - 1, 0) if self._varies else 0)
        return {
            log_name(name, self._label, group): self.part.value(name, base, last)
            for name in self.part.driven
            for group, base in enumerate(self.bases(name))
        }

    @abstractmethod
    def bases(self, name: str) -> list[float]:
        """The base value of each group of parameters."""

    @abstractmethod
    def check(self) -> None:
        """Raise ValueError where the optimizer does not hold what was written."""

    def _refuse_value(self, name: str, found: float, planned: float, update: int) -> ValueError:
        name = log_name(name, self._label) if name in HYPERPARAMETERS else name
        where = Position(self._epoch, update)
        return refuse_other_value(self.part, name, found, planned, where, self.others or ["the model's own code"])


class _TableFollower(Follower):
    """An optimizer of `build_optimizer`."""

    optimizer: ScheduledOptimizer

    def __init__(
        self,
        part: ScheduleMixin,
        label: str,
        optimizer: ScheduledOptimizer,
        model: keras.Model,
        updates: int | None,
    ) -> None:
        super().__init__(part, label, optimizer, updates)
        if part.spec is not None:
            difference = part.spec.difference(optimizer.spec)
            if difference is not None:
                raise refuse_other_spec(part, difference)
        reserve(model, optimizer, self._columns)
        self._model, self._updates = model, updates
        self._checked = optimizer.built
        if self._checked:
            part.check_bases({name: self.bases(name) for name in part.driven})

    def bases(self, name: str) -> list[float]:
        return self._own(name, self.optimizer.table.base[name])

    def begin_epoch(self, epoch: int) -> None:
        super().begin_epoch(epoch)
        self.optimizer.table.begin_epoch({name: partial(self._rows, name) for name in self.part.driven})

    def _own(self, name: str, found: Sequence[float]) -> list[float]:
        return self.part.own_bases(found) if name == "learning_rate" else list(found)

    def _rows(self, name: str, found: Sequence[float]) -> list[list[float]]:
        """The values of an epoch for each base value that was found."""
        bases = self._own(name, found)
        if not self._checked:
            self.part.check_bases({name: bases})
        return self.part.columns(name, bases, Position(self._epoch), self._columns)

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
        # A loss scaler skips some, a train_step of the user's own makes as many as it likes, and some runs stop early.
        scaled = hasattr(self._model.optimizer, "inner_optimizer")
        sure = not (scaled or has_own_train_step(self._model) or self._model.stop_training)
        if made < 0 or (sure and self._updates is not None and made != self._updates):
            count = "some" if self._updates is None else self._updates
            raise self.part.refuse(
                f"{made} updates in epoch {self._epoch} by the count of the optimizer, where it has made {count}",
                f"remove what has changed its variables, perhaps one of {', '.join(self.others)}",
            )


class _StockFollower(Follower):
    """An optimizer of Keras' own, or of somebody else's."""

    def __init__(
        self, part: ScheduleMixin, label: str, optimizer: Optimizer, model: keras.Model, updates: int | None
    ) -> None:
        super().__init__(part, label, optimizer, updates)
        kind = type(optimizer).__name__
        if part.spec is not None:
            raise refuse_other_spec(part, f"the optimizer is Keras' own {kind}")
        for name in part.driven:
            if name != "learning_rate":
                raise part.refuse(
                    f"a {name} schedule for Keras' own {kind}, whose compiled train step would not see it",
                    "build the optimizer with build_optimizer(spec, model)",
                )
        rate = optimizer._learning_rate
        if not isinstance(rate, keras.Variable):
            raise refuse_other_driver(
                part,
                "learning_rate",
                f"an optimizer built with the schedule {type(rate).__name__}",
                "build the optimizer with a number as its learning rate",
            )
        if self._varies and model.steps_per_execution != 1:
            raise part.refuse(
                f"a learning_rate schedule that changes within an epoch, and Keras' own {kind} with "
                f"steps_per_execution={model.steps_per_execution}",
                "build the optimizer with build_optimizer(spec, model), set steps_per_execution=1, or give "
                "resolution='epoch'",
            )
        self.each_batch = self._varies
        self._base = self._base_value(rate)
        part.check_bases({"learning_rate": [self._base]})

    def bases(self, name: str) -> list[float]:
        return [self._base]

    def begin_epoch(self, epoch: int) -> None:
        # Otherwise it was restored, by a callback such as BackupAndRestore, with its learning rate.
        if iterations(self.optimizer) == self._seen:
            self.check()
        super().begin_epoch(epoch)
        (self._values,) = self.part.columns("learning_rate", [self._base], Position(epoch), self._columns)
        self._seen = self._start
        self._write(0)

    def before_batch(self) -> None:
        self.check()
        self._check_batch()
        self._write(self._seen - self._start)

    def end_epoch(self) -> dict[str, float]:
        self._check_batch()
        return super().end_epoch()

    def check(self) -> None:
        variable = ops.convert_to_numpy(self.optimizer.learning_rate)
        if variable != np.asarray(self._written, variable.dtype):
            raise self._refuse_value("learning_rate", number(variable), self._written, self._update)

    def _check_batch(self) -> None:
        """Refuse a batch of several updates, all but the first of which used a value that was not theirs."""
        made = iterations(self.optimizer)
        if self.each_batch and made > self._seen + 1:
            raise self.part.refuse(
                f"{made - self._seen} updates of one batch, by Keras' own {type(self.optimizer).__name__}, whose "
                f"learning_rate can be set once for a batch",
                "build the optimizer with build_optimizer(spec, model), or give resolution='epoch'",
            )
        self._seen = made

    def _write(self, update: int) -> None:
        self._update, self._written = update, self._values[min(update, self._columns - 1)]
        self.optimizer.learning_rate = self._written
        _KNOWN[self.optimizer] = (self._own_base, self._written)

    def _base_value(self, rate: keras.Variable) -> float:
        """The learning rate before any decay."""
        made = iterations(self.optimizer)
        self._written, self._update = number(rate), 0
        written: float | None
        self._own_base: float | None
        self._own_base, written = _KNOWN.get(self.optimizer, (None, None))
        if written is None or float32(written) != float32(self._written):
            # Nobody decayed it yet, or somebody set it since: a fresh optimizer's own is its base value.
            self._own_base = self._written if made == 0 else None
        base = self._own_base if self.part.base is None else self.part.base
        if base is None:
            raise self.part.refuse(
                f"an optimizer that has made {made} updates already, whose learning rate before any decay is not known",
                "give base=, or build a fresh optimizer",
            )
        return base


def reserve(model: keras.Model, optimizer: ScheduledOptimizer, columns: int, recorded: int = 0) -> None:
    """Make room in an optimizer's table, and have the train step traced anew if it grew."""
    if optimizer.table.reserve(columns, recorded):
        # A train step that was traced with the smaller variables would go on using them.
        model.make_train_function(force=True)


def number(variable: Any) -> float:
    """A variable's number as the decimal that it was written as: 0.001, not 0.0010000000474974513."""
    value = ops.convert_to_numpy(variable)
    return shortest_decimal(float(value)) if value.dtype == "float32" else float(value)
