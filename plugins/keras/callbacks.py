"""Keras' half of the callbacks: the hooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import keras

from ..core import callbacks as shared
from ..core.arguments.given import on_instances
from ..core.callbacks.errors import metric_error, second_training_error, super_error, warn_of_no_metric
from ..core.callbacks.schedule_callback import ScheduleCallback
from ..core.checkpoints.resuming import driver_before
from ..core.checkpoints.trace import Trace
from .callback_list import Ahead, TrainedTogether
from .followers.recordings import Recording, record
from .followers.start import KerasFollower, follow
from .supported import check_trainable
from .training import Training


class _Callback(keras.callbacks.Callback):
    """Shares a training with samestep's other callbacks, and acts before all other callbacks."""

    _begun: Training | None = None

    @property
    def _training(self) -> Training:
        if self._begun is None:
            raise super_error(type(self).__name__, "on_train_begin")
        return self._begun

    @on_instances
    def set_model(self, model: keras.Model) -> None:
        super().set_model(model)

    def on_train_begin(self, logs: Any = None) -> None:
        together = TrainedTogether(self)
        ours = [each for each in together.callbacks if isinstance(each, _Callback)]
        if ours[0] is not self:
            return  # the first one has set it up for all
        for each in ours:
            if each._begun is not None and together.is_within(each._begun.together):
                raise second_training_error(type(each).__name__)
        training = Training(type(self).__name__, self.model, self.params or {}, together)
        training.ahead = together.go_ahead(ours)
        for each in ours:
            each._begun = training
            each._begin()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self._training.ahead is None:
            self._end_epoch(epoch, logs)

    def on_train_end(self, logs: Any = None) -> None:
        self._training.end()

    def _begin(self) -> None:
        """Begin a training."""

    def _check_is_of(self, ahead: Ahead | None) -> None:
        """Raise ValueError if another training has begun since."""
        if self._training.ahead is not ahead or (ahead is None and self.model is not self._training.model):
            raise second_training_error(type(self).__name__)

    def _start(self, epoch: int) -> None:
        """Begin an epoch, before all other callbacks."""
        self._training.check_optimizers(type(self).__name__, epoch)

    def _end_batch(self) -> None:
        """End a batch, before all other callbacks."""

    def _end_epoch(self, epoch: int, logs: Any) -> None:
        """End an epoch, before all other callbacks."""
        self._training.check_optimizers(type(self).__name__, epoch)
        self._training.check_updates(type(self).__name__, epoch)


class _Driver(ScheduleCallback, _Callback):
    """The hooks that all scheduling callbacks share."""

    _followers: Sequence[KerasFollower] = ()
    _each_batch: Sequence[KerasFollower] = ()  # those that write values before each batch

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._check_is_of(self._training.ahead)
        for reducer in self._training.reducers:
            reducer._take_score()
        self._start(epoch)
        self._begin_followers(epoch)

    def _begin_followers(self, epoch: int) -> None:
        for follower in self._followers:
            follower.begin_epoch(epoch)

    def _start(self, epoch: int) -> None:
        """Start all followers: by now the first epoch is known and everything is loaded."""
        super()._start(epoch)
        if not self._training.is_to_start(epoch):
            return
        try:
            self._start_all(epoch)
        except Exception:
            for reducer in self._training.reducers:
                reducer._was_refused()
            raise

    def _start_all(self, epoch: int) -> None:
        training = self._training
        for reducer in training.reducers:
            reducer._begin_run(epoch)
        for driver in training.drivers:
            others = training.together.others(driver)
            driver._followers = [
                follow(training, each, driver._options, others, epoch) for each in training.matching.driven_by(driver)
            ]
            driver._each_batch = [follower for follower in driver._followers if follower.each_batch]
        training.has_started(epoch)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if not batch:  # any callback may have changed or loaded it when the epoch began
            self._training.check_started(self._who)
            check_trainable(self._who, self._training.model)
            self._training.check_optimizers(self._who)
            if self._training.was_loaded:
                self._start(self._training.first_epoch)
                for driver in self._training.drivers:
                    driver._begin_followers(self._training.first_epoch)
        if self._each_batch:
            _ = self.model  # on jax, this access syncs the variables and makes the step read them again
            for follower in self._each_batch:
                follower.before_batch()

    def _end_epoch(self, epoch: int, logs: Any) -> None:
        super()._end_epoch(epoch, logs)
        for follower in self._followers:
            used = follower.end_epoch(self._training.may_be_short)
            if logs is not None:
                logs.update(used)


class HyperparameterScheduler(shared.HyperparameterScheduler, _Driver):
    __doc__ = shared.HyperparameterScheduler.__doc__


class EpochGatedDecay(shared.EpochGatedDecay, _Driver):
    __doc__ = shared.EpochGatedDecay.__doc__


class LearningRateScheduler(shared.LearningRateScheduler, _Driver):
    __doc__ = shared.LearningRateScheduler.__doc__

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        super().on_epoch_begin(epoch, logs)
        self._tell(epoch, self._followers)


class ReduceOnPlateau(shared.ReduceOnPlateau, _Driver):
    __doc__ = shared.ReduceOnPlateau.__doc__

    _epoch = 0  # the last one that has ended
    _logs: Mapping[str, Any] = MappingProxyType({})  # of that epoch

    def _begin(self) -> None:
        self._logs, self._former = {}, None

    def _begin_run(self, epoch: int) -> None:
        """Begin a training at this epoch, before any value is written."""
        training = self._training
        self._enter(training.model)
        runs = [optimizer.run for optimizer in training.scheduled]
        saved = [driver_before(self._policy, run.before) for run in runs]
        loaded = any(run.loaded for run in runs)
        if loaded and not any(saved):
            self._policy.forget(0)
        known = next(filter(None, saved), None) if loaded or (epoch and not self.scores) else None
        self._begin_scores(epoch, known, training.clock(self._policy, None, 0), anew=True)
        if epoch > self.plateau.start_epoch and not self.scores and len(runs) < len(training.optimizers):
            raise self._policy.error(
                f"a training that starts at epoch {epoch} with Keras' own optimizer, whose checkpoint has no scores",
                "build the optimizer with build_optimizer(spec, model)",
            )

    def _take_score(self) -> None:
        """Take the last epoch's score, measured by Keras or added to the logs by another callback."""
        score = self._logs.get(self.monitor)
        if score is not None:
            self.observe(self._epoch, score)

    def _end_epoch(self, epoch: int, logs: Any) -> None:
        super()._end_epoch(epoch, logs)
        self._epoch, self._logs = epoch, {} if logs is None else logs
        self._take_score()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        super().on_epoch_begin(epoch, logs)
        scored = not self.monitor.startswith("val_") or any(name.startswith("val_") for name in self._logs)
        if self._logs and scored and not self.scores:
            raise metric_error(self._policy, self.monitor, self._epoch, sorted(self._logs))

    def on_train_end(self, logs: Any = None) -> None:
        super().on_train_end(logs)
        self._take_score()
        if not self.scores:
            warn_of_no_metric(self._policy, self.monitor)


class TraceRecorder(shared.TraceRecorder, _Callback):
    __doc__ = shared.TraceRecorder.__doc__

    _recordings: Sequence[Recording] = ()
    _each_batch: Sequence[Recording] = ()  # those that read values after each batch

    def _begin(self) -> None:
        training, who = self._training, type(self).__name__
        self._recordings = [
            record(optimizer, count, training.model, training.batches, self._interval, who)
            for optimizer, count in zip(training.optimizers, training.counts, strict=True)
        ]
        self._each_batch = [recording for recording in self._recordings if recording.each_batch]
        self.traces: dict[str, Trace] = {
            name: recording.trace for name, recording in zip(training.labels, self._recordings, strict=True)
        }

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._check_is_of(self._training.ahead)
        self._start(epoch)
        for recording in self._recordings:
            recording.begin_epoch(epoch)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self._training.ahead is None:
            self._end_batch()

    def _end_batch(self) -> None:
        if self._each_batch:
            _ = self.model  # on jax, this access syncs the variables
            for recording in self._each_batch:
                recording.after_batch()

    def _end_epoch(self, epoch: int, logs: Any) -> None:
        super()._end_epoch(epoch, logs)
        for recording in self._recordings:
            recording.end_epoch()
