"""Restores what Lightning loses of a run that unfreezes parameters: which are frozen, and the groups that were added.

Resumed after the epoch in which BaseFinetuning has unfrozen parameters, Lightning freezes them again and gives them to
the optimizer all the same: they are not trained any more. Groups that the user's own code has added are lost, and the
optimizer's state does not fit any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from ..core.checkpoints.saved import LaterGroup
from .progress import ProgressKeeper
from .trainer import callbacks_of, is_a

if TYPE_CHECKING:
    from pytorch_lightning import LightningModule, Trainer
else:
    LightningModule = Trainer = Any

FROZEN = "samestep_frozen"  # checkpoint key: the names of frozen parameters, and of norms that do not track statistics


class Unfreezes(ProgressKeeper):
    """Resumes a run after parameters were unfrozen."""

    _frozen: Mapping[str, list[str]] | None = None  # from a checkpoint, until training begins

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(trainer, pl_module, checkpoint)
        tunes = any(is_a(callback, "BaseFinetuning") for callback in callbacks_of(trainer))
        if FROZEN not in checkpoint and (tunes or any(map(self._later_of, self._counts))):
            checkpoint[FROZEN] = {
                "parameters": [name for name, each in pl_module.named_parameters() if not each.requires_grad],
                "norms": [name for name, norm in _norms(pl_module).items() if not norm.track_running_stats],
            }

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(trainer, pl_module, checkpoint)
        self._frozen = checkpoint.get(FROZEN)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_fit_start(trainer, pl_module)
        before = self._before(trainer)
        if trainer.ckpt_path is None or before is None:
            return
        named = dict(pl_module.named_parameters())
        for number, progress in before.optimizers.items():
            if progress.later and number < len(trainer.optimizers):
                optimizer = trainer.optimizers[number]
                optimizer.register_load_state_dict_pre_hook(partial(_add_missing, progress.later, named))

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        frozen, self._frozen = self._frozen, None
        if trainer.ckpt_path is None or frozen is None:  # a checkpoint loaded before is not for this training
            return
        for name, parameter in pl_module.named_parameters():
            parameter.requires_grad_(name not in frozen["parameters"])
        for name, norm in _norms(pl_module).items():
            norm.track_running_stats = name not in frozen["norms"]


def _norms(module: torch.nn.Module) -> dict[str, Any]:
    """The norms that keep statistics, which BaseFinetuning stops."""
    return {name: each for name, each in module.named_modules() if hasattr(each, "track_running_stats")}


def _add_missing(
    later: Mapping[int, LaterGroup],
    named: Mapping[str, torch.nn.Parameter],
    optimizer: torch.optim.Optimizer,
    state: dict[str, Any],
) -> None:
    """Before a state is loaded, add the groups that it has and the optimizer lacks."""
    for number in range(len(optimizer.param_groups), len(state["param_groups"])):
        names = later[number].parameters if number in later else ()
        if not names or not all(name in named for name in names):
            return  # torch says that the state has more groups
        torch.optim.Optimizer.add_param_group(optimizer, {"params": [named[name] for name in names]})
