"""Lightning's half of the callbacks: the hooks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from ..core import callbacks as shared
from ..core.callbacks.errors import metric_error, shorter_epoch_error, warn_of_missing_score, warn_of_no_metric
from ..core.callbacks.optimizer_matching import Followed
from ..core.callbacks.schedule_callback import ScheduleCallback
from ..core.callbacks.start import clock_of, start
from ..core.checkpoints.resuming import Bases, check_loaded, driver_before, driver_of
from ..core.checkpoints.saved import Driver, LaterGroup, Progress, Saved
from ..core.policies.policy import Policy
from ..core.schedules.clock import Clock, Position
from ..torch.base_values import Configured, bases_of, saved_bases, snapshot
from ..torch.build import rewrite
from ..torch.follower import TorchFollower
from .base_callback import trainer_error
from .logged import log
from .monitored_metric import MonitoredMetric
from .resume_fixes import ResumeFixes
from .trainer import (
    callbacks_of,
    epochs_of_another_accumulation,
    has_epoch,
    may_be_short,
    refuse_other_optimizers,
    updates_per_epoch,
)
from .training import Training
from .unfrozen import Unfreezes

if TYPE_CHECKING:
    from pytorch_lightning import LightningModule, Trainer
else:
    LightningModule = Trainer = Any

# torch silently loads the groups of different rules into an optimizer if their sizes match.
_MOMENTS = ("parameters",)


class _Driver(ScheduleCallback, ResumeFixes, Unfreezes):
    """The hooks that all scheduling callbacks share."""

    _training: Training | None = None
    _followers: Sequence[TorchFollower] = ()
    _optimizers: Sequence[torch.optim.Optimizer] = ()
    _follower_of: dict[int, TorchFollower]  # by the optimizer's number
    _reducers: Sequence[ReduceOnPlateau] = ()
    _configured: Sequence[Configured] = ()  # by the first driver, for all

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_fit_start(trainer, pl_module)
        if next(each for each in callbacks_of(trainer) if isinstance(each, _Driver)) is self:
            path = trainer.ckpt_path
            found = [each for each in trainer.optimizers if isinstance(each, torch.optim.Optimizer)]
            self._configured = [
                Configured(each, lambda: path is not None and trainer.ckpt_path == path) for each in found
            ]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        try:
            self._start(trainer, pl_module)
        except Exception:
            for reducer in self._reducers:
                reducer._was_refused()
            raise

    def _start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        training = self._begin_training(trainer, pl_module)
        self._optimizers = training.optimizers
        self._counts = {}
        self._followers = followers = list[TorchFollower]()
        self._follower_of = {}
        meant = training.matching.driven_by(self)
        for each in meant:
            followers.append(self._follow(trainer, training, each))
        self._counts_updates = any(follower.policy.counts_updates() for follower in followers)
        if self._counts_updates:
            for epoch in epochs_of_another_accumulation(trainer):
                self._check_length(trainer, epoch)
        self._is_new_epoch = True
        continues = has_epoch(trainer, trainer.current_epoch)
        for follower, each in zip(followers, meant, strict=True):
            follower.begin(trainer.current_epoch, self._made_before(trainer, each.number) or 0, continues)
            self._counts[each.number] = follower.count
            self._follower_of[each.number] = follower

    def _begin_training(self, trainer: Trainer, pl_module: LightningModule) -> Training:
        """What samestep's callbacks share in this training; the first of them to begin makes it."""
        drivers = [each for each in callbacks_of(trainer) if isinstance(each, _Driver)]
        if drivers[0] is self or self._training is None:
            training = Training(trainer, pl_module, drivers, self._configured, self._later_before(trainer))
            reducers = [each for each in drivers if isinstance(each, ReduceOnPlateau)]
            for driver in drivers:
                driver._training, driver._reducers = training, reducers
            for reducer in reducers:
                reducer._former = None
            for reducer in reducers:
                reducer._begin_run(trainer, training.clock)
        assert self._training is not None  # for the type checker
        return self._training

    def _follow(self, trainer: Trainer, training: Training, meant: Followed) -> TorchFollower:
        policy, optimizer, on_change = meant.policy, training.optimizers[meant.number], self._options.on_change
        given, counted = meant.updates_per_epoch, training.updates
        # The module may leave updates out, and only an update says that there is one too many.
        fewer = training.leaves_out and given is not None and counted is not None and given < counted
        clock = clock_of(policy, given, None if fewer else counted, *training.length)
        before, made = self._before(trainer), self._made_before(trainer, meant.number)
        where = Position(trainer.current_epoch, made or 0)
        progress = Progress() if before is None else before.optimizers.get(meant.number, Progress())
        saved = driver_before(policy, progress.drivers)
        if saved is not None and trainer.ckpt_path is not None and not policy.reduces:
            check_loaded(policy, saved, where, on_change, _MOMENTS)  # only now do we know which optimizer a key means
        reducers = [reducer._policy for reducer in self._reducers]
        groups = training.groups[meant.number]
        later = {} if trainer.ckpt_path is None else {n: group.bases for n, group in progress.later.items()}

        def rewritten(new: Policy) -> None:
            nonlocal groups
            rewrite(new, optimizer, later)
            groups = snapshot(optimizer)

        def bases(policy: Policy) -> Bases:
            return bases_of(policy, optimizer, groups, later)

        if saved is not None and saved.bases is None:
            saved = replace(saved, bases=saved_bases(optimizer, policy.driven))
        started = start(policy, clock, saved, where, on_change, rewritten, reducers, bases)
        if made is None and started.policy.counts_updates():
            raise started.policy.error(
                "a run resumed within an epoch under manual optimization, whose updates were not counted",
                "resume from a checkpoint of an epoch's end, or write the schedule in whole epochs",
            )
        began, now = saved.clock.updates_per_epoch if saved is not None else None, started.clock.updates_per_epoch
        if made and began is not None and now is not None and now <= made < began and started.policy.counts_updates():
            raise shorter_epoch_error(started.policy, where, began, now)
        return TorchFollower(
            started,
            meant.label,
            optimizer,
            verify=self._options.verify,
            by_hand=training.by_hand or fewer,
            others=training.others,
            unseen=training.unseen_updates(optimizer),
            later=later,
            elsewhere=training.elsewhere,
            is_trial=bool(trainer.fast_dev_run),  # type: ignore[attr-defined]  # set by Lightning's connector
        )

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(trainer, pl_module, checkpoint)
        restored = Saved(0) if self._restored is None else self._restored
        for number, progress in restored.optimizers.items():
            policy = self._policies.get(None, self._policies.get(number))
            saved = None if policy is None else driver_before(policy, progress.drivers)
            if policy is not None and saved is not None:
                check_loaded(policy, saved, restored.position(number), self._options.on_change, _MOMENTS)

    def _drivers_of(self, number: int) -> Sequence[Driver]:
        others = [reducer._policy for reducer in self._reducers if reducer is not self]
        clock = Clock() if self._training is None else self._training.clock
        follower = self._follower_of[number]
        follower.policy.made = follower.made
        return [follower.driver(), *(driver_of(policy, clock) for policy in others)]

    def _later_of(self, number: int) -> dict[int, LaterGroup]:
        follower = self._follower_of[number]
        groups = follower.optimizer.param_groups
        paths = {} if self._training is None else self._training.paths
        return {
            index: LaterGroup(bases, tuple(paths[id(p)] for p in groups[index]["params"] if id(p) in paths))
            for index, bases in follower.groups.later.items()
            if index < len(groups)
        }

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        self._take_scores_at_end(trainer)
        super().on_save_checkpoint(trainer, pl_module, checkpoint)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        refuse_other_optimizers(trainer, self._optimizers, self._who)
        self._is_new_epoch = True
        self._take_scores_at_end(trainer)
        for follower in self._followers:
            follower.begin_epoch(trainer.current_epoch)

    def on_train_batch_start(self, *args: Any, **kwargs: Any) -> None:
        if self._training is None:
            raise trainer_error(self._who, "on_train_batch_start")
        if self._counts_updates and self._is_new_epoch:
            self._is_new_epoch, trainer = False, args[0]
            self._check_length(trainer, trainer.current_epoch)
        for follower in self._followers:
            follower.before_batch()

    def on_train_batch_end(self, *args: Any, **kwargs: Any) -> None:
        if self._training is None:
            raise trainer_error(self._who, "on_train_batch_end")
        for follower in self._followers:
            follower.after_batch()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        refuse_other_optimizers(trainer, self._optimizers, self._who)
        following = trainer.current_epoch + 1
        continues = has_epoch(trainer, following)
        short = may_be_short(trainer)
        for reducer in self._reducers:
            reducer._take_score(trainer)
        for follower in self._followers:
            for name, value in follower.end_epoch(short).items():
                log(pl_module, name, value)
            if continues:
                follower.write_ahead(following)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._take_scores_at_end(trainer)
        super().on_train_end(trainer, pl_module)

    def _take_scores_at_end(self, trainer: Trainer) -> None:
        for reducer in self._reducers:
            reducer._take_score_at_end(trainer)

    def _end(self, trainer: Trainer) -> None:
        super()._end(trainer)
        for follower in self._followers:
            follower.end()
        for each in self._configured:
            each.remove()
        self._configured = ()
        self._followers, self._reducers, self._training = (), (), None
        self._follower_of, self._optimizers = {}, ()

    def _check_length(self, trainer: Trainer, epoch: int) -> None:
        """Refuse an epoch whose number of updates differs from what the plan was resolved for."""
        found, first = updates_per_epoch(trainer, epoch), None if self._training is None else self._training.updates
        if found != first:
            raise ValueError(
                f"{self._who}: found {found} updates in epoch {epoch} and {first} in the first; keep the number of "
                f"batches and accumulate_grad_batches constant, or write the schedule in whole epochs."
            )


class HyperparameterScheduler(shared.HyperparameterScheduler, _Driver):
    __doc__ = shared.HyperparameterScheduler.__doc__


class EpochGatedDecay(shared.EpochGatedDecay, _Driver):
    __doc__ = shared.EpochGatedDecay.__doc__


class LearningRateScheduler(shared.LearningRateScheduler, _Driver):
    __doc__ = shared.LearningRateScheduler.__doc__

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_epoch_start(trainer, pl_module)
        if trainer.is_global_zero:
            self._tell(trainer.current_epoch, self._followers)


class ReduceOnPlateau(shared.ReduceOnPlateau, _Driver):
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
