"""What samestep reads from a Lightning Trainer: callbacks, optimizers, and the run's length."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch

from ..core.callbacks.errors import other_optimizer_error
from ..torch.module_paths import paths

if TYPE_CHECKING:
    from pytorch_lightning import LightningModule, Trainer
else:
    LightningModule = Trainer = Any


def callbacks_of(trainer: Trainer) -> list[Any]:
    """All callbacks, including Lightning's own."""
    callbacks: list[Any] = trainer.callbacks  # type: ignore[attr-defined]  # set by Lightning's connector
    return callbacks


def may_be_short(trainer: Trainer) -> bool:
    """Whether an ending epoch may have made fewer updates than planned for a known reason."""
    skips = getattr(trainer.precision_plugin, "scaler", None) is not None
    return skips or trainer.should_stop or 0 < trainer.max_steps <= trainer.global_step


def has_epoch(trainer: Trainer, epoch: int) -> bool:
    """Whether the run, now at the end of an epoch or at a checkpoint, includes this epoch."""
    if 0 < trainer.max_steps <= trainer.global_step:
        return False
    return trainer.max_epochs is None or trainer.max_epochs == -1 or epoch < trainer.max_epochs


def is_between_epochs(trainer: Trainer) -> bool:
    """Whether an epoch has ended and the next has not begun; Lightning's progress still refers to the former."""
    progress = trainer.fit_loop.epoch_progress.current
    return progress.ready <= progress.completed


def updates_per_epoch(trainer: Trainer, epoch: int) -> int | None:
    """The number of updates in an epoch; None if the trainer does not know it."""
    batches = trainer.num_training_batches
    if batches == float("inf") or not trainer.lightning_module.automatic_optimization:
        return None
    accumulating = _accumulation_scheduler(trainer)
    accumulated = trainer.accumulate_grad_batches
    if accumulating is not None:  # it sets the factor when the epoch begins
        accumulated = accumulating.get_accumulate_grad_batches(epoch)
    # At the end of an epoch Lightning makes an update from the remaining batches.
    return -(-int(batches) // accumulated)


def leaves_out_updates(module: LightningModule) -> bool:
    """Whether a module has code by which an epoch may make fewer updates than it has batches for."""
    base = next(each for each in type(module).__mro__ if each.__name__ == "LightningModule")
    hooks = "optimizer_step", "on_train_batch_start"  # the latter may end the epoch
    return any(getattr(type(module), hook) is not getattr(base, hook) for hook in hooks)


def epochs_of_another_accumulation(trainer: Trainer) -> list[int]:
    """The epochs of this run at which a GradientAccumulationScheduler changes its factor."""
    accumulating = _accumulation_scheduler(trainer)
    begins = [] if accumulating is None else accumulating.epochs
    last = trainer.max_epochs if (trainer.max_epochs or -1) > 0 else None
    return [epoch for epoch in begins if epoch > trainer.current_epoch and (last is None or epoch < last)]


def _accumulation_scheduler(trainer: Trainer) -> Any:
    return next((each for each in callbacks_of(trainer) if is_a(each, "GradientAccumulationScheduler")), None)


def is_a(thing: Any, kind: str) -> bool:
    """Whether a thing is an instance of the class with this name, from either of Lightning's packages."""
    return any(each.__name__ == kind for each in type(thing).__mro__)


def run_length(trainer: Trainer, optimizers: int) -> tuple[int | None, int | None]:
    """The run's epochs and updates, as far as known; max_steps counts the updates of all optimizers."""
    epochs = trainer.max_epochs if (trainer.max_epochs or -1) > 0 else None
    if trainer.max_steps <= 0:
        return epochs, None
    return (epochs, trainer.max_steps) if optimizers == 1 else (None, None)


def optimizers_of(trainer: Trainer, who: str) -> list[torch.optim.Optimizer]:
    """The optimizers of this training; raises ValueError if there are none or one is not torch's."""
    found = list(trainer.optimizers)
    # Lightning uses it where there is no optimizer.
    if not found or any(is_a(optimizer, "_MockOptimizer") for optimizer in found):
        raise ValueError(f"{who}: found no optimizer; return one from configure_optimizers.")
    # DeepSpeed's engine decides when to make updates, and its optimizer need not be torch's.
    engine = is_a(trainer.strategy, "DeepSpeedStrategy")
    for optimizer in found:
        if engine or not isinstance(optimizer, torch.optim.Optimizer):
            raise ValueError(
                f"{who}: found the {type(trainer.strategy).__name__} with the optimizer {type(optimizer).__name__}; "
                f"use a strategy that leaves the updates to a torch.optim.Optimizer, such as 'ddp' or "
                f"ModelParallelStrategy()."
            )
    return found


def refuse_other_optimizers(trainer: Trainer, started: Sequence[torch.optim.Optimizer], who: str) -> None:
    """Raise ValueError if the Trainer has other optimizers than those that training started with."""
    if list(map(id, trainer.optimizers)) != list(map(id, started)):
        raise other_optimizer_error(who, trainer.current_epoch)


def paths_of(
    module: torch.nn.Module,
    found: Sequence[torch.optim.Optimizer],
    later: Mapping[int, Collection[int]] = MappingProxyType({}),
) -> list[list[str]]:
    """The paths of each optimizer's parameters.

    Args:
        module: The module.
        found: The optimizers.
        later: By the number of an optimizer, the groups that the run added while it trained, which do not count: an
            optimizer has the same name in a resumed run.
    """
    path = paths(module)
    return [
        [
            path[parameter]
            for index, group in enumerate(optimizer.param_groups)
            for parameter in group["params"]
            if index not in later.get(number, ()) and parameter in path
        ]
        for number, optimizer in enumerate(found)
    ]
