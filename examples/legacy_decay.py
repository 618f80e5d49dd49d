"""What did Keras' old `Adam(decay=0.01)` do? lr / (1 + 0.01 * updates): it decayed per update, not per epoch.

Shows the learning rates that the optimizers really used in 3 epochs of 5 updates: the legacy optimizer's own, those of
Keras 3's `Adam(decay=0.01)`, the exact reproduction in PyTorch Lightning and in Keras 3, and what many took it for.

Run it with `python examples/legacy_decay.py`; set KERAS_BACKEND=jax or torch for another backend. The legacy optimizer
comes from the package tf_keras; without it, its column is left out.
"""

from __future__ import annotations

import logging
import os
import warnings
from itertools import pairwise
from typing import Any, Literal

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pytorch_lightning as pl
import torch
from rich.console import Console
from rich.table import Table

import samestep.keras
import samestep.lightning
from samestep import AdamW, InverseTimeDecay, Recipe, StepDecay, epochs, updates

EPOCHS, UPDATES = 3, 5
SHOWN = [epoch * UPDATES + update for epoch in range(EPOCHS) for update in (0, 1, UPDATES - 1)]
ADAM = AdamW(learning_rate=0.1, weight_decay=0.0)
EXACT = Recipe(ADAM, learning_rate=InverseTimeDecay(0.01, every=updates(1)))
PER_EPOCH = Recipe(ADAM, learning_rate=InverseTimeDecay(0.01, every=epochs(1)))
STAIRCASE = Recipe(ADAM, learning_rate=StepDecay(0.99, every=epochs(1)))

Resolution = Literal["update", "epoch"]
QUIET: Any = dict.fromkeys(("logger", "enable_checkpointing", "enable_model_summary", "enable_progress_bar"), False)


class OneWeight(pl.LightningModule):
    """A single weight whose loss is its own value, so that its gradient is 1."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def training_step(self, batch: list[torch.Tensor], batch_index: int) -> torch.Tensor:
        return self.weight.sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return samestep.lightning.build_optimizer(ADAM, self)


def in_lightning(recipe: Recipe, resolution: Resolution = "update") -> list[float]:
    recorder = samestep.lightning.TraceRecorder()
    callbacks = [samestep.lightning.HyperparameterScheduler(recipe, resolution=resolution), recorder]
    trainer = pl.Trainer(max_epochs=EPOCHS, callbacks=callbacks, accelerator="cpu", **QUIET)
    trainer.fit(OneWeight(), torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.zeros(UPDATES))))
    return recorder.trace.column("learning_rate")


def in_keras(recipe: Recipe | None, resolution: Resolution = "update") -> list[float]:
    """Train with a recipe, or without one with Keras' own Adam(decay=0.01)."""
    recorder = samestep.keras.TraceRecorder()
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    if recipe is None:
        model.compile(keras.optimizers.Adam(learning_rate=0.1, decay=0.01), "mse")
        callbacks = [recorder]
    else:
        model.compile(samestep.keras.build_optimizer(ADAM, model), "mse")
        callbacks = [samestep.keras.HyperparameterScheduler(recipe, resolution=resolution), recorder]
    data = np.ones((UPDATES, 1), "float32")
    model.fit(data, data, batch_size=1, epochs=EPOCHS, callbacks=callbacks, verbose=0)
    return recorder.trace.column("learning_rate")


def in_legacy_keras() -> list[float] | None:
    """Read the rates from a weight: with a gradient of 1, each update of Adam subtracts the learning rate from it."""
    try:
        import tensorflow as tf
        import tf_keras
    except ModuleNotFoundError as error:
        print(f"{error.name} is not installed, so the legacy optimizer is left out: pip install tf_keras")
        return None
    optimizer = tf_keras.optimizers.legacy.Adam(learning_rate=0.1, decay=0.01)
    weight = tf.Variable(1.0, dtype="float64")
    weights = [1.0]
    for _ in range(EPOCHS * UPDATES):
        optimizer.apply_gradients([(tf.constant(1.0, "float64"), weight)])
        weights.append(float(weight.numpy()))
    return [before - after for before, after in pairwise(weights)]


def show(title: str, caption: str, columns: dict[str, list[float] | None]) -> None:
    present = {name: values for name, values in columns.items() if values is not None}
    table = Table(
        "epoch", "update", *present, title=title, caption=caption, title_justify="left", caption_justify="left"
    )
    for index in SHOWN:
        epoch, update = divmod(index, UPDATES)
        values = (f"{values[index]:.6f}" for values in present.values())
        table.add_row(str(epoch), str(update), *values, end_section=update == UPDATES - 1)
    Console().print(table)


def main() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ignored = in_keras(None)
    show(
        "Adam(learning_rate=0.1, decay=0.01): the rates really used",
        "samestep: InverseTimeDecay(0.01, every=updates(1))",
        {
            "legacy Keras": in_legacy_keras(),
            "Keras 3": ignored,
            "samestep\nin Lightning": in_lightning(EXACT),
            "samestep\nin Keras": in_keras(EXACT),
        },
    )
    print(*(f"Keras 3 warned: {c.message}" for c in caught if "decay" in str(c.message)), "", sep="\n")
    show(
        "What many took it for: one decay per epoch",
        "inverse time: InverseTimeDecay(0.01, every=epochs(1)), held for the epoch\n"
        "staircase: StepDecay(0.99, every=epochs(1))",
        {
            "inverse time\nin Lightning": in_lightning(PER_EPOCH, "epoch"),
            "inverse time\nin Keras": in_keras(PER_EPOCH, "epoch"),
            "staircase\nin Lightning": in_lightning(STAIRCASE),
            "staircase\nin Keras": in_keras(STAIRCASE),
        },
    )


if __name__ == "__main__":
    for name in ("pytorch_lightning", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(pytorch_lightning|lightning)\.")
    main()
