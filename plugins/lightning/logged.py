"""Logs values at the end of an epoch, unless the user logs something of the same name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from pytorch_lightning import LightningModule, Trainer
else:
    LightningModule = Trainer = Any

_HOOK = "samestep"  # Lightning refuses two values of one name in the same hook, such as the user's on_train_epoch_end.


def log(module: LightningModule, name: str, value: float) -> None:
    """Log a value at the end of an epoch, in full precision.

    The user's own value of that name comes first: it may have been logged before, and one that follows replaces this.
    """
    trainer = module.trainer
    results = trainer._results
    if trainer.barebones or results is None or _is_logged(trainer, results, name):
        return
    # A tensor of the default dtype would round the value; Apple's GPUs have no float64. All devices have the same
    # value, so the maximum over them is that value.
    dtype = torch.float32 if module.device.type == "mps" else torch.float64
    results.log(
        _HOOK,
        name,
        torch.tensor(value, dtype=dtype),
        on_step=False,
        on_epoch=True,
        reduce_fx=torch.max,
        sync_dist=trainer.world_size > 1,
        sync_dist_fn=trainer.strategy.reduce,
    )


def _is_logged(trainer: Trainer, results: Any, name: str) -> bool:
    """Whether the user has logged a value of this name in this epoch's training, or ever in validation."""
    # Lightning forgets the values of a validation when it ends, but not their names.
    validated = trainer.fit_loop.epoch_loop.val_loop._results
    trained = (each for each in results.values() if each.meta.fx != _HOOK and not each.has_reset)
    return any(each.meta.name == name for each in (*trained, *validated.values()))
