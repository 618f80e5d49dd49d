"""The hooks that Lightning's scheduling callbacks share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from ..core import callbacks as shared
from ..core.callbacks.errors import shorter_epoch_error
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


class SchedulingHooks(ScheduleCallback, ResumeFixes, Unfreezes):
    """Drives the optimizers of a Trainer, and continues what a checkpoint has of that."""

    _training: Training | None = None
    _followers: Sequence[TorchFollower] = ()
    _optimizers: Sequence[torch.optim.Optimizer] = ()
    _follower_of: dict[int, TorchFollower]  # by the optimizer's number
    _reducers: Sequence[Any] = ()  # the ReduceOnPlateau callbacks of the training
    _configured: Sequence[Configured] = ()  # by the first driver, for all

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_fit_start(trainer, pl_module)
        if next(each for each in callbacks_of(trainer) if isinstance(each, SchedulingHooks)) is self:
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
        drivers = [each for each in callbacks_of(trainer) if isinstance(each, SchedulingHooks)]
        if drivers[0] is self or self._training is None:
            training = Training(trainer, pl_module, drivers, self._configured, self._later_before(trainer))
            reducers: list[Any] = [each for each in drivers if isinstance(each, shared.ReduceOnPlateau)]
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
