"""Keras' half of the callbacks: when to write, and where in the run the loop is.

An optimizer of `build_optimizer` gets the values of an epoch's updates at the start of the epoch, in its table. Any
other optimizer has a learning rate that is set at the start of the epoch; what would need more is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import keras
from keras import ops

from ..core.callbacks import HyperparameterSchedulerMixin, ScheduleMixin, TraceRecorderMixin
from ..core.durations import Position
from ..core.epoch_callbacks import EpochGatedDecayMixin, LearningRateSchedulerMixin
from ..core.refusals import refuse_longer_epoch, refuse_other_driver, refuse_other_spec, refuse_second_driver
from ..core.trace import Trace, float32, shortest_decimal
from .scheduled import ScheduledOptimizer

_RECORDED_COLUMNS = 65536  # of an epoch whose number of updates is unknown
_DRIVERS = "samestep_drivers"

# Of optimizers that are not ours: the learning rate before any decay, and the one that was written last.
_KNOWN: WeakKeyDictionary[keras.optimizers.Optimizer, tuple[float | None, float]] = WeakKeyDictionary()


class _Driver(ScheduleMixin, keras.callbacks.Callback):
    """The hooks that all scheduling callbacks share."""

    _base: float
    _checked: bool

    def on_train_begin(self, logs: Any = None) -> None:
        optimizer = _inner_optimizer(self.model)
        drivers = _drivers(self.params, optimizer)
        for name in self.driven:
            if drivers.setdefault(name, self) is not self:
                raise refuse_second_driver(drivers[name], self, name)
        clock = self.clock(_updates_per_epoch(self, self.params["steps"], optimizer), self.params["epochs"])
        self.prepare(clock)
        self._updates = clock.updates_per_epoch if self.varies_within_epochs() else None
        self._most_updates = clock.updates_per_epoch if self.counts_updates() else None
        if isinstance(optimizer, ScheduledOptimizer):
            self._begin_ours(optimizer)
        else:
            self._begin_other(optimizer)
        self._seen = _iterations(optimizer)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        optimizer = _inner_optimizer(self.model)
        restored = (
            _iterations(optimizer) != self._seen
        )  # by a callback such as BackupAndRestore, with its learning rate
        self._seen = self._made = _iterations(optimizer)
        if isinstance(optimizer, ScheduledOptimizer):
            optimizer.table.begin_epoch({name: partial(self._rows, name, Position(epoch)) for name in self.driven})
            return
        if not restored:
            self._check_unchanged(optimizer, epoch)
        ((self._written,),) = self._rows("learning_rate", Position(epoch), [self._base])
        optimizer.learning_rate = self._written
        _KNOWN[optimizer] = (self._own_base, self._written)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        optimizer = _inner_optimizer(self.model)
        if not isinstance(optimizer, ScheduledOptimizer):
            self._check_unchanged(optimizer, epoch)
        self._seen = _iterations(optimizer)
        if self._most_updates is not None and self._seen - self._made > self._most_updates:
            raise refuse_longer_epoch(self, epoch, self._most_updates)

    def on_train_end(self, logs: Any = None) -> None:
        optimizer = _inner_optimizer(self.model)
        if isinstance(optimizer, ScheduledOptimizer):
            optimizer.table.reset()

    def _check_unchanged(self, optimizer: keras.optimizers.Optimizer, epoch: int) -> None:
        """Refuse a learning rate that is not the one that was written last."""
        found = _number(optimizer.learning_rate)
        if float32(found) != float32(self._written):
            raise self.refuse(
                f"the learning rate {found!r} in epoch {epoch}, where {self._written!r} was written",
                "remove the other callback that sets it",
            )

    def _begin_ours(self, optimizer: ScheduledOptimizer) -> None:
        if self.spec is not None:
            difference = self.spec.difference(optimizer.spec)
            if difference is not None:
                raise refuse_other_spec(self, difference)
        _reserve(self.model, optimizer, self._updates or 1)
        self._checked = optimizer.built
        if self._checked:
            self.check_bases({name: self._own(name, optimizer.table.base[name]) for name in self.driven})

    def _own(self, name: str, found: Sequence[float]) -> list[float]:
        return self.own_bases(found) if name == "learning_rate" else list(found)

    def _rows(self, name: str, position: Position, found: Sequence[float]) -> list[list[float]]:
        """The values of an epoch for each base value that was found."""
        bases = self._own(name, found)
        if not self._checked:
            self.check_bases({name: bases})
        return self.columns(name, bases, position, self._updates or 1)

    def _begin_other(self, optimizer: keras.optimizers.Optimizer) -> None:
        kind = type(optimizer).__name__
        if self.spec is not None:
            raise refuse_other_spec(self, f"the optimizer is Keras' own {kind}")
        for name in self.driven:
            if name != "learning_rate":
                raise self.refuse(
                    f"a {name} schedule for Keras' own {kind}, whose compiled train step would not see it",
                    "build the optimizer with build_optimizer(spec, model)",
                )
        rate = optimizer._learning_rate
        if not isinstance(rate, keras.Variable):
            raise refuse_other_driver(
                self,
                "learning_rate",
                f"an optimizer built with the schedule {type(rate).__name__}",
                "build the optimizer with a number as its learning rate",
            )
        if self._updates is not None:
            raise self.refuse(
                f"a learning_rate schedule that changes within an epoch, and Keras' own {kind}",
                "build the optimizer with build_optimizer(spec, model), or give resolution='epoch'",
            )
        made = _iterations(optimizer)
        self._written = _number(rate)
        written: float | None
        self._own_base: float | None
        self._own_base, written = _KNOWN.get(optimizer, (None, None))
        if written is None or float32(written) != float32(self._written):
            # Nobody decayed it yet, or somebody set it since: a fresh optimizer's own is its base value.
            self._own_base = self._written if made == 0 else None
        base = self._own_base if self.base is None else self.base
        if base is None:
            raise self.refuse(
                f"an optimizer that has made {made} updates already, whose learning rate before any decay is not known",
                "give base=, or build a fresh optimizer",
            )
        self._base, self._checked = base, True
        self.check_bases({"learning_rate": [base]})


class HyperparameterScheduler(HyperparameterSchedulerMixin, _Driver):
    __doc__ = HyperparameterSchedulerMixin.__doc__


class EpochGatedDecay(EpochGatedDecayMixin, _Driver):
    __doc__ = EpochGatedDecayMixin.__doc__


class LearningRateScheduler(LearningRateSchedulerMixin, _Driver):
    __doc__ = LearningRateSchedulerMixin.__doc__


class TraceRecorder(TraceRecorderMixin, keras.callbacks.Callback):
    __doc__ = TraceRecorderMixin.__doc__

    def on_train_begin(self, logs: Any = None) -> None:
        self.traces = {"": Trace()}
        optimizer = _inner_optimizer(self.model)
        _drivers(self.params, optimizer)
        if isinstance(optimizer, ScheduledOptimizer):
            _reserve(self.model, optimizer, 1, self.params["steps"] or _RECORDED_COLUMNS)
        elif self.model.steps_per_execution != 1:
            raise ValueError(
                f"TraceRecorder: found steps_per_execution={self.model.steps_per_execution} and Keras' own "
                f"{type(optimizer).__name__}, whose updates cannot be seen one by one; build the optimizer with "
                f"build_optimizer(spec, model), or set steps_per_execution=1."
            )

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch = epoch
        optimizer = _inner_optimizer(self.model)
        if isinstance(optimizer, ScheduledOptimizer):
            optimizer.table.begin_epoch({})
        else:
            self._made = self._start = _iterations(optimizer)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if isinstance(_inner_optimizer(self._model), ScheduledOptimizer):
            return
        self._rate = _number(_inner_optimizer(self.model).learning_rate)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if isinstance(_inner_optimizer(self._model), ScheduledOptimizer):
            return
        # A stock optimizer's learning rate is a variable, which the update reads. Its weight decay is not recorded:
        # the attribute may hold what the compiled step has never seen.
        made = _iterations(_inner_optimizer(self.model))
        if made > self._made:
            self.trace.record(Position(self._epoch, self._made - self._start), {"learning_rate": self._rate})
            self._made = made

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        optimizer = _inner_optimizer(self.model)
        if not isinstance(optimizer, ScheduledOptimizer):
            return
        if optimizer.table.made > optimizer.table.recorded_columns:
            raise ValueError(
                f"TraceRecorder: found {optimizer.table.made} updates in an epoch of unknown length; it records at "
                f"most {optimizer.table.recorded_columns}: give fit(steps_per_epoch=...)."
            )
        for update, values in enumerate(optimizer.table.used()):
            self.trace.record(Position(epoch, update), values)


def _drivers(params: dict[str, Any], optimizer: keras.optimizers.Optimizer) -> dict[str, _Driver]:
    """The callbacks of this fit by the hyperparameter that they drive; an optimizer of ours starts from its spec.

    params: Keras makes one for each fit, and hands it to all of its callbacks.
    """
    if _DRIVERS not in params:
        params[_DRIVERS] = {}
        if isinstance(optimizer, ScheduledOptimizer):
            optimizer.table.reset()
    drivers: dict[str, _Driver] = params[_DRIVERS]
    return drivers


def _inner_optimizer(model: keras.Model) -> keras.optimizers.Optimizer:
    """The optimizer that makes the updates, inside the LossScaleOptimizer of mixed precision if there is one."""
    optimizer = model.optimizer
    return getattr(optimizer, "inner_optimizer", optimizer)


def _iterations(optimizer: keras.optimizers.Optimizer) -> int:
    return int(ops.convert_to_numpy(optimizer.iterations))


def _updates_per_epoch(callback: ScheduleMixin, batches: int | None, optimizer: Any) -> int | None:
    accumulated = optimizer.gradient_accumulation_steps or 1
    if batches is None or batches % accumulated == 0:
        return None if batches is None else batches // accumulated
    raise callback.refuse(
        f"{batches} batches in an epoch and gradient_accumulation_steps={accumulated}, which does not divide them",
        "make it divide: Keras would carry the rest over into the next epoch",
    )


def _reserve(model: keras.Model, optimizer: ScheduledOptimizer, columns: int, recorded: int = 0) -> None:
    if not optimizer.built and model.built:
        # On tensorflow the first step would do it: late for the checks.
        model.optimizer.build(model.trainable_variables)
    if optimizer.table.reserve(columns, recorded):
        # A train step that was traced with the smaller variables would go on using them.
        model.make_train_function(force=True)


def _number(variable: Any) -> float:
    """A variable's number as the decimal that it was written as: 0.001, not 0.0010000000474974513."""
    value = ops.convert_to_numpy(variable)
    return shortest_decimal(float(value)) if value.dtype == "float32" else float(value)
