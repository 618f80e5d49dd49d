"""Keras' half of the callbacks: where in the run the loop is, and which optimizers there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from ..core.callbacks import HyperparameterSchedulerMixin, ScheduleMixin, TraceRecorderMixin
from ..core.epoch_callbacks import EpochGatedDecayMixin, LearningRateSchedulerMixin
from ..core.refusals import refuse_other_driver, refuse_second_driver, warn_of_first_epoch
from ..core.which import followed, labels
from .beside import Ahead, Beside
from .continuing import follow
from .followers import Follower, TableFollower
from .models import Optimizer, Trained, iterations, left_out, optimizers_of
from .recordings import Recording, record
from .scheduled import ScheduledOptimizer

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
                    optimizer.run.begin()
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
    _parts_of: Sequence[tuple[ScheduleMixin, str, Optimizer]] = ()
    _first_epoch_is_known = True

    def _begin(self, model: keras.Model, found: Sequence[Trained], beside: Beside) -> None:
        paths = [paths for _, paths in found]
        _refuse_other_drivers(self, paths, beside)
        self._others, self._first_epoch_is_known = beside.others(), False
        self._parts_of = [(each.part, each.label, found[each.number].optimizer) for each in followed(self, paths)]
        self._set_followers([follow(*each, model, self.params or {}) for each in self._parts_of])
        self._left_out = left_out(model)
        self._made_by_left_out = iterations(self._left_out) if self._left_out is not None else 0

    def _set_followers(self, followers: Sequence[Follower]) -> None:
        self._followers = followers
        self._each_batch = [follower for follower in followers if follower.each_batch]
        for follower in followers:
            follower.others = self._others

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if not self._first_epoch_is_known:
            self._first_epoch_is_known = True
            self._go_on(epoch)
        for follower in self._followers:
            follower.begin_epoch(epoch)

    def _go_on(self, epoch: int) -> None:
        """Go on with the run of each optimizer, the first epoch of this training being known, and all loaded."""
        followers = []
        for follower, each in zip(self._followers, self._parts_of, strict=True):
            if isinstance(follower, TableFollower):
                run = follower.optimizer.run
                if run.loaded and not epoch and run.position.epoch and each[0].on_change != "use_new":
                    warn_of_first_epoch(each[0], run.position.epoch)
                if (epoch and not run.loaded) or (run.loaded and run.before is not follower.before):
                    follower = follow(*each, self.model, self.params or {}, epoch)
                run.going_on.append(follower.going_on)
            followers.append(follower)
        self._set_followers(followers)

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
            if isinstance(follower, TableFollower):
                follower.optimizer.run.end_epoch(epoch)
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
    refuse_second_drivers([each for each in beside.callbacks if isinstance(each, _Driver)], paths)
    for each in beside.callbacks:
        for kind, remedy in _OTHER_DRIVERS.items():
            if isinstance(each, kind) and "learning_rate" in driver.driven:
                raise refuse_other_driver(driver, "learning_rate", f"Keras' own {type(each).__name__}", remedy)
