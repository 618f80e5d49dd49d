"""What samestep's callbacks store in Lightning's checkpoints: each optimizer's progress."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from weakref import ref

from ..core.callbacks.errors import second_training_error
from ..core.callbacks.memory import Memory
from ..core.checkpoints.saved import KEY, Driver, LaterGroup, Saved
from ..torch.update_count import UpdateCount
from .trainer import is_between_epochs

if TYPE_CHECKING:
    from pytorch_lightning import Callback, LightningModule, Trainer
else:
    from .base_callback import Callback

    LightningModule = Trainer = Any


class ProgressKeeper(Callback):
    """Stores how many updates each optimizer has made in the epoch, and what drives it.

    Lightning's own progress also counts updates that a loss scaler skipped and, under manual optimization, lumps all
    optimizers and epochs together.
    """

    _counts: dict[int, UpdateCount]  # by the optimizer's number
    _ended: Memory[Saved]  # by the Trainer, of trainings that have ended
    _driven: ref[Trainer] | None = None  # the Trainer of the training in progress
    _restored: Saved | None = None  # of a checkpoint

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._counts, self._ended = {}, Memory()

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_driven": None}

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._begin(trainer)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        saved = self._so_far(trainer) if self._counts and self._drives(trainer) else self._ended.get(trainer)
        if saved is not None:
            others = Saved.from_dict(checkpoint[KEY]) if KEY in checkpoint else None
            checkpoint[KEY] = saved.beside(others).to_dict()

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        if trainer.state.fn != "fit":  # a model that is only tested may have had any recipe
            return
        self._begin(trainer)
        self._restored = None
        if KEY not in checkpoint:
            return
        try:
            self._restored = Saved.from_dict(checkpoint[KEY])
        except ValueError as error:
            raise ValueError(f"{type(self).__name__}: {error}") from None

    def _begin(self, trainer: Trainer) -> None:
        """Begin a training; raises ValueError if another one has not ended."""
        other = None if self._driven is None else self._driven()
        if other is not None and other is not trainer and other.state.status == "running":
            raise second_training_error(type(self).__name__)
        self._driven = ref(trainer)

    def _drives(self, trainer: Trainer) -> bool:
        """Whether this is the training in progress."""
        return self._driven is not None and self._driven() is trainer

    def _so_far(self, trainer: Trainer) -> Saved:
        """The run's progress, and what drives it."""
        saved, begins = Saved(trainer.current_epoch), is_between_epochs(trainer)
        for number, count in self._counts.items():
            saved = saved.with_progress(number, 0 if begins else count.made, *self._drivers_of(number))
            saved = saved.with_later(number, self._later_of(number))
        return saved

    def _drivers_of(self, number: int) -> Sequence[Driver]:
        """What this callback drives an optimizer by."""
        return ()

    def _later_of(self, number: int) -> Mapping[int, LaterGroup]:
        """The parameter groups that were added to an optimizer, by their numbers."""
        return {}

    def _before(self, trainer: Trainer) -> Saved | None:
        """The saved state that this training continues from; None for a new run."""
        if trainer.ckpt_path is not None:
            return self._restored
        return self._ended.get(trainer) if trainer.current_epoch else None

    def _later_before(self, trainer: Trainer) -> dict[int, Collection[int]]:
        """By optimizer, the numbers of the parameter groups that a resumed run had added before."""
        saved = None if trainer.ckpt_path is None else self._restored
        return {} if saved is None else {number: progress.later for number, progress in saved.optimizers.items()}

    def _made_before(self, trainer: Trainer, number: int) -> int | None:
        """The updates that an optimizer made in this epoch before training began; None if unknown.

        When Lightning resumes within an epoch, it does not call the epoch's start hooks again.
        """
        saved = self._restored
        # After a fit that failed within an epoch, the next fit restarts the epoch.
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
        if self._drives(trainer):  # not one that was refused within another
            self._end(trainer)

    def _end(self, trainer: Trainer) -> None:
        """Stop counting; keep the counts for a later checkpoint or fit."""
        for count in self._counts.values():
            count.remove()
        if self._counts:
            self._ended[trainer] = self._so_far(trainer)
        self._counts, self._restored, self._driven = {}, None, None
