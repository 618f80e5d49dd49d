"""Two weights that Lightning trains, and goes on with from a checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

from samestep.core.specs.spec import Spec
from samestep.lightning import HyperparameterScheduler, TraceRecorder, build_optimizer

from ..changes import EPOCHS, GRADIENTS, SPEC, START, Change


class Weights(pl.LightningModule):
    """Two weights in float64, whose gradient is the batch."""

    def __init__(self, optimizer: Spec | Callable[[Any], Any] = SPEC) -> None:
        super().__init__()
        self.optimizer, self.weights = optimizer, torch.nn.Parameter(torch.tensor(START))
        self.batches, self.fail_at = 0, -1

    def training_step(self, batch: torch.Tensor, index: int) -> torch.Tensor:
        if self.batches == self.fail_at:
            raise RuntimeError("the user's own failure")
        self.batches += 1
        return (batch * self.weights).sum() / len(batch)

    def test_step(self, batch: torch.Tensor, index: int) -> None:
        return

    def configure_optimizers(self) -> Any:
        return build_optimizer(self.optimizer, self) if isinstance(self.optimizer, Spec) else self.optimizer(self)

    @property
    def left(self) -> np.ndarray:
        return self.weights.detach().numpy()


def data(batch_size: int = 1) -> Any:
    """Four examples."""
    return torch.utils.data.DataLoader(torch.tensor(GRADIENTS), batch_size)


def trainer(*callbacks: Any, **options: Any) -> pl.Trainer:
    quiet = dict.fromkeys(("logger", "enable_progress_bar", "enable_model_summary"), False)
    saves = any(isinstance(each, ModelCheckpoint) for each in callbacks)
    options = {"max_epochs": EPOCHS, "enable_checkpointing": saves, **quiet, **options}
    return pl.Trainer(callbacks=list(callbacks), accelerator="cpu", **options)


def every_epoch(folder: Path) -> ModelCheckpoint:
    return ModelCheckpoint(folder, "{epoch}", every_n_epochs=1, save_top_k=-1, save_on_train_epoch_end=True)


def every_update(folder: Path) -> ModelCheckpoint:
    return ModelCheckpoint(folder, "{step}", every_n_train_steps=1, save_top_k=-1, save_on_train_epoch_end=False)


def fit(
    *callbacks: Any, module: Weights | None = None, path: Path | None = None, batch_size: int = 1, **options: Any
) -> tuple[Weights, list[float]]:
    """What was trained, and the learning rate of each update."""
    module, recorder = module or Weights(), TraceRecorder()
    fitting = trainer(*callbacks, recorder, **options)
    fitting.fit(module, data(batch_size), ckpt_path=None if path is None else str(path))
    return module, recorder.trace.column("learning_rate")


def trained(change: Change, folder: Path) -> Path:
    """Train by the saved recipe; what is given is the checkpoint of the end of the second epoch."""
    driver: Any = HyperparameterScheduler(change.saved, resolution=change.resolutions[0])  # type: ignore[arg-type]
    fit(driver, every_epoch(folder), module=Weights(change.specs()[0]))
    return folder / "epoch=1.ckpt"


def go_on(change: Change, path: Path, on_change: Any) -> np.ndarray:
    """Go on by the new recipe, and give the weights that are left."""
    resolution: Any = change.resolutions[1]
    driver = HyperparameterScheduler(change.new, resolution=resolution, on_change=on_change)
    return fit(driver, module=Weights(change.specs()[1]), path=path)[0].left
