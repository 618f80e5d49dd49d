"""Lightning's half of the callbacks: where in the run the loop is, and which optimizers there are."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import torch

from ..core.callbacks import HyperparameterSchedulerMixin, ScheduleMixin, TraceRecorderMixin
from ..core.durations import Clock, Position
from ..core.epoch_callbacks import EpochGatedDecayMixin, LearningRateSchedulerMixin
from ..core.refusals import refuse_other_driver, refuse_second_driver
from ..core.resuming import Continued, check_loaded, continued, driver_of
from ..core.saved import KEY, Driver, Progress, Saved
from ..core.trace import Trace
from ..core.which import followed, labels
from . import groups
from .followers import Follower, Updates
from .optimizers import rewrite
from .trainers import (
    callbacks_of,
    epochs_of_another_accumulation,
    is_a,
    log,
    may_be_short,
    optimizers_of,
    paths_of,
    run_length,
    updates_per_epoch,
)

if TYPE_CHECKING:
    from pytorch_lightning import Callback, LightningModule, Trainer
else:
    from .namespaces import Callback

    LightningModule = Trainer = Any

# Callbacks of Lightning that set the learning rate themselves.
_OTHER_DRIVERS = ("BackboneFinetuning", "StochasticWeightAveraging")


class _Counter(Callback):
    """Keeps in the checkpoints how many updates each optimizer had made in the epoch, and by what it was driven.

    Lightning's own progress has the updates that a loss scaler skipped as well, and under manual optimization those of
    all optimizers and epochs together.
    """

    _counted: dict[int, Updates]  # by the optimizer's number
    _ended: Saved | None = None  # of a training that has ended
    _restored: Saved | None = None  # of a checkpoint

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._counted = {}

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        before = Saved.from_dict(checkpoint[KEY]) if KEY in checkpoint else None
        saved = self._progress(trainer, before) if self._counted else self._ended
        if saved is not None:
            checkpoint[KEY] = saved.to_dict()

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        try:
            self._restored = Saved.from_dict(checkpoint[KEY]) if KEY in checkpoint else None
        except ValueError as error:
            raise ValueError(f"{type(self).__name__}: {error}") from None

    def _progress(self, trainer: Trainer, others: Saved | None) -> Saved:
        """How far the run is, beside what `others` have of it."""
        saved = Saved(trainer.current_epoch) if others is None else others
        for number, updates in self._counted.items():
            saved = saved.with_progress(number, updates.made, *self._drivers_of(number))
        return saved

    def _drivers_of(self, number: int) -> Sequence[Driver]:
        """By what this callback drives an optimizer."""
        return ()

    def _before(self, trainer: Trainer) -> Saved | None:
        """What this training goes on from, or None where it begins."""
        return self._restored if trainer.ckpt_path is not None else self._ended if trainer.current_epoch else None

    def _made_before(self, trainer: Trainer, number: int) -> int | None:
        """The updates that an optimizer had made in this epoch before training began; None where nobody knows.

        Resumed within an epoch, Lightning does not announce the epoch again. Resumed between two epochs, its progress
        is still the one of the epoch before.
        """
        loop, saved = trainer.fit_loop, self._restored
        between = loop.epoch_progress.current.ready <= loop.epoch_progress.current.completed
        if between or trainer.ckpt_path is None:  # a fit after one that failed within an epoch begins the epoch anew
            return 0
        if saved is not None and saved.epoch == trainer.current_epoch and number in saved.optimizers:
            return saved.optimizers[number].update
        if not trainer.lightning_module.automatic_optimization:
            return None
        return loop.epoch_loop.automatic_optimization.optim_progress.optimizer.step.current.completed

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._end(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._end(trainer)

    def _end(self, trainer: Trainer) -> None:
        """Count no more; what was counted stays, for a checkpoint that is saved afterwards and for another fit."""
        for updates in self._counted.values():
            updates.remove()
        if self._counted:
            self._ended = self._progress(trainer, None)
        self._counted, self._restored = {}, None


class _Driver(ScheduleMixin, _Counter):
    """The hooks that all scheduling callbacks share."""

    _followers: Sequence[Follower] = ()
    _going_on: dict[int, Continued]  # by the optimizer's number

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        found = optimizers_of(trainer, self.who)
        paths = paths_of(pl_module, found)
        self._refuse_other_drivers(trainer, found, paths)
        by_hand = not pl_module.automatic_optimization
        self._found_updates = updates_per_epoch(trainer, trainer.current_epoch)
        others = [type(c).__name__ for c in callbacks_of(trainer) if not isinstance(c, (_Driver, TraceRecorder))]
        others.append(type(pl_module).__name__)
        followers, made, self._going_on = [], {}, {}
        for number, part, label in followed(self, paths):
            clock = part.clock(self._found_updates, *run_length(trainer, len(found)))
            before = self._made_before(trainer, number)
            self._going_on[number] = self._go_on(trainer, part, clock, number, found[number], before or 0)
            part, clock = self._going_on[number]
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
        self._counted = {
            number: follower.begin(trainer.current_epoch, before)
            for follower, (number, before) in zip(followers, made.items(), strict=True)
        }

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(trainer, pl_module, checkpoint)
        # torch loads the groups of another spec into those of this one without a word where they are of the same sizes.
        for number, progress in ({} if self._restored is None else self._restored.optimizers).items():
            part = self if self.parts is None else self.parts.get(number)
            saved = None if part is None else progress.driver(type(part).__name__, part.driven)
            if part is not None and saved is not None:
                check_loaded(part, saved, Position(checkpoint["epoch"], progress.update), ("parameters",))

    def _go_on(
        self, trainer: Trainer, part: ScheduleMixin, clock: Clock, number: int, optimizer: Any, made: int
    ) -> Continued:
        """What an optimizer goes on by, which has the numbers of its spec then."""
        before = self._before(trainer)
        progress = Progress() if before is None else before.optimizers.get(number, Progress())
        saved = progress.driver(type(part).__name__, part.driven)
        if saved is None:
            return Continued(part, clock)
        going_on = continued(part, saved, clock, Position(trainer.current_epoch, made))
        if part.on_change in ("use_new", "use_saved") and going_on.part.spec is not None:
            rewrite(going_on.part.spec, optimizer)
        return going_on

    def _drivers_of(self, number: int) -> Sequence[Driver]:
        return [driver_of(*self._going_on[number])]

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._epoch_is_new = True
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
        goes_on = trainer.max_epochs is None or following < trainer.max_epochs or trainer.max_epochs == -1
        short = may_be_short(trainer)
        for follower in self._followers:
            if not short:
                follower.end_epoch()
            for name, value in follower.used().items():
                log(pl_module, name, value)
            if goes_on:
                follower.write_for(following, 0)

    def _end(self, trainer: Trainer) -> None:
        super()._end(trainer)
        for follower in self._followers:
            follower.end()
        self._followers = ()

    def _refuse_other_drivers(
        self, trainer: Trainer, found: Sequence[torch.optim.Optimizer], paths: Sequence[Sequence[str]]
    ) -> None:
        """Refuse whatever else drives what this callback drives, of the same optimizer."""
        refuse_second_drivers(_drivers(trainer), paths)
        ours = {(number, name) for number, part, _ in followed(self, paths) for name in part.driven}
        for callback in callbacks_of(trainer):
            for kind in _OTHER_DRIVERS:
                if is_a(callback, kind) and any(name == "learning_rate" for _, name in ours):
                    raise refuse_other_driver(self, "learning_rate", f"the callback {kind}", "leave one out")
        for scheduler in (config.scheduler for config in trainer.lr_scheduler_configs):
            number = next((n for n, optimizer in enumerate(found) if optimizer is scheduler.optimizer), None)
            # OneCycleLR and CyclicLR cycle the momentum too.
            for name in ("learning_rate", *(["momentum"] if getattr(scheduler, "cycle_momentum", False) else [])):
                if (number, name) in ours:
                    other = f"the {type(scheduler).__name__} of configure_optimizers"
                    raise refuse_other_driver(self, name, other, "return the optimizer alone")
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


class TraceRecorder(TraceRecorderMixin, _Counter):
    __doc__ = TraceRecorderMixin.__doc__

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        found = optimizers_of(trainer, type(self).__name__)
        self.traces = {label: Trace() for label in labels(paths_of(pl_module, found))}
        self._counted = {
            number: self._follow(trainer, number, *pair)
            for number, pair in enumerate(zip(found, self.traces.values(), strict=True))
        }

    def _follow(self, trainer: Trainer, number: int, optimizer: torch.optim.Optimizer, trace: Trace) -> Updates:
        def record() -> None:
            # After the update, when nothing can have changed the values between their use and this reading.
            trace.record(Position(trainer.current_epoch, updates.made), groups.read(optimizer))

        updates = Updates(optimizer, self._made_before(trainer, number) or 0, record)
        return updates

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for updates in self._counted.values():
            updates.made = 0
