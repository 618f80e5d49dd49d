"""Lightning's half of the callbacks: when to write, and where in the run the loop is.

Values are written ahead, at the end of the update before the one they belong to, and again when an epoch and a batch
start. `LearningRateMonitor` then reads the same values wherever it stands in the list of callbacks.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any

import torch

from ..core.callbacks import (
    EpochGatedDecayMixin,
    HyperparameterSchedulerMixin,
    LearningRateSchedulerMixin,
    ScheduleMixin,
    TraceRecorderMixin,
    refuse_other_driver,
    refuse_other_spec,
    refuse_second_driver,
)
from ..core.durations import Position
from ..core.trace import Trace
from . import optimizers

if TYPE_CHECKING:
    from pytorch_lightning import Callback, LightningModule, Trainer
else:
    from .namespaces import Callback

    LightningModule = Trainer = Any


class _Driver(ScheduleMixin, Callback):
    """The hooks that all scheduling callbacks share."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        optimizer = _the_optimizer(trainer, type(self).__name__)
        callbacks: list[Any] = trainer.callbacks  # type: ignore[attr-defined]  # set by Lightning's connector
        for first, second in combinations([c for c in callbacks if isinstance(c, _Driver)], 2):
            for name in first.driven:
                if name in second.driven:
                    raise refuse_second_driver(first, second, name)
        if trainer.lr_scheduler_configs and "learning_rate" in self.driven:
            scheduler = type(trainer.lr_scheduler_configs[0].scheduler).__name__
            raise refuse_other_driver(
                self, "learning_rate", f"the {scheduler} of configure_optimizers", "return the optimizer alone"
            )
        self._accumulation = trainer.accumulate_grad_batches
        updates = _updates_per_epoch(trainer)
        epochs = trainer.max_epochs if (trainer.max_epochs or -1) > 0 else None
        self.prepare(self.clock(updates, epochs, trainer.max_steps if trainer.max_steps > 0 else None))
        if self.spec is not None:
            difference = optimizers.spec_difference(self.spec, optimizer)
            if difference is not None:
                raise refuse_other_spec(self, difference)
        self._bases = {name: self._base_values(optimizer, name) for name in self.driven}
        self.check_bases(self._bases.get("learning_rate", []))
        position = loop_position(trainer)
        # Restored from the end of an epoch, the loop still shows that epoch's updates until it starts the next one.
        self._write(trainer, position if updates is None or position.update < updates else Position(position.epoch))

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.accumulate_grad_batches != self._accumulation and self.varies_within_epochs():
            raise self.refuse(
                f"accumulate_grad_batches={trainer.accumulate_grad_batches} after {self._accumulation}, and with it "
                f"another number of updates in an epoch",
                "keep it constant, or use a schedule that changes between epochs only",
            )
        self._write(trainer, Position(trainer.current_epoch))

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        self._write(trainer, loop_position(trainer))

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        if not trainer.is_last_batch:
            self._write(trainer, loop_position(trainer))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        following = trainer.current_epoch + 1
        if trainer.max_epochs is None or following < trainer.max_epochs or trainer.max_epochs == -1:
            self._write(trainer, Position(following))

    def _base_values(self, optimizer: torch.optim.Optimizer, name: str) -> list[float]:
        found = [optimizers.base_value(group, name) for group in optimizer.param_groups]
        given = getattr(self.spec, name) if self.spec is not None else self.base
        if given is None:
            return found
        if len(set(found)) > 1:
            raise self.refuse(
                f"base={given!r} for parameter groups whose own are {found}",
                "leave base= out: each group is scheduled from its own",
            )
        return [given] * len(found)

    def _write(self, trainer: Trainer, position: Position) -> None:
        groups = trainer.optimizers[0].param_groups
        for name, bases in self._bases.items():
            for group, base in zip(groups, bases, strict=True):
                optimizers.write(group, name, self.value(name, base, position))


class HyperparameterScheduler(HyperparameterSchedulerMixin, _Driver):
    __doc__ = HyperparameterSchedulerMixin.__doc__


class EpochGatedDecay(EpochGatedDecayMixin, _Driver):
    __doc__ = EpochGatedDecayMixin.__doc__


class LearningRateScheduler(LearningRateSchedulerMixin, _Driver):
    __doc__ = LearningRateSchedulerMixin.__doc__


class TraceRecorder(TraceRecorderMixin, Callback):
    __doc__ = TraceRecorderMixin.__doc__

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.trace = Trace()
        optimizer = _the_optimizer(trainer, type(self).__name__)

        def record(*_: Any) -> None:
            self.trace.record(loop_position(trainer), optimizers.read(optimizer))

        # After the step, when nothing can have changed the values between reading them and their use.
        self._hook = optimizer.register_step_post_hook(record)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._hook.remove()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if hasattr(self, "_hook"):
            self._hook.remove()


def loop_position(trainer: Trainer) -> Position:
    """Where the loop is: the epoch, and how many updates it has completed in it; both are restored by Lightning."""
    progress = trainer.fit_loop.epoch_loop.automatic_optimization.optim_progress.optimizer.step
    return Position(trainer.current_epoch, progress.current.completed)


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
    return optimizer
