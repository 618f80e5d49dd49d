"""What a Trainer of Lightning tells: its callbacks and optimizers, how long its run is, and where its logs go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from pytorch_lightning import LightningModule, Trainer
else:
    LightningModule = Trainer = Any


def callbacks_of(trainer: Trainer) -> list[Any]:
    """The callbacks, Lightning's own among them."""
    callbacks: list[Any] = trainer.callbacks  # type: ignore[attr-defined]  # set by Lightning's connector
    return callbacks


def log(module: LightningModule, name: str, value: float) -> None:
    """Log a value at the end of an epoch, to the last digit."""
    if module.trainer.barebones:
        return
    # In a tensor of the default dtype it would be another value; Apple's GPUs have no float64. The largest of what all
    # devices have is what each of them has.
    dtype = torch.float32 if module.device.type == "mps" else torch.float64
    several = module.trainer.world_size > 1
    module.log(name, torch.tensor(value, dtype=dtype), on_step=False, on_epoch=True, reduce_fx="max", sync_dist=several)


def may_be_short(trainer: Trainer) -> bool:
    """Whether an epoch that ends may have made fewer updates than it should, as everybody knows."""
    skips = getattr(trainer.precision_plugin, "scaler", None) is not None
    return skips or trainer.should_stop or 0 < trainer.max_steps <= trainer.global_step


def has_epoch(trainer: Trainer, epoch: int) -> bool:
    """Whether the run, which has come to the end of an epoch or to a checkpoint, goes on into this one."""
    if 0 < trainer.max_steps <= trainer.global_step:
        return False
    return trainer.max_epochs is None or trainer.max_epochs == -1 or epoch < trainer.max_epochs


def is_between_epochs(trainer: Trainer) -> bool:
    """Whether an epoch has ended and the next one has not begun; Lightning's progress is still that of the former."""
    progress = trainer.fit_loop.epoch_progress.current
    return progress.ready <= progress.completed


def updates_per_epoch(trainer: Trainer, epoch: int) -> int | None:
    """The updates that an epoch makes, None where the trainer does not know."""
    batches = trainer.num_training_batches
    if batches == float("inf") or not trainer.lightning_module.automatic_optimization:
        return None
    accumulating = _accumulation_scheduler(trainer)
    accumulated = trainer.accumulate_grad_batches
    if accumulating is not None:  # which sets it when the epoch begins
        accumulated = accumulating.get_accumulate_grad_batches(epoch)
    # Lightning makes an update of what is left over at the end of an epoch.
    return -(-int(batches) // accumulated)


def epochs_of_another_accumulation(trainer: Trainer) -> list[int]:
    """The epochs of this run from which on a GradientAccumulationScheduler has another factor."""
    accumulating = _accumulation_scheduler(trainer)
    begins = [] if accumulating is None else accumulating.epochs
    last = trainer.max_epochs if (trainer.max_epochs or -1) > 0 else None
    return [epoch for epoch in begins if epoch > trainer.current_epoch and (last is None or epoch < last)]


def _accumulation_scheduler(trainer: Trainer) -> Any:
    return next((each for each in callbacks_of(trainer) if is_a(each, "GradientAccumulationScheduler")), None)


def is_a(thing: Any, kind: str) -> bool:
    """Whether a thing is of the class of this name, which both of Lightning's packages have."""
    return any(each.__name__ == kind for each in type(thing).__mro__)


def run_length(trainer: Trainer, optimizers: int) -> tuple[int | None, int | None]:
    """The run's epochs and updates, as far as they are known; max_steps counts the updates of all optimizers."""
    epochs = trainer.max_epochs if (trainer.max_epochs or -1) > 0 else None
    if trainer.max_steps <= 0:
        return epochs, None
    return (epochs, trainer.max_steps) if optimizers == 1 else (None, None)


def optimizers_of(trainer: Trainer, who: str) -> list[torch.optim.Optimizer]:
    """The optimizers of this training; raises ValueError for none, and for what is not one of torch."""
    found = list(trainer.optimizers)
    # What Lightning puts there for None.
    if not found or any(is_a(optimizer, "_MockOptimizer") for optimizer in found):
        raise ValueError(f"{who}: found no optimizer; return one from configure_optimizers.")
    # Its engine makes the updates, at times of its own, and what it leaves of the optimizer need not be torch's.
    engine = is_a(trainer.strategy, "DeepSpeedStrategy")
    for optimizer in found:
        if engine or not isinstance(optimizer, torch.optim.Optimizer):
            raise ValueError(
                f"{who}: found the {type(trainer.strategy).__name__} with the optimizer {type(optimizer).__name__}; "
                f"use a strategy that leaves the updates to a torch.optim.Optimizer, such as 'ddp' or "
                f"ModelParallelStrategy()."
            )
    return found


def paths_of(module: torch.nn.Module, found: Sequence[torch.optim.Optimizer]) -> list[list[str]]:
    """The paths of the parameters that each optimizer has."""
    path = {parameter: name.replace(".", "/") for name, parameter in module.named_parameters()}
    return [[path[p] for group in optimizer.param_groups for p in group["params"] if p in path] for optimizer in found]
