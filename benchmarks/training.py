"""The cost of a schedule in training: whole steps under a trainer, scheduled at every update and with constants.

Run it with `python benchmarks/training.py lightning`, or `keras` with KERAS_BACKEND=tensorflow, jax or torch. Each
candidate trains the same network with AdamW: samestep's with constants (the baseline), samestep's with schedules of
learning rate and weight decay, and what one would write without samestep. All train in turn, round after round, in one
process, through `fit`. A round's ratio is relative to the baseline of the same round, and the table shows medians.
Shared machines are noisy, and OMP_NUM_THREADS=1 keeps torch's threads from waiting for each other.
"""

from __future__ import annotations

import argparse
import logging
import os
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from rich.console import Console
from rich.progress import track
from rich.table import Table

from samestep import AdamW, CosineDecay, Recipe, percent

RECIPE = Recipe(
    AdamW(learning_rate=1e-3, weight_decay=1e-2),
    learning_rate=CosineDecay(over=percent(100)),
    weight_decay=CosineDecay(over=percent(100), end=0.1),
)
CONSTANTS = "samestep, constants"
SCHEDULED = "samestep, learning rate and weight decay scheduled"


@dataclass(frozen=True)
class Size:
    """A network of dense layers, the first of whose `units` is its number of inputs, and the updates of a round."""

    name: str
    units: tuple[int, ...]
    updates: int
    batch: int = 32


TINY = Size("tiny", (64, 128, 10), 1000)
LARGE = Size("10 million parameters", (1024, 2048, 2048, 1664, 256), 60)

Train = Callable[[], None]
"""Trains for a round."""


def in_lightning(size: Size) -> dict[str, Train]:
    import pytorch_lightning as pl
    import torch

    from samestep.lightning import HyperparameterScheduler, build_optimizer

    for name in ("pytorch_lightning", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    data: Any = [(torch.randn(size.batch, size.units[0]), torch.randn(size.batch, size.units[-1]))] * size.updates

    class Net(pl.LightningModule):
        def __init__(self, configure: Callable[[Any], Any]) -> None:
            super().__init__()
            layers: list[torch.nn.Module] = []
            for inputs, outputs in zip(size.units, size.units[1:], strict=False):
                layers += [torch.nn.Linear(inputs, outputs), torch.nn.ReLU()]
            self.layers = torch.nn.Sequential(*layers[:-1])
            self.configure = configure

        def training_step(self, batch: Any, index: int) -> torch.Tensor:
            return torch.nn.functional.mse_loss(self.layers(batch[0]), batch[1])

        def configure_optimizers(self) -> Any:
            return self.configure(self)

    def ours(module: Any) -> Any:
        return build_optimizer(RECIPE, module)

    def with_lambda(module: Any) -> Any:
        optimizer = ours(module)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda update: 1 - update / size.updates)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def train(configure: Callable[[Any], Any], *callbacks: Any) -> Train:
        module = Net(configure)
        quiet: Any = dict.fromkeys(
            ("logger", "enable_checkpointing", "enable_model_summary", "enable_progress_bar"), False
        )

        def fit() -> None:
            trainer = pl.Trainer(max_epochs=1, callbacks=list(callbacks), accelerator="cpu", **quiet)
            trainer.fit(module, torch.utils.data.DataLoader(data, batch_size=None))

        return fit

    return {
        CONSTANTS: train(ours),
        SCHEDULED: train(ours, HyperparameterScheduler(RECIPE)),
        "torch LambdaLR, interval='step', learning rate alone": train(with_lambda),
        "a callback of Lightning without hooks": train(ours, pl.Callback()),
    }


def in_keras(size: Size, steps_per_execution: int) -> dict[str, Train]:
    import keras
    import numpy as np

    from samestep.keras import HyperparameterScheduler, build_optimizer

    class PerBatch(keras.callbacks.Callback):
        """The code one writes without samestep: set the learning rate before each batch."""

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            self.model.optimizer.learning_rate = 1e-3 * (1 - batch / size.updates)

    inputs = np.random.default_rng(0).standard_normal((size.batch * size.updates, size.units[0])).astype("float32")
    targets = np.zeros((len(inputs), size.units[-1]), "float32")

    def train(optimizer: Callable[[Any], Any], *callbacks: Any) -> Train:
        first, *hidden, last = size.units
        layers = [keras.layers.Dense(units, activation="relu") for units in hidden]
        model = keras.Sequential([keras.Input((first,)), *layers, keras.layers.Dense(last)])
        model.compile(optimizer(model), "mse", steps_per_execution=steps_per_execution)

        def fit() -> None:
            model.fit(inputs, targets, size.batch, shuffle=False, verbose=0, callbacks=list(callbacks))

        return fit

    def ours(model: Any) -> Any:
        return build_optimizer(RECIPE, model)

    def stock(rate: Any) -> Callable[[Any], Any]:
        return lambda model: keras.optimizers.AdamW(rate, weight_decay=1e-2)

    found = {
        CONSTANTS: train(ours),
        SCHEDULED: train(ours, HyperparameterScheduler(RECIPE)),
        "Keras AdamW, constants": train(stock(1e-3)),
        "Keras AdamW, its CosineDecay, learning rate alone": train(
            stock(keras.optimizers.schedules.CosineDecay(1e-3, size.updates))
        ),
    }
    if steps_per_execution == 1:
        found["Keras AdamW, a callback per batch, learning rate alone"] = train(stock(1e-3), PerBatch())
    return found


def measure(candidates: dict[str, Train], size: Size, rounds: int, title: str) -> Table:
    """Train all candidates in turn; the first round, in which they are compiled, does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for number in track(range(rounds + 1), title, console=Console(stderr=True), transient=True):
        order = list(candidates) if number % 2 else list(candidates)[::-1]
        for name in order:
            begin = time.perf_counter()
            candidates[name]()
            if number:
                seconds[name].append((time.perf_counter() - begin) / size.updates)
    table = Table("", "us per step", "ratio", title=title, title_justify="left")
    for name, taken in seconds.items():
        ratios = [a / b for a, b in zip(taken, seconds[CONSTANTS], strict=True)]
        table.add_row(name, f"{1e6 * median(taken):.0f}", f"{median(ratios):.2f}")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description="What a schedule costs a training, step by step.")
    parser.add_argument("framework", choices=("lightning", "keras"))
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    console = Console(width=100)
    for size in (TINY, LARGE):
        if given.framework == "lightning":
            console.print(measure(in_lightning(size), size, given.rounds, f"Lightning, {size.name}"))
            continue
        import keras

        backend = keras.backend.backend()
        for steps in (1,) if backend == "torch" else (1, 10):
            title = f"Keras on {backend}, {size.name}, steps_per_execution={steps}"
            console.print(measure(in_keras(size, steps), size, given.rounds, title))


if __name__ == "__main__":
    main()
