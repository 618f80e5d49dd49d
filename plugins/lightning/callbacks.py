"""Lightning's half of the callbacks: where in the run the loop is, and which optimizers there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from ..core.callbacks.epoch_callbacks import EpochGatedDecayMixin, LearningRateSchedulerMixin
from ..core.callbacks.errors import metric_error, other_driver_error, warn_of_missing_score, warn_of_no_metric
from ..core.callbacks.hyperparameter_scheduler import HyperparameterSchedulerMixin, ScheduleMixin
from ..core.callbacks.optimizer_matching import driven_by, followed, refuse_second_drivers
from ..core.callbacks.reduce_on_plateau import ReduceOnPlateauMixin
from ..core.checkpoints.resuming import Continued, check_loaded, continued, driver_before, driver_of
from ..core.checkpoints.saved import Driver, Progress, Saved
from ..core.schedules.durations import Clock, Position
from .counter import Counter
from .followers import Follower
from .metrics import Metric
from .optimizers import rewrite
from .resumption import Resumption
from .trainers import (
    callbacks_of,
    epochs_of_another_accumulation,
    has_epoch,
    is_a,
    log,
    may_be_short,
    optimizers_of,
    paths_of,
    run_length,
    updates_per_epoch,
)

if TYPE_CHECKING:
    from pytorch_lightning import LightningModule, Trainer
else:
    LightningModule = Trainer = Any

# Callbacks of Lightning that set the learning rate themselves.
_OTHER_DRIVERS = ("BackboneFinetuning", "StochasticWeightAveraging")

# torch loads the groups of other rules into those of an optimizer without a word where they are of the same sizes.
_MOMENTS = ("parameters",)


class _Driver(ScheduleMixin, Resumption, Counter):
    """The hooks that all scheduling callbacks share."""

    _followers: Sequence[Follower] = ()
    _going_on: dict[int, Continued]  # by the optimizer's number
    _reducers: Sequence[ReduceOnPlateau] = ()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        found = optimizers_of(trainer, self.who)
        paths = paths_of(pl_module, found)
        drivers = [each for each in callbacks_of(trainer) if isinstance(each, _Driver)]
        self._other_driver_errors(trainer, drivers, found, paths)
        self._reducers = [each for each in drivers if isinstance(each, ReduceOnPlateau)]
        by_hand = not pl_module.automatic_optimization
        self._found_updates = updates_per_epoch(trainer, trainer.current_epoch)
        self._clock = self.clock(self._found_updates, *run_length(trainer, len(found)))
        for reducer in self._reducers:
            reducer.begin_run(trainer, self._clock)
        others = [type(c).__name__ for c in callbacks_of(trainer) if not isinstance(c, Counter)]
        others.append(type(pl_module).__name__)
        followers, made, self._going_on = [], {}, {}
        for number, part, label in driven_by(self, drivers, paths):
            clock = part.clock(self._found_updates, *run_length(trainer, len(found)))
            before = self._made_before(trainer, number)
            self._going_on[number] = self._go_on(trainer, part, clock, number, found[number], before or 0)
            part, clock = self._going_on[number]
            part.reduced_by = [reducer for reducer in self._reducers if reducer is not part]
            part.prepare(clock)
            if before is None and part.counts_updates():
                raise part.refuse(
                    "a run that is resumed within an epoch under manual optimization, whose updates nobody counted",
                    "resume from a checkpoint of the end of an epoch, or write the schedule in whole epochs",
                )
            made[number] = before or 0
            followers.append(Follower(part, label, found[number], clock.updates_per_epoch, by_hand, others))
        self._counts_updates = any(follower.part.counts_updates() for follower in followers)
        if self._counts_updates:
            for epoch in epochs_of_another_accumulation(trainer):
                self._check_length(trainer, epoch)
        self._epoch_is_new = True
        self._followers = followers
        goes_on = has_epoch(trainer, trainer.current_epoch)
        self._counted = {
            number: follower.begin(trainer.current_epoch, before, goes_on)
            for follower, (number, before) in zip(followers, made.items(), strict=True)
        }

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(trainer, pl_module, checkpoint)
        restored = Saved(0) if self._restored is None else self._restored
        for number, progress in restored.optimizers.items():
            part = self if self.parts is None else self.parts.get(number)
            saved = None if part is None else driver_before(part, progress.drivers)
            if part is not None and saved is not None:
                check_loaded(part, saved, restored.position(number), _MOMENTS)

    def _go_on(
        self, trainer: Trainer, part: ScheduleMixin, clock: Clock, number: int, optimizer: Any, made: int
    ) -> Continued:
        """What an optimizer goes on by, which has the numbers of its spec then."""
        before = self._before(trainer)
        progress = Progress() if before is None else before.optimizers.get(number, Progress())
        saved = driver_before(part, progress.drivers)
        if saved is None or part.reduces:
            return Continued(part, clock)
        where = Position(trainer.current_epoch, made)
        if trainer.ckpt_path is not None:  # only now it is known which optimizer is meant by the path of a part
            check_loaded(part, saved, where, _MOMENTS)
        going_on = continued(part, saved, clock, where)
        if part.on_change in ("use_new", "use_saved") and going_on.part.spec is not None:
            rewrite(going_on.part, optimizer)
        return going_on

    def _drivers_of(self, number: int) -> Sequence[Driver]:
        others = [driver_of(reducer, self._clock) for reducer in self._reducers if reducer is not self]
        return [driver_of(*self._going_on[number]), *others]

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        for reducer in self._reducers:
            reducer.look_at_end(trainer)
        super().on_save_checkpoint(trainer, pl_module, checkpoint)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._epoch_is_new = True
        for reducer in self._reducers:
            reducer.look_at_end(trainer)
        for follower in self._followers:
            follower.begin_epoch(trainer.current_epoch)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        if self._counts_updates and self._epoch_is_new:
            self._epoch_is_new = False
            self._check_length(trainer, trainer.current_epoch)
        for follower in self._followers:
            follower.before_batch()

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        for follower in self._followers:
            follower.after_batch()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        following = trainer.current_epoch + 1
        goes_on = has_epoch(trainer, following)
        short = may_be_short(trainer)
        for reducer in self._reducers:
            reducer.look(trainer)
        for follower in self._followers:
            if not short:
                follower.end_epoch()
            for name, value in follower.used().items():
                log(pl_module, name, value)
            if goes_on:
                follower.write_for(following, 0)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for reducer in self._reducers:
            reducer.look_at_end(trainer)
        super().on_train_end(trainer, pl_module)

    def _end(self, trainer: Trainer) -> None:
        super()._end(trainer)
        for follower in self._followers:
            follower.end()
        self._followers, self._reducers = (), ()

    def _other_driver_errors(
        self,
        trainer: Trainer,
        drivers: Sequence[_Driver],
        found: Sequence[torch.optim.Optimizer],
        paths: Sequence[Sequence[str]],
    ) -> None:
        """Refuse whatever else drives what this callback drives, of the same optimizer."""
        refuse_second_drivers(drivers, paths)
        ours = {(number, name) for number, part, _ in followed(self, paths) for name in part.driven}
        for callback in callbacks_of(trainer):
            for kind in _OTHER_DRIVERS:
                if is_a(callback, kind) and any(name == "learning_rate" for _, name in ours):
                    raise other_driver_error(self, "learning_rate", f"the callback {kind}", "leave one out")
        for scheduler in (config.scheduler for config in trainer.lr_scheduler_configs):
            number = next((n for n, optimizer in enumerate(found) if optimizer is scheduler.optimizer), None)
            # OneCycleLR and CyclicLR cycle the momentum too.
            for name in ("learning_rate", *(["momentum"] if getattr(scheduler, "cycle_momentum", False) else [])):
                if (number, name) in ours:
                    other = f"the {type(scheduler).__name__} of configure_optimizers"
                    remedy = "return the optimizer alone"
                    if is_a(scheduler, "ReduceLROnPlateau"):
                        remedy += ", and give the Trainer samestep.lightning.ReduceOnPlateau.like_torch(...)"
                    raise other_driver_error(self, name, other, remedy)
        specs = [getattr(optimizer, "spec", None) for optimizer in found]
        if any(spec is not None and spec.clip is not None for spec in specs) and trainer.gradient_clip_val:
            raise self.refuse(
                f"gradient_clip_val={trainer.gradient_clip_val!r} of the Trainer, and an optimizer that clips already",
                "leave one of them out",
            )

    def _check_length(self, trainer: Trainer, epoch: int) -> None:
        """Refuse an epoch of another number of updates than the plan was resolved for."""
        found = updates_per_epoch(trainer, epoch)
        if found != self._found_updates:
            raise self.refuse(
                f"{found} updates in epoch {epoch} and {self._found_updates} in the first",
                "keep the batches and accumulate_grad_batches as they are, or write the schedule in whole epochs",
            )


class HyperparameterScheduler(HyperparameterSchedulerMixin, _Driver):
    __doc__ = HyperparameterSchedulerMixin.__doc__


class EpochGatedDecay(EpochGatedDecayMixin, _Driver):
    __doc__ = EpochGatedDecayMixin.__doc__


class LearningRateScheduler(LearningRateSchedulerMixin, _Driver):
    __doc__ = LearningRateSchedulerMixin.__doc__


class ReduceOnPlateau(ReduceOnPlateauMixin, _Driver):
    __doc__ = ReduceOnPlateauMixin.__doc__

    _metric: Metric | None = None
    _epoch = 0  # the last one that was looked at
    _epoch_has_ended = False
    _resumed: int | None = None  # the epoch within which a run was resumed
    _broken_off = False  # whether a checkpoint was saved before its epoch was over
    _is_scored = False  # whether there should have been a score by now

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(trainer, pl_module, checkpoint)
        epochs = checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]
        self._broken_off = epochs["ready"] > epochs["processed"]

    def begin_run(self, trainer: Trainer, clock: Clock) -> None:
        """A training begins: whichever callback asks first, before any value is written."""
        if self._metric is not None:
            return
        before = self._before(trainer)
        progress = [] if before is None else before.optimizers.values()
        saved = [driver_before(self, each.drivers) for each in progress]
        if trainer.ckpt_path is not None and not any(saved):
            self.forget(0)
        self.begin(trainer.current_epoch, next(filter(None, saved), None), clock, anew=trainer.ckpt_path is None)
        self._metric, self._epoch, self._epoch_has_ended = Metric(trainer, self.monitor), trainer.current_epoch, False
        self._is_scored, self._resumed = False, None
        if before is not None and any(saved) and self._broken_off:
            self._resumed = before.epoch
            self._warn_of_missing_score(trainer)

    def _warn_of_missing_score(self, trainer: Trainer) -> None:
        # Lightning does not validate again what is resumed after its last batch, and does not save metrics.
        epoch, every = self._resumed, trainer.check_val_every_n_epoch or 1
        if epoch is None or epoch == trainer.current_epoch:
            return
        if epoch >= self.plateau.start_epoch and epoch not in self.scores and (epoch + 1) % every == 0:
            warn_of_missing_score(self, self.monitor, epoch)
        self._resumed = None

    def look(self, trainer: Trainer) -> None:
        """Take the score of this epoch if there is a new one."""
        self._epoch = trainer.current_epoch
        self._observe(trainer)

    def look_at_end(self, trainer: Trainer) -> None:
        """Take the score that the module itself logged at the end of the epoch, after all callbacks."""
        if self._epoch_has_ended:
            self._observe(trainer)

    def _observe(self, trainer: Trainer) -> None:
        score = None if self._metric is None else self._metric.new(trainer)
        if score is None:
            return
        # What a metric has of the batches before the checkpoint is not saved.
        if trainer.training and self._epoch == self._resumed and score != self.scores.get(self._epoch):
            warn_of_missing_score(self, self.monitor, self._epoch)
        self.observe(self._epoch, score)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._metric is not None:  # not in the sanity check, which precedes the training
            self._is_scored = True
            self.look(trainer)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_epoch_start(trainer, pl_module)
        self._epoch_has_ended = False
        self._warn_of_missing_score(trainer)
        if self._is_scored and not self.scores:
            raise metric_error(self, self.monitor, self._epoch, sorted(trainer.callback_metrics))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_epoch_end(trainer, pl_module)
        self._epoch_has_ended = True
        self._is_scored = self._is_scored or not sum(trainer.num_val_batches)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_end(trainer, pl_module)
        if not self.scores:
            warn_of_no_metric(self, self.monitor)

    def _end(self, trainer: Trainer) -> None:
        super()._end(trainer)
        self._metric = None
