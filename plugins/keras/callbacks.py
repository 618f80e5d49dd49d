"""Keras' half of the callbacks: where in the run the loop is, and which optimizers there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from ..core.callbacks import HyperparameterSchedulerMixin, ScheduleMixin, TraceRecorderMixin
from ..core.epoch_callbacks import EpochGatedDecayMixin, LearningRateSchedulerMixin
from ..core.refusals import refuse_other_driver, refuse_second_driver
from ..core.which import followed, labels
from .beside import Ahead, Beside
from .followers import Follower, TableFollower
from .models import Optimizer, Trained, has_own_train_step, iterations, left_out, optimizers_of
from .recordings import Recording, record
from .scheduled import ScheduledOptimizer
from .stock import StockFollower

# Keras' own callbacks that set the learning rate; what can be written instead.
_OTHER_DRIVERS = {
    keras.callbacks.LearningRateScheduler: "write its function as samestep.keras.LearningRateScheduler(function)",
    keras.callbacks.ReduceLROnPlateau: "keep one of them",
}


class _Callback(keras.callbacks.Callback):
    """Asks at the beginning which optimizers there are, and acts at each end before the other callbacks do."""

    _ahead: Ahead | None = None
    _each_batch: Sequence[Any] = ()  # followers or recordings that have to see each one

    def on_train_begin(self, logs: Any = None) -> None:
        beside, model = Beside(self), self.model
        found = optimizers_of(model, type(self).__name__)
        if next(each for each in beside.callbacks if isinstance(each, _Callback)) is self:
            for optimizer, _ in found:
                if isinstance(optimizer, ScheduledOptimizer):
                    optimizer.table.reset()  # a fit that failed has left it as it was
        self._begin(model, found, beside)
        self._ahead = beside.go_ahead(self._end_batch if self._each_batch else None, self._end_epoch)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self._ahead is None:
            self._end_epoch(epoch, logs)

    def on_train_end(self, logs: Any = None) -> None:
        if self._ahead is not None:
            self._ahead.remove()

    def _begin(self, model: keras.Model, found: Sequence[Trained], beside: Beside) -> None:
        """Training begins."""

    def _end_batch(self) -> None:
        """A batch has ended, and no other callback has heard of it."""

    def _end_epoch(self, epoch: int, logs: Any) -> None:
        """An epoch has ended, and no other callback has heard of it."""


class _Driver(ScheduleMixin, _Callback):
    """The hooks that all scheduling callbacks share."""

    _followers: Sequence[Follower] = ()

    def _begin(self, model: keras.Model, found: Sequence[Trained], beside: Beside) -> None:
        paths = [paths for _, paths in found]
        _refuse_other_drivers(self, paths, beside)
        self._followers = [
            _follow(part, label, found[number].optimizer, model, self.params or {})
            for number, part, label in followed(self, paths)
        ]
        self._each_batch = [follower for follower in self._followers if follower.each_batch]
        self._left_out = left_out(model)
        self._made_by_left_out = iterations(self._left_out) if self._left_out is not None else 0
        others = beside.others()
        for follower in self._followers:
            follower.others = others

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        for follower in self._followers:
            follower.begin_epoch(epoch)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if self._each_batch:
            _ = self.model  # on jax, to ask for it brings the variables up to date and has them read anew
            for follower in self._each_batch:
                follower.before_batch()

    def _end_epoch(self, epoch: int, logs: Any) -> None:
        if self._left_out is not None and iterations(self._left_out) != self._made_by_left_out:
            raise self.refuse(
                f"updates by the optimizer of compile(), {self._left_out.name!r}, beside those that the model keeps",
                "have the model's train_step name it, as self.optimizer",
            )
        for follower in self._followers:
            used = follower.end_epoch()
            if logs is not None:
                logs.update(used)

    def on_train_end(self, logs: Any = None) -> None:
        super().on_train_end(logs)
        for follower in self._followers:
            if isinstance(follower.optimizer, ScheduledOptimizer):
                follower.optimizer.table.reset()


class HyperparameterScheduler(HyperparameterSchedulerMixin, _Driver):
    __doc__ = HyperparameterSchedulerMixin.__doc__


class EpochGatedDecay(EpochGatedDecayMixin, _Driver):
    __doc__ = EpochGatedDecayMixin.__doc__


class LearningRateScheduler(LearningRateSchedulerMixin, _Driver):
    __doc__ = LearningRateSchedulerMixin.__doc__


class TraceRecorder(TraceRecorderMixin, _Callback):
    __doc__ = TraceRecorderMixin.__doc__

    _recordings: Sequence[Recording] = ()

    def _begin(self, model: keras.Model, found: Sequence[Trained], beside: Beside) -> None:
        who, params = type(self).__name__, self.params or {}
        called = labels([paths for _, paths in found])
        self._recordings = [record(optimizer, model, params, who) for optimizer, _ in found]
        self._each_batch = [recording for recording in self._recordings if recording.each_batch]
        self.traces = {name: recording.trace for name, recording in zip(called, self._recordings, strict=True)}

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        for recording in self._recordings:
            recording.begin_epoch(epoch)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self._ahead is None and self._each_batch:
            self._end_batch()

    def _end_batch(self) -> None:
        _ = self.model  # on jax, to ask for it brings the variables up to date
        for recording in self._each_batch:
            recording.after_batch()

    def _end_epoch(self, epoch: int, logs: Any) -> None:
        for recording in self._recordings:
            recording.end_epoch()


def _refuse_other_drivers(driver: _Driver, paths: Sequence[Sequence[str]], beside: Beside) -> None:
    """Refuse a second callback that drives a hyperparameter of the same optimizer, one of ours or of Keras' own."""
    driving: dict[tuple[int, str], ScheduleMixin] = {}
    for each in beside.callbacks:
        if isinstance(each, _Driver):
            for number, part, _ in followed(each, paths):
                for name in part.driven:
                    other = driving.setdefault((number, name), part)
                    if other is not part:
                        raise refuse_second_driver(other, part, name)
        for kind, remedy in _OTHER_DRIVERS.items():
            if isinstance(each, kind) and "learning_rate" in driver.driven:
                raise refuse_other_driver(driver, "learning_rate", f"Keras' own {type(each).__name__}", remedy)


def _follow(
    part: ScheduleMixin, label: str, optimizer: Optimizer, model: keras.Model, params: dict[str, Any]
) -> Follower:
    """A follower for an optimizer of a model that is about to be trained, by what Keras knows of the run in `params`.

    part, label: as `which.followed` has them. Raises ValueError for what the part cannot drive.
    """
    clock = part.clock(_updates_per_epoch(part, params.get("steps"), optimizer, model), params.get("epochs"))
    part.prepare(clock)
    kind = TableFollower if isinstance(optimizer, ScheduledOptimizer) else StockFollower
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
