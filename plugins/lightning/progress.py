"""What every callback of samestep has in the checkpoints of Lightning: how far each optimizer is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..core.checkpoints.saved import KEY, Driver, Saved
from ..torch.update_count import UpdateCount
from .trainer import is_between_epochs

if TYPE_CHECKING:
    from pytorch_lightning import Callback, LightningModule, Trainer
else:
    from .base_callback import Callback

    LightningModule = Trainer = Any


class ProgressKeeper(Callback):
    """Keeps in the checkpoints how many updates each optimizer had made in the epoch, and by what it was driven.

    Lightning's own progress has the updates that a loss scaler skipped as well, and under manual optimization those of
    all optimizers and epochs together.
    """

    _counts: dict[int, UpdateCount]  # by the optimizer's number
    _ended: Saved | None = None  # of a training that has ended
    _restored: Saved | None = None  # of a checkpoint

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._counts = {}

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        saved = self._so_far(trainer) if self._counts else self._ended
        if saved is not None:
            others = Saved.from_dict(checkpoint[KEY]) if KEY in checkpoint else None
            checkpoint[KEY] = saved.beside(others).to_dict()

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        self._restored = None
        if trainer.state.fn != "fit" or KEY not in checkpoint:  # what is only tested may have had any recipe
            return
        try:
            self._restored = Saved.from_dict(checkpoint[KEY])
        except ValueError as error:
            raise ValueError(f"{type(self).__name__}: {error}") from None

    def _so_far(self, trainer: Trainer) -> Saved:
        """How far the run is, and by what this callback drives it."""
        saved, begins = Saved(trainer.current_epoch), is_between_epochs(trainer)
        for number, count in self._counts.items():
            saved = saved.with_progress(number, 0 if begins else count.made, *self._drivers_of(number))
        return saved

    def _drivers_of(self, number: int) -> Sequence[Driver]:
        """By what this callback drives an optimizer."""
        return ()

    def _before(self, trainer: Trainer) -> Saved | None:
        """What this training continues, or None where it begins."""
        return self._restored if trainer.ckpt_path is not None else self._ended if trainer.current_epoch else None

    def _made_before(self, trainer: Trainer, number: int) -> int | None:
        """The updates that an optimizer had made in this epoch before training began; None if unknown.

        Resumed within an epoch, Lightning does not announce the epoch again.
        """
        saved = self._restored
        # A fit after one that failed within an epoch begins the epoch anew.
        if is_between_epochs(trainer) or trainer.ckpt_path is None:
            return 0
        if saved is not None and saved.epoch == trainer.current_epoch and number in saved.optimizers:
            return saved.optimizers[number].update
        if not trainer.lightning_module.automatic_optimization:
            return None
        return trainer.fit_loop.epoch_loop.automatic_optimization.optim_progress.optimizer.step.current.completed

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._end(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._end(trainer)

    def _end(self, trainer: Trainer) -> None:
        """Count no more; what was counted stays, for a checkpoint that is saved afterwards and for another fit."""
        for count in self._counts.values():
            count.remove()
        if self._counts:
            self._ended = self._so_far(trainer)
        self._counts, self._restored = {}, None
