"""Fixes for what Lightning loses when it resumes a run.

Between two batches of one update, a checkpoint lacks the accumulated gradients. Lightning resumes at the right batch,
but the update would then only use the batches after the checkpoint.

Resumed after the last batch of an epoch, Lightning continues with the next epoch but does not count it as started.
Later checkpoints then take a half-trained epoch for a complete one, and resuming from them would start it again.

After an exception within a batch, Lightning counts that batch, and the epoch, as begun for good. A run that goes on
saves checkpoints from which Lightning would train one batch twice, or begin the epoch again.

Resumed after an epoch in a run bounded only by max_steps, Lightning ends that epoch again and counts it twice. Data
shuffled by epoch would then come in the order of another epoch.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from pytorch_lightning import Callback, LightningModule, Trainer
else:
    from .base_callback import Callback

    LightningModule = Trainer = Any

GRADIENTS = "samestep_gradients"  # checkpoint key: the gradient of each parameter, by its name in the module


class ResumeFixes(Callback):
    """Resumes a run after any batch, with the gradients accumulated so far for the next update.

    This works in a single process. With several, each has the gradients of its own batches until the update, and only
    one of them writes the checkpoint.
    """

    _gradients: dict[str, torch.Tensor] | None = None  # from a checkpoint, until training begins
    _warned = False

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(trainer, pl_module, checkpoint)
        if GRADIENTS in checkpoint or not _accumulates(trainer):  # another of samestep's callbacks has saved them
            return
        if trainer.world_size > 1:
            self._warn(trainer)
            return
        checkpoint[GRADIENTS] = {
            name: parameter.grad.detach().clone()  # a plugin may write it later, while the next batch runs
            for name, parameter in pl_module.named_parameters()
            if parameter.grad is not None
        }

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(trainer, pl_module, checkpoint)
        self._gradients = checkpoint.get(GRADIENTS)
        _forget_broken_off(checkpoint.get("loops", {}).get("fit_loop", {}))

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        gradients, self._gradients = self._gradients, None
        if trainer.ckpt_path is None:  # a checkpoint loaded before is not for this training
            return
        _count_epochs(trainer)
        if gradients is not None:
            self._restore(gradients, dict(pl_module.named_parameters()))

    def _restore(self, gradients: Any, parameters: dict[str, torch.nn.Parameter]) -> None:
        saved = gradients if isinstance(gradients, dict) else {"every parameter": gradients}
        for name, gradient in saved.items():
            found, expected = _described(gradient), _described(parameters.get(name))
            if found != expected or name not in parameters:
                raise ValueError(
                    f"{type(self).__name__}: found a checkpoint whose {GRADIENTS!r} has {found} for {name!r}, but "
                    f"the module has {expected}; resume with the module that was saved, or from another checkpoint."
                )
        for name, gradient in saved.items():
            parameters[name].grad = gradient.to(parameters[name])

    def _warn(self, trainer: Trainer) -> None:
        if trainer.is_global_zero and not self._warned:
            self._warned = True
            warnings.warn(
                f"{type(self).__name__}: found a checkpoint in the middle of an update in {trainer.world_size} "
                f"processes, without the gradients accumulated so far; save checkpoints after updates instead.",
                stacklevel=2,
            )


def _accumulates(trainer: Trainer) -> bool:
    """Whether batches have run whose update is still to come; manual optimization is not covered."""
    batches: Any = trainer.fit_loop.epoch_loop.batch_progress.current
    # Within a batch it is unknown which batches the gradients include.
    return batches.ready == batches.processed and trainer.fit_loop._should_accumulate()


def _described(thing: Any) -> str:
    if isinstance(thing, torch.Tensor):
        return f"a tensor of shape {tuple(thing.shape)}"
    return "nothing" if thing is None else f"a {type(thing).__name__}"


def _count_epochs(trainer: Trainer) -> None:
    """Make Lightning start the epoch after the checkpoint, or end the one before it, as in an uninterrupted run."""
    loop = trainer.fit_loop
    progress: Any = loop.epoch_progress
    if loop.restarted_mid_epoch and progress.current.ready <= progress.current.processed:
        loop.reset_restart_stage()
    # It has been counted, and no other samestep callback has fixed it yet.
    if loop.restarted_on_epoch_end and progress.current.processed > progress.current.completed:
        progress.current.processed -= 1
        progress.total.processed -= 1


def _forget_broken_off(loop: Any) -> None:
    """Take what exceptions broke off out of the progress in a checkpoint, from which Lightning finds its place."""
    epochs, batches = (loop.get(key, {}) for key in ("epoch_progress", "epoch_loop.batch_progress"))
    if epochs:
        excess = max(epochs["total"]["started"] - epochs["total"]["processed"] - 1, 0)  # at most one is being trained
        for progress in (epochs["total"], epochs["current"]):
            progress["ready"] -= excess
            progress["started"] -= excess
    if batches:
        total, current = batches["total"], batches["current"]
        for key in ("ready", "started"):
            total[key] = total["processed"] + current[key] - current["processed"]
