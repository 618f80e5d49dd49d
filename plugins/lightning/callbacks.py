"""Lightning's half of the callbacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..core import callbacks as shared
from ..core.callbacks.errors import metric_error, warn_of_missing_score, warn_of_no_metric
from ..core.checkpoints.resuming import driver_before
from ..core.schedules.clock import Clock
from .monitored_metric import MonitoredMetric
from .scheduling_hooks import SchedulingHooks

if TYPE_CHECKING:
    from pytorch_lightning import LightningModule, Trainer
else:
    LightningModule = Trainer = Any


class HyperparameterScheduler(shared.HyperparameterScheduler, SchedulingHooks):
    __doc__ = shared.HyperparameterScheduler.__doc__


class EpochGatedDecay(shared.EpochGatedDecay, SchedulingHooks):
    __doc__ = shared.EpochGatedDecay.__doc__


class LearningRateScheduler(shared.LearningRateScheduler, SchedulingHooks):
    __doc__ = shared.LearningRateScheduler.__doc__

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_epoch_start(trainer, pl_module)
        if trainer.is_global_zero:
            self._tell(trainer.current_epoch, self._followers)


class ReduceOnPlateau(shared.ReduceOnPlateau, SchedulingHooks):
    __doc__ = shared.ReduceOnPlateau.__doc__

    _metric: MonitoredMetric | None = None
    _epoch = 0  # the last one seen
    _epoch_has_ended = False
    _resumed_within: int | None = None  # the epoch in which the run was resumed
    _was_broken_off = False  # whether the checkpoint was saved before its epoch ended
    _is_scored = False  # whether there should have been a score by now

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(trainer, pl_module, checkpoint)
        if trainer.state.fn == "fit":
            epochs = checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]
            self._was_broken_off = epochs["ready"] > epochs["processed"]

    def _begin_run(self, trainer: Trainer, clock: Clock) -> None:
        """Begin a training, before any value is written."""
        self._prints = trainer.is_global_zero
        self._enter(trainer)
        before = self._before(trainer)
        progress = [] if before is None else before.optimizers.values()
        saved = [driver_before(self._policy, each.drivers) for each in progress]
        if trainer.ckpt_path is not None and not any(saved):
            self._policy.forget(0)
        known, epoch = next(filter(None, saved), None), trainer.current_epoch
        self._begin_scores(epoch, known, clock, anew=trainer.ckpt_path is None)
        self._metric, self._epoch, self._epoch_has_ended = MonitoredMetric(trainer, self.monitor), epoch, False
        self._is_scored, self._resumed_within = False, None
        if before is not None and any(saved) and self._was_broken_off:
            self._resumed_within = before.epoch
            self._warn_of_missing_score(trainer)

    def _warn_of_missing_score(self, trainer: Trainer) -> None:
        # Lightning does not validate again when resumed after an epoch's last batch, and does not save metrics.
        epoch, every = self._resumed_within, trainer.check_val_every_n_epoch or 1
        if epoch is None or epoch == trainer.current_epoch:
            return
        if epoch >= self.plateau.start_epoch and epoch not in self.scores and (epoch + 1) % every == 0:
            warn_of_missing_score(self._policy, self.monitor, epoch)
        self._resumed_within = None

    def _take_score(self, trainer: Trainer) -> None:
        """Take this epoch's score if there is a new one."""
        self._epoch = trainer.current_epoch
        self._observe_new(trainer)

    def _take_score_at_end(self, trainer: Trainer) -> None:
        """Take a score that the module itself logged at the end of the epoch, after all callbacks."""
        if self._epoch_has_ended:
            self._observe_new(trainer)

    def _observe_new(self, trainer: Trainer) -> None:
        score = None if self._metric is None else self._metric.new(trainer)
        if score is None:
            return
        # What a metric accumulated before the checkpoint is not saved.
        if trainer.training and self._epoch == self._resumed_within and score != self.scores.get(self._epoch):
            warn_of_missing_score(self._policy, self.monitor, self._epoch)
        self.observe(self._epoch, score)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # Not in the sanity check, which precedes the training, nor in another Trainer's validation during it.
        if self._metric is not None and self._drives(trainer):
            self._is_scored = True
            self._take_score(trainer)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_epoch_start(trainer, pl_module)
        self._epoch_has_ended = False
        self._warn_of_missing_score(trainer)
        if self._is_scored and not self.scores:
            raise metric_error(self._policy, self.monitor, self._epoch, sorted(trainer.callback_metrics))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_epoch_end(trainer, pl_module)
        self._epoch_has_ended = True
        self._is_scored = self._is_scored or not sum(trainer.num_val_batches)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_end(trainer, pl_module)
        if not self.scores:
            warn_of_no_metric(self._policy, self.monitor)

    def _end(self, trainer: Trainer) -> None:
        super()._end(trainer)
        self._metric = None
