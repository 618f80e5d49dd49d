"""Lightning's half of the callbacks: where in the run the loop is, and which optimizers there are."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import torch

from ..core.callbacks import HyperparameterSchedulerMixin, ScheduleMixin, TraceRecorderMixin
from ..core.durations import Position
from ..core.epoch_callbacks import EpochGatedDecayMixin, LearningRateSchedulerMixin
from ..core.refusals import refuse_other_driver, refuse_second_driver
from ..core.trace import Trace
from ..core.which import followed, names
from . import optimizers
from .followers import Follower, Updates

if TYPE_CHECKING:
    from pytorch_lightning import Callback, LightningModule, Trainer
else:
    from .namespaces import Callback

    LightningModule = Trainer = Any

_STATE = "samestep"  # the key of a checkpoint
# Callbacks of Lightning that set the learning rate themselves.
_OTHER_DRIVERS = ("BackboneFinetuning", "StochasticWeightAveraging")


class _Counter(Callback):
    """Keeps in the checkpoints how many updates each optimizer had made in the epoch.

    Lightning's own progress has those that a loss scaler skipped as well, and under manual optimization those of all
    optimizers and epochs together.
    """

    _counted: dict[int, Updates]
    _restored: Any = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._counted = {}

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        if self._counted:
            saved = checkpoint.setdefault(_STATE, {"version": 1, "epoch": trainer.current_epoch, "updates": {}})
            saved["updates"].update({number: updates.made for number, updates in self._counted.items()})

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        self._restored = checkpoint.get(_STATE)
        if self._restored is not None and self._restored.get("version") != 1:
            raise ValueError(
                f"{type(self).__name__}: found a checkpoint whose {_STATE!r} is of version "
                f"{self._restored.get('version')!r}; this samestep reads version 1."
            )

    def _made_before(self, trainer: Trainer, number: int) -> int | None:
        """The updates that an optimizer had made in this epoch before training began; None where nobody knows.

        Resumed within an epoch, Lightning does not announce the epoch again. Resumed between two epochs, its progress
        is still the one of the epoch before.
        """
        loop, saved = trainer.fit_loop, self._restored
        if loop.epoch_progress.current.ready <= loop.epoch_progress.current.completed:
            return 0
        if saved is not None and saved["epoch"] == trainer.current_epoch and number in saved["updates"]:
            made: int = saved["updates"][number]
            return made
        if not trainer.lightning_module.automatic_optimization:
            return None
        return loop.epoch_loop.automatic_optimization.optim_progress.optimizer.step.current.completed

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._end()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._end()

    def _end(self) -> None:
        """Count no more; what was counted stays, for a checkpoint that is saved afterwards."""
        for updates in self._counted.values():
            updates.remove()
        self._restored = None


class _Driver(ScheduleMixin, _Counter):
    """The hooks that all scheduling callbacks share."""

    _followers: Sequence[Follower] = ()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        found = _optimizers(trainer, self.who)
        self._refuse_other_drivers(trainer, found)
        by_hand = not pl_module.automatic_optimization
        self._found_updates = _updates_per_epoch(trainer)
        followers, made = [], {}
        paths = _paths(pl_module, found)
        for number, part, label in followed(self, paths):
            clock = part.clock(self._found_updates, *_run_length(trainer, len(found)))
            part.prepare(clock)
            before = self._made_before(trainer, number)
            if before is None and part.counts_updates():
                raise part.refuse(
                    "a run that is resumed within an epoch under manual optimization, whose updates nobody counted",
                    "resume from a checkpoint of the end of an epoch, or write the schedule in whole epochs",
                )
            made[number] = before or 0
            others = [type(c).__name__ for c in _callbacks(trainer) if not isinstance(c, (_Driver, TraceRecorder))]
            others.append(type(pl_module).__name__)
            followers.append(Follower(part, label, found[number], clock.updates_per_epoch, by_hand, others))
        self._counts_updates = any(follower.part.counts_updates() for follower in followers)
        self._epoch_is_new = True
        self._followers = followers
        self._counted = {
            number: follower.begin(trainer.current_epoch, before)
            for follower, (number, before) in zip(followers, made.items(), strict=True)
        }

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._epoch_is_new = True
        for follower in self._followers:
            follower.begin_epoch(trainer.current_epoch)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        if self._counts_updates and self._epoch_is_new:
            self._check_length(trainer)
        for follower in self._followers:
            follower.before_batch()

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        for follower in self._followers:
            follower.after_batch()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        following = trainer.current_epoch + 1
        goes_on = trainer.max_epochs is None or following < trainer.max_epochs or trainer.max_epochs == -1
        for follower in self._followers:
            for name, value in follower.used().items():
                _log(pl_module, name, value)
            if goes_on:
                follower.write_for(following, 0)

    def _end(self) -> None:
        super()._end()
        for follower in self._followers:
            follower.end()
        self._followers = ()

    def _refuse_other_drivers(self, trainer: Trainer, found: Sequence[torch.optim.Optimizer]) -> None:
        """Refuse whatever else drives what this callback drives, of the same optimizer."""
        paths = _paths(trainer.lightning_module, found)
        ours = {(number, name) for number, part, _ in followed(self, paths) for name in part.driven}
        drivers = [callback for callback in _callbacks(trainer) if isinstance(callback, _Driver)]
        for first, second in combinations(drivers, 2):
            drives = [{(f.number, name) for f in followed(c, paths) for name in f.part.driven} for c in (first, second)]
            for _, name in sorted(drives[0] & drives[1]):
                raise refuse_second_driver(first, second, name)
        for callback in _callbacks(trainer):
            for kind in type(callback).__mro__:
                if kind.__name__ in _OTHER_DRIVERS and any(name == "learning_rate" for _, name in ours):
                    raise refuse_other_driver(self, "learning_rate", f"the callback {kind.__name__}", "leave one out")
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

    def _check_length(self, trainer: Trainer) -> None:
        """Refuse an epoch of another number of updates than the plan was resolved for."""
        self._epoch_is_new = False
        found = _updates_per_epoch(trainer)
        if found != self._found_updates:
            raise self.refuse(
                f"{found} updates in epoch {trainer.current_epoch} and {self._found_updates} in the first",
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
        found = _optimizers(trainer, type(self).__name__)
        called = names(_paths(pl_module, found)) if len(found) > 1 else [""]
        self.traces = {name: Trace() for name in called}
        self._counted = {
            number: self._follow(trainer, number, *pair)
            for number, pair in enumerate(zip(found, self.traces.values(), strict=True))
        }

    def _follow(self, trainer: Trainer, number: int, optimizer: torch.optim.Optimizer, trace: Trace) -> Updates:
        def record() -> None:
            # After the update, when nothing can have changed the values between their use and this reading.
            trace.record(Position(trainer.current_epoch, updates.made), optimizers.read(optimizer))

        updates = Updates(optimizer, self._made_before(trainer, number) or 0, record)
        return updates

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for updates in self._counted.values():
            updates.made = 0


def _callbacks(trainer: Trainer) -> list[Any]:
    callbacks: list[Any] = trainer.callbacks  # type: ignore[attr-defined]  # set by Lightning's connector
    return callbacks


def _log(module: LightningModule, name: str, value: float) -> None:
    if module.trainer.barebones:
        return
    # In a tensor of the default dtype it would be another value; Apple's GPUs have no float64. The largest of what all
    # devices have is what each of them has.
    dtype = torch.float32 if module.device.type == "mps" else torch.float64
    several = module.trainer.world_size > 1
    module.log(name, torch.tensor(value, dtype=dtype), on_step=False, on_epoch=True, reduce_fx="max", sync_dist=several)


def _updates_per_epoch(trainer: Trainer) -> int | None:
    batches = trainer.num_training_batches
    if batches == float("inf") or not trainer.lightning_module.automatic_optimization:
        return None
    # Lightning makes an update of what is left over at the end of an epoch.
    return -(-int(batches) // trainer.accumulate_grad_batches)


def _run_length(trainer: Trainer, optimizers: int) -> tuple[int | None, int | None]:
    """The run's epochs and updates, as far as they are known; max_steps counts the updates of all optimizers."""
    epochs = trainer.max_epochs if (trainer.max_epochs or -1) > 0 else None
    if trainer.max_steps <= 0:
        return epochs, None
    return (epochs, trainer.max_steps) if optimizers == 1 else (None, None)


def _optimizers(trainer: Trainer, who: str) -> list[torch.optim.Optimizer]:
    found = list(trainer.optimizers)
    # What Lightning puts there for None.
    if not found or any(type(optimizer).__name__ == "_MockOptimizer" for optimizer in found):
        raise ValueError(f"{who}: found no optimizer; return one from configure_optimizers.")
    # Its engine makes the updates, at times of its own, and what it leaves of the optimizer need not be torch's.
    engine = any(kind.__name__ == "DeepSpeedStrategy" for kind in type(trainer.strategy).__mro__)
    for optimizer in found:
        if engine or not isinstance(optimizer, torch.optim.Optimizer):
            raise ValueError(
                f"{who}: found the {type(trainer.strategy).__name__} with the optimizer {type(optimizer).__name__}; "
                f"write a strategy that leaves the updates to a torch.optim.Optimizer, such as 'ddp' or "
                f"ModelParallelStrategy()."
            )
    return found


def _paths(module: torch.nn.Module, found: Sequence[torch.optim.Optimizer]) -> list[list[str]]:
    """The paths of the parameters that each optimizer has."""
    path = {parameter: name.replace(".", "/") for name, parameter in module.named_parameters()}
    return [[path[p] for group in optimizer.param_groups for p in group["params"] if p in path] for optimizer in found]
