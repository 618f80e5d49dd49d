"""Keras' half of the callbacks: where in the run the loop is, and which optimizers there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import keras

from ..core.callbacks.epoch_callbacks import EpochGatedDecayMixin, LearningRateSchedulerMixin
from ..core.callbacks.errors import metric_error, other_driver_error, warn_of_first_epoch, warn_of_no_metric
from ..core.callbacks.hyperparameter_scheduler import HyperparameterSchedulerMixin, ScheduleMixin
from ..core.callbacks.optimizer_matching import driven_by, labels, refuse_second_drivers
from ..core.callbacks.reduce_on_plateau import ReduceOnPlateauMixin
from ..core.callbacks.trace_recorder import TraceRecorderMixin
from ..core.checkpoints.resuming import Continued, driver_before
from .beside import Ahead, Beside
from .continuing import clock_of, follow
from .followers import Follower, TableFollower
from .models import Optimizer, Trained, iterations, left_out, optimizers_of
from .recordings import Recording, record
from .scheduled import ScheduledOptimizer

# Keras' own callbacks that set the learning rate; what can be written instead.
_OTHER_DRIVERS = {
    keras.callbacks.LearningRateScheduler: "write its function as samestep.keras.LearningRateScheduler(function)",
    keras.callbacks.ReduceLROnPlateau: "write it as samestep.keras.ReduceOnPlateau.like_keras(...)",
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
    _reducers: Sequence[ReduceOnPlateau] = ()
    _parts_of: Sequence[tuple[ScheduleMixin, str, Optimizer]] = ()
    _first_epoch_is_known = True

    def _begin(self, model: keras.Model, found: Sequence[Trained], beside: Beside) -> None:
        paths, drivers = [paths for _, paths in found], [each for each in beside.callbacks if isinstance(each, _Driver)]
        refuse_second_drivers(drivers, paths)
        _other_driver_errors(self, beside)
        self._others, self._first_epoch_is_known = beside.others(), False
        self._reducers = [each for each in drivers if isinstance(each, ReduceOnPlateau)]
        self._parts_of = [
            (each.part, each.label, found[each.number].optimizer) for each in driven_by(self, drivers, paths)
        ]
        self._set_followers([self._follow(*each) for each in self._parts_of])
        self._left_out = left_out(model)
        self._made_by_left_out = iterations(self._left_out) if self._left_out is not None else 0

    def _follow(self, part: ScheduleMixin, label: str, optimizer: Optimizer, epoch: int | None = None) -> Follower:
        reducers = [reducer for reducer in self._reducers if reducer is not part]
        return follow(part, label, optimizer, self.model, self.params or {}, reducers, epoch)

    def _set_followers(self, followers: Sequence[Follower]) -> None:
        self._followers = followers
        self._each_batch = [follower for follower in followers if follower.each_batch]
        for follower in followers:
            follower.others = self._others

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if not self._first_epoch_is_known:
            self._first_epoch_is_known = True
            self._go_on(epoch)
        for reducer in self._reducers:
            reducer.look()
        for follower in self._followers:
            follower.begin_epoch(epoch)

    def _go_on(self, epoch: int) -> None:
        """Go on with the run of each optimizer, the first epoch of this training being known, and all loaded."""
        for reducer in self._reducers:
            reducer.begin_run(epoch)
        followers = []
        for follower, each in zip(self._followers, self._parts_of, strict=True):
            if isinstance(follower, TableFollower):
                run = follower.optimizer.run
                if run.loaded and not epoch and run.position.epoch and each[0].on_change != "use_new":
                    warn_of_first_epoch(each[0], run.position.epoch)
                if (epoch and not run.loaded) or (run.loaded and run.before is not follower.before):
                    follower = self._follow(*each, epoch)
                clock = follower.going_on.clock
                run.going_on += [follower.going_on, *(Continued(reducer, clock) for reducer in self._reducers)]
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


class ReduceOnPlateau(ReduceOnPlateauMixin, _Driver):
    __doc__ = ReduceOnPlateauMixin.__doc__

    _has_begun = False
    _epoch = 0  # the last one that has ended
    _logs: Mapping[str, Any] = MappingProxyType({})  # its own

    def _begin(self, model: keras.Model, found: Sequence[Trained], beside: Beside) -> None:
        self._optimizers, self._has_begun = [optimizer for optimizer, _ in found], False
        self._logs = {}
        super()._begin(model, found, beside)

    def begin_run(self, epoch: int) -> None:
        """The first epoch of this training begins: whichever callback asks first, before any value is written."""
        if self._has_begun:
            return
        self._has_begun = True
        runs = [optimizer.run for optimizer in self._optimizers if isinstance(optimizer, ScheduledOptimizer)]
        saved = [driver_before(self, run.before) for run in runs]
        loaded = any(run.loaded for run in runs)
        if loaded and not any(saved):
            self.forget(0)
        known = next(filter(None, saved), None) if loaded or (epoch and not self.scores) else None
        clock = clock_of(self, self._optimizers[0], self.model, self.params or {})
        self.begin(epoch, known, clock, anew=True)
        if epoch > self.plateau.start_epoch and not self.scores and len(runs) < len(self._optimizers):
            raise self.refuse(
                f"a training that begins at epoch {epoch} with an optimizer of Keras' own, whose checkpoint has no "
                f"scores",
                "build the optimizer with build_optimizer(spec, model)",
            )

    def _end_epoch(self, epoch: int, logs: Any) -> None:
        super()._end_epoch(epoch, logs)
        self._epoch, self._logs = epoch, {} if logs is None else logs
        self.look()

    def memory(self) -> list[list[Any]]:
        self.look()
        return super().memory()

    def look(self) -> None:
        """Take the score of the last epoch: Keras measured it, or another callback has added it to the log since."""
        score = self._logs.get(self.monitor)
        if score is not None:
            self.observe(self._epoch, score)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        super().on_epoch_begin(epoch, logs)
        scored = not self.monitor.startswith("val_") or any(name.startswith("val_") for name in self._logs)
        if self._logs and scored and not self.scores:
            raise metric_error(self, self.monitor, self._epoch, sorted(self._logs))

    def on_train_end(self, logs: Any = None) -> None:
        super().on_train_end(logs)
        self.look()
        for optimizer in self._optimizers:
            if isinstance(optimizer, ScheduledOptimizer):
                optimizer.run.end()
        if not self.scores:
            warn_of_no_metric(self, self.monitor)


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


def _other_driver_errors(driver: _Driver, beside: Beside) -> None:
    """Refuse callbacks of Keras' own that drive what this one drives."""
    for each in beside.callbacks:
        for kind, remedy in _OTHER_DRIVERS.items():
            if isinstance(each, kind) and "learning_rate" in driver.driven:
                raise other_driver_error(driver, "learning_rate", f"Keras' own {type(each).__name__}", remedy)
