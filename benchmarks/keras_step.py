"""The cost in Keras of a whole update of the model: samestep's AdamW with two schedules beside Keras' own AdamW.

Run it with `python benchmarks/keras_step.py`, and with KERAS_BACKEND=jax or torch for another backend. samestep's runs
follow a recipe that changes learning rate and weight decay at every update; Keras' own keep theirs constant, which is
the cheapest that there is. All candidates train in turn in one process, round after round, through `model.fit` with its
own preparations; the table shows medians. Shared machines are noisy: compare the ratios. Where other programs use the
cores as well, OMP_NUM_THREADS=1 keeps torch's threads from waiting for each other.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from rich.console import Console
from rich.table import Table

from samestep import AdamW, CosineDecay, Recipe, percent
from samestep.keras import HyperparameterScheduler, build_optimizer

ROUNDS = 9
RECIPE = Recipe(
    AdamW(learning_rate=1e-3, weight_decay=1e-2),
    learning_rate=CosineDecay(over=percent(100)),
    weight_decay=CosineDecay(over=percent(100), end=0.1),
)


@dataclass
class Size:
    """A model of dense layers, and how long a round trains it."""

    units: tuple[int, ...]
    batch_size: int
    updates: int

    def model(self) -> keras.Model:
        """The model, not compiled; the number of its inputs is the first of `units`."""
        first, *hidden, last = self.units
        layers = [keras.layers.Dense(units, activation="relu") for units in hidden]
        return keras.Sequential([keras.Input((first,)), *layers, keras.layers.Dense(last)])


SIZES = (Size((64, 128, 10), batch_size=32, updates=100), Size((512, 1024, 1024, 400), batch_size=32, updates=20))


@dataclass
class Candidate:
    """A compiled model, and the seconds that an update took in each round."""

    model: keras.Model
    callbacks: Callable[[], list[keras.callbacks.Callback]]
    seconds: list[float] = field(default_factory=list)

    def train(self, inputs: np.ndarray, targets: np.ndarray, size: Size) -> None:
        """One epoch."""
        begin = time.perf_counter()
        self.model.fit(inputs, targets, size.batch_size, shuffle=False, verbose=0, callbacks=self.callbacks())
        self.seconds.append((time.perf_counter() - begin) / size.updates)


def candidates(size: Size) -> dict[str, Candidate]:
    def stock() -> Candidate:
        model = size.model()
        model.compile(keras.optimizers.AdamW(learning_rate=1e-3, weight_decay=1e-2), "mse")
        return Candidate(model, list)

    def ours(**options: bool) -> Candidate:
        model = size.model()
        model.compile(build_optimizer(RECIPE.optimizer, model, **options), "mse")
        return Candidate(model, lambda: [HyperparameterScheduler(RECIPE)])

    made = {"Keras AdamW": stock(), "samestep AdamW, scheduled": ours()}
    if keras.backend.backend() == "torch":
        made["samestep, foreach=True"] = ours(foreach=True)
        made["samestep, fused=True"] = ours(fused=True)
    return made


def main() -> None:
    table = Table("parameters", "optimizer", "ms per update", "ratio", title=f"Keras on {keras.backend.backend()}")
    generator = np.random.default_rng(0)
    for size in SIZES:
        examples = size.batch_size * size.updates
        inputs = generator.normal(size=(examples, size.units[0])).astype("float32")
        targets = generator.normal(size=(examples, size.units[-1])).astype("float32")
        running = candidates(size)
        for _ in range(ROUNDS + 1):
            for candidate in running.values():
                candidate.train(inputs, targets, size)
        # The first round traces and compiles.
        found = {name: 1e3 * median(candidate.seconds[1:]) for name, candidate in running.items()}
        for name, milliseconds in found.items():
            parameters = f"{running[name].model.count_params():,}" if name == "Keras AdamW" else ""
            ratio = milliseconds / found["Keras AdamW"]
            table.add_row(parameters, name, f"{milliseconds:.3f}", f"{ratio:.2f}")
        table.add_section()
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
