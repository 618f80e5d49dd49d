"""Lightning's half of the callbacks: when to write, and where in the run the loop is.

Values are written ahead, at the end of the update before the one they belong to, and again when an epoch and a batch
start. `LearningRateMonitor` then reads the same values wherever it stands in the list of callbacks.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any

import torch

from ..core.callbacks import HyperparameterSchedulerMixin, ScheduleMixin, TraceRecorderMixin
from ..core.durations import Position
from ..core.epoch_callbacks import EpochGatedDecayMixin, LearningRateSchedulerMixin
from ..core.refusals import refuse_longer_epoch, refuse_other_driver, refuse_other_spec, refuse_second_driver
from ..core.trace import Trace
from . import optimizers

if TYPE_CHECKING:
    from pytorch_lightning import Callback, LightningModule, Trainer
else:
    from .namespaces import Callback

    LightningModule = Trainer = Any


_AHEAD = 1024  # updates whose values are computed at a time


class _Counter(Callback):
    """Counts the updates that the optimizer really makes in an epoch: one that a loss scaler skips is none."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._optimizer = _the_optimizer(trainer, type(self).__name__)
        # Resumed within an epoch, Lightning does not announce the epoch again: its progress tells the update. Resumed
        # between two epochs, that progress is still the one of the epoch before.
        loop = trainer.fit_loop
        within = loop.epoch_progress.current.ready > loop.epoch_progress.current.completed
        updates = loop.epoch_loop.automatic_optimization.optim_progress.optimizer.step
        self._made = updates.current.completed if within else 0
        self._hook = self._optimizer.register_step_post_hook(lambda *_: self._count(trainer))

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._made = 0

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._hook.remove()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if hasattr(self, "_hook"):
            self._hook.remove()

    def _count(self, trainer: Trainer) -> None:
        """Called after an update."""
        self._made += 1


class _Driver(ScheduleMixin, _Counter):
    """The hooks that all scheduling callbacks share."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        callbacks: list[Any] = trainer.callbacks  # type: ignore[attr-defined]  # set by Lightning's connector
        for first, second in combinations([c for c in callbacks if isinstance(c, _Driver)], 2):
            for name in first.driven:
                if name in second.driven:
                    raise refuse_second_driver(first, second, name)
        for scheduler in (config.scheduler for config in trainer.lr_scheduler_configs):
            # OneCycleLR and CyclicLR cycle the momentum too.
            for name in ("learning_rate", *(["momentum"] if getattr(scheduler, "cycle_momentum", False) else [])):
                if name in self.driven:
                    other = f"the {type(scheduler).__name__} of configure_optimizers"
                    raise refuse_other_driver(self, name, other, "return the optimizer alone")
        epochs = trainer.max_epochs if (trainer.max_epochs or -1) > 0 else None
        max_updates = trainer.max_steps if trainer.max_steps > 0 else None
        self._found_updates = _updates_per_epoch(trainer)
        clock = self.clock(self._found_updates, epochs, max_updates)
        self.prepare(clock)
        # Of an epoch, where the values depend on their number.
        self._most_updates = clock.updates_per_epoch if self.counts_updates() else None
        self._varies = self.varies_within_epochs()
        self._epoch_is_new = True
        if self.spec is not None:
            difference = optimizers.spec_difference(self.spec, self._optimizer)
            if difference is not None:
                raise refuse_other_spec(self, difference)
        built = getattr(self._optimizer, "spec", None)
        if built is not None and built.clip is not None and trainer.gradient_clip_val:
            raise self.refuse(
                f"gradient_clip_val={trainer.gradient_clip_val!r} of the Trainer, and an optimizer that clips already",
                "leave one of them out",
            )
        self._bases = {name: self._base_values(name) for name in self.driven}
        self._groups = len(self._optimizer.param_groups)
        self.check_bases(self._bases)
        self._compute(trainer.current_epoch, self._made)
        self._write(self._made)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_epoch_start(trainer, pl_module)
        self._epoch_is_new = True
        self._compute(trainer.current_epoch, 0)
        self._write(0)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        if self._most_updates is not None:
            if self._epoch_is_new:
                self._check_length(trainer)
            if self._made >= self._most_updates:
                raise refuse_longer_epoch(self, trainer.current_epoch, self._most_updates)
        self._write(self._made)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        if self._varies and self._made < (self._most_updates or 0):
            self._write(self._made)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        following = trainer.current_epoch + 1
        if trainer.max_epochs is None or following < trainer.max_epochs or trainer.max_epochs == -1:
            self._compute(following, 0)
            self._write(0)

    def _base_values(self, name: str) -> list[float]:
        kind = type(self._optimizer).__name__
        if not all(optimizers.has(group, name) for group in self._optimizer.param_groups):
            raise self.refuse(f"the optimizer {kind}, which has no {name}", "leave its schedule out, or use another")
        return self.own_bases([optimizers.base_value(group, name) for group in self._optimizer.param_groups])

    def _check_length(self, trainer: Trainer) -> None:
        """Refuse an epoch of another number of updates than the plan was resolved for."""
        self._epoch_is_new = False
        found = _updates_per_epoch(trainer)
        if found != self._found_updates:
            raise self.refuse(
                f"{found} updates in epoch {trainer.current_epoch} and {self._found_updates} in the first",
                "keep the batches and accumulate_grad_batches as they are, or write the schedule in whole epochs",
            )

    def _compute(self, epoch: int, update: int) -> None:
        """The values of the updates of an epoch from `update` on, some of them ahead, for each parameter group."""
        self._epoch, self._first, count = epoch, 0, 1
        # A schedule that is constant within epochs does not ask for the update: an epoch may be longer than the first.
        if self._varies and self._most_updates is not None:
            self._first, count = update, max(1, min(_AHEAD, self._most_updates - update))
        self._computed = count
        self._columns = [
            (name, self.columns(name, bases, Position(epoch, self._first), count))
            for name, bases in self._bases.items()
        ]
        self._plain = optimizers.is_plain(self._optimizer, self.driven)
        if self._plain:  # the common case, written without asking each group how it holds them
            self._columns = [(optimizers.KEYS[name], columns) for name, columns in self._columns]

    def _write(self, update: int) -> None:
        """Write the values of an update of this epoch into the parameter groups."""
        index = update - self._first if self._varies else 0
        if not 0 <= index < self._computed:
            self._compute(self._epoch, update)
            index = 0
        groups = self._optimizer.param_groups
        if len(groups) != self._groups:
            raise self.refuse(
                f"{len(groups)} parameter groups where training started with {self._groups}",
                "give the optimizer all of its parameter groups in configure_optimizers",
            )
        for name, columns in self._columns:
            if self._plain:
                for group, column in zip(groups, columns):  # noqa: B905  # strict= would double its cost
                    group[name] = column[index]
            else:
                for group, column in zip(groups, columns, strict=True):
                    optimizers.write(group, name, column[index])


class HyperparameterScheduler(HyperparameterSchedulerMixin, _Driver):
    __doc__ = HyperparameterSchedulerMixin.__doc__


class EpochGatedDecay(EpochGatedDecayMixin, _Driver):
    __doc__ = EpochGatedDecayMixin.__doc__


class LearningRateScheduler(LearningRateSchedulerMixin, _Driver):
    __doc__ = LearningRateSchedulerMixin.__doc__


class TraceRecorder(TraceRecorderMixin, _Counter):
    __doc__ = TraceRecorderMixin.__doc__

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.trace = Trace()
        super().on_train_start(trainer, pl_module)

    def _count(self, trainer: Trainer) -> None:
        # After the update, when nothing can have changed the values between their use and this reading.
        self.trace.record(Position(trainer.current_epoch, self._made), optimizers.read(self._optimizer))
        super()._count(trainer)


def _updates_per_epoch(trainer: Trainer) -> int | None:
    batches = trainer.num_training_batches
    if batches == float("inf"):
        return None
    # Lightning makes an update of what is left over at the end of an epoch.
    return -(-int(batches) // trainer.accumulate_grad_batches)


def _the_optimizer(trainer: Trainer, callback: str) -> torch.optim.Optimizer:
    automatic = trainer.lightning_module.automatic_optimization
    if len(trainer.optimizers) != 1 or not automatic:
        how = "automatic" if automatic else "manual"
        raise ValueError(
            f"{callback}: found {len(trainer.optimizers)} optimizers under {how} optimization; this version follows "
            f"one optimizer under automatic optimization."
        )
    optimizer: torch.optim.Optimizer = trainer.optimizers[0]
    if type(optimizer).__name__ == "_MockOptimizer":  # what Lightning puts there for None
        raise ValueError(f"{callback}: found no optimizer; return one from configure_optimizers.")
    return optimizer
