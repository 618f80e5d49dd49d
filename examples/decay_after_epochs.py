"""Decay the learning rate of stock optimizers after some epochs, and never twice, in PyTorch Lightning and in Keras.

Shows the learning rates that torch's SGD and Keras' SGD really used in each epoch: under `EpochGatedDecay`, and under a
function f(epoch, learning_rate) as Keras users write it, passed unchanged to both frameworks. Then a run is interrupted
after epoch 5 and resumed at epoch 5, as after a crash: it uses the same values as the uninterrupted run.

Run it with `python examples/decay_after_epochs.py`; set KERAS_BACKEND=jax or torch for another backend.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pytorch_lightning as pl
import torch
from rich.console import Console
from rich.table import Table

import samestep.keras
import samestep.lightning
from samestep import Trace

EPOCHS, BATCHES = 12, 4
QUIET: dict[str, Any] = {"logger": False, "enable_model_summary": False, "enable_progress_bar": False}

Used = dict[str, str]  # by epoch, the learning rate that its updates used


def schedule(epoch: int, lr: float) -> float:
    return lr * 0.1 if epoch % 5 == 0 and epoch != 0 else lr


class Line(pl.LightningModule):
    """One linear layer, trained by torch's own SGD."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch: list[torch.Tensor], batch_index: int) -> torch.Tensor:
        return (self.layer(batch[0]) - batch[0]).square().mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def keras_line() -> keras.Model:
    """The same, trained by Keras' own SGD."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(learning_rate=0.1), "mse")
    return model


def in_lightning(callback: Any, folder: Path, epochs: int = EPOCHS, resume: Path | None = None) -> Used:
    recorder = samestep.lightning.TraceRecorder()
    checkpoints = pl.callbacks.ModelCheckpoint(folder, "{epoch}", save_top_k=-1)
    trainer = pl.Trainer(max_epochs=epochs, callbacks=[callback, recorder, checkpoints], accelerator="cpu", **QUIET)
    data = torch.utils.data.TensorDataset(torch.ones(BATCHES, 1))
    trainer.fit(Line(), torch.utils.data.DataLoader(data), ckpt_path=resume)
    return by_epoch(recorder.trace)


def in_keras(callback: Any, model: keras.Model, epochs: int = EPOCHS, start: int = 0) -> Used:
    recorder = samestep.keras.TraceRecorder()
    ones = np.ones((BATCHES, 1), "float32")
    model.fit(ones, ones, 1, epochs=epochs, initial_epoch=start, callbacks=[callback, recorder], verbose=0)
    return by_epoch(recorder.trace)


def by_epoch(trace: Trace) -> Used:
    """The learning rate of each epoch's updates, as float32; all of them if they differ."""
    used: dict[str, set[str]] = {}
    for position, values in trace.entries:
        used.setdefault(str(position.epoch), set()).add(str(np.float32(values["learning_rate"])))
    return {epoch: " ".join(rates) for epoch, rates in used.items()}


def sittings_in_lightning(scheduler: Callable[..., Any], folder: Path) -> Used:
    """Epochs 0 to 5, then again from the checkpoint before epoch 5."""
    first = in_lightning(scheduler(schedule), folder, epochs=6)
    return joined(first, in_lightning(scheduler(schedule), folder, resume=folder / "epoch=4.ckpt"))


def sittings_in_keras(scheduler: Callable[..., Any]) -> Used:
    """Epochs 0 to 5, then again from epoch 5."""
    model = keras_line()
    first = in_keras(scheduler(schedule), model, epochs=6)
    return joined(first, in_keras(scheduler(schedule), model, start=5))


def joined(first: Used, second: Used) -> Used:
    return first | {f"{epoch} again" if epoch in first else epoch: used for epoch, used in second.items()}


def show(title: str, compared: dict[str, Used], beside: dict[str, Used] | None = None) -> None:
    table = Table("epoch", *compared, "same?", *(beside or {}))
    for epoch in next(iter(compared.values())):
        cells = [used[epoch] for used in compared.values()]
        others = [used[epoch] for used in (beside or {}).values()]
        table.add_row(epoch, *cells, "yes" if len(set(cells)) == 1 else "NO", *others)
    print(title)
    Console().print(table, "")


def main(folder: Path) -> None:
    show(
        "Halved every epoch from epoch 8 on: EpochGatedDecay(0.5, start_epoch=8)",
        {
            "Lightning": in_lightning(samestep.lightning.EpochGatedDecay(0.5, start_epoch=8), folder),
            "Keras": in_keras(samestep.keras.EpochGatedDecay(0.5, start_epoch=8), keras_line()),
        },
    )
    arguments: dict[str, Any] = {"start_epoch": 5, "every_epochs": 5}
    whole = {
        "EpochGatedDecay\nin Lightning": in_lightning(samestep.lightning.EpochGatedDecay(0.1, **arguments), folder),
        "EpochGatedDecay\nin Keras": in_keras(samestep.keras.EpochGatedDecay(0.1, **arguments), keras_line()),
        "schedule\nin Lightning": in_lightning(samestep.lightning.LearningRateScheduler(schedule), folder),
        "schedule\nin Keras": in_keras(samestep.keras.LearningRateScheduler(schedule), keras_line()),
    }
    show("x0.1 every 5 epochs, but not at epoch 0", whole)

    ours = sittings_in_lightning(samestep.lightning.LearningRateScheduler, folder / "sittings")
    show(
        "schedule, interrupted after epoch 5 and resumed at epoch 5",
        {
            "uninterrupted": {epoch: whole["schedule\nin Keras"][epoch.removesuffix(" again")] for epoch in ours},
            "resumed\nin Lightning": ours,
            "resumed\nin Keras": sittings_in_keras(samestep.keras.LearningRateScheduler),
        },
        {"Keras' own\nscheduler": sittings_in_keras(keras.callbacks.LearningRateScheduler)},
    )


if __name__ == "__main__":
    for name in ("pytorch_lightning", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(pytorch_lightning|lightning)\.")
    with TemporaryDirectory() as name:
        main(Path(name))
