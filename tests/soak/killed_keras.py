"""SIGKILL at every batch of a Keras training under BackupAndRestore, which is then started again in a fresh process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from sweep import Case, Sweep

from samestep import AdamW, CosineDecay, LinearDecay, Recipe, StepDecay, Warmup, epochs, percent, updates
from samestep.core.policies.plateau import Plateau
from samestep.core.recipes.float32 import float32

_WHOLE = threading.Lock()
BACKENDS = ("tensorflow", "jax", "torch")
BATCHES, EPOCHS = 4, 3
SCORES = [1.0, 1.0, 0.5]  # of the epochs: the second one is no better than the first
PLATEAU = Plateau(factor=0.5, patience=0)
RECIPE = Recipe(
    AdamW(0.01, 0.1),
    learning_rate=Warmup(over=updates(3), start=0.25) * CosineDecay(over=percent(100), end=0.1),
    weight_decay=StepDecay(0.5, every=epochs(1)),
    momentum=LinearDecay(over=percent(100), start=0.8, end=1.0),
)

WORKER = """
import json
import os
import signal
import sys

import numpy as np

import keras
from samestep import Recipe
from samestep.keras import HyperparameterScheduler, ReduceOnPlateau, TraceRecorder, build_optimizer

how = json.loads(sys.argv[1])
recipe = Recipe.from_dict(how["recipe"])


class Score(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        logs["score"] = how["scores"][epoch]


class Tell(keras.callbacks.Callback):
    # What the last update used, for a file that outlives the process.
    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        if (self.epoch, batch) == tuple(how["kill"] or ()):
            os.kill(os.getpid(), signal.SIGKILL)

    def on_train_batch_end(self, batch, logs=None):
        self.model  # on jax, to ask for it brings the variables up to date
        table = self.model.optimizer.table
        (used,) = table.used([self.model.optimizer.count.made - 1])
        with open(how["told"], "a") as file:
            file.write(json.dumps([self.epoch, batch, used]) + "\\n")


keras.utils.set_random_seed(1)
generator = np.random.default_rng(0)
x, y = (generator.standard_normal((2 * how["batches"], size), "float32") for size in (4, 3))
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, activation="tanh"), keras.layers.Dense(3)])
model.compile(build_optimizer(recipe, model), "mse")
saving = dict(save_freq=how["save_freq"], double_checkpoint=True, delete_checkpoint=False)
backup = keras.callbacks.BackupAndRestore(how["backup"], **saving)
plateau = ReduceOnPlateau("score", factor=0.5, patience=0)
callbacks = [Score(), HyperparameterScheduler(recipe), plateau, TraceRecorder(), backup, Tell()]
model.fit(x, y, batch_size=2, epochs=how["epochs"], shuffle=False, verbose=0, callbacks=callbacks)
saved = {}
model.optimizer.save_own_variables(saved)  # all that it has but its table, which is of the last epoch
saved.pop("samestep")
np.savez(how["weights"], *saved.values(), *model.get_weights())
"""


def train(folder: Path, backend: str, save_freq: int | str, kill: tuple[int, int] | None, run: str) -> list[Any]:
    """Train in a process of its own, to the end or up to the batch at which it kills itself; returns what it told."""
    how = {
        "recipe": RECIPE.to_dict(), "scores": SCORES, "kill": kill, "batches": BATCHES, "epochs": EPOCHS,
        "save_freq": save_freq, "backup": str(folder / "backup"), "told": str(folder / f"{run}.jsonl"),
        "weights": str(folder / f"{run}.npz"),
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", WORKER, json.dumps(how)], env=environment, capture_output=True, text=True
    )
    expected = 0 if kill is None else -signal.SIGKILL
    if done.returncode != expected:
        raise RuntimeError(f"exit status {done.returncode} and not {expected}: {done.stderr[-3000:]}")
    told = folder / f"{run}.jsonl"
    return [json.loads(line) for line in told.read_text().splitlines()] if told.exists() else []


def wrong_values(told: Sequence[Any]) -> list[str]:
    """What an update used that is not the plan's value at its position, reduced by the scores of the epochs before."""
    plan, found = RECIPE.plan(BATCHES, EPOCHS), []
    for epoch, update, used in told:
        for name, value in used.items():
            planned = plan.value(name, epoch, update)
            if name == "learning_rate":
                reductions = PLATEAU.reductions(dict(enumerate(SCORES)), epoch)
                (planned,) = PLATEAU.reduced([planned], reductions)
            if float32(value) != float32(planned):
                found.append(f"{name} = {value} at epoch {epoch}, update {update}, where the plan has {planned}")
    return found


def check(folder: Path, backend: str, save_freq: int | str, kill: tuple[int, int]) -> str:
    """Kill a training at a batch, start it again, and compare what both used with the plan."""
    import numpy as np

    here = folder / f"{backend} {save_freq} {kill}"
    first = train(here, backend, save_freq, kill, "first")
    second = train(here, backend, save_freq, None, "second")
    wrong = wrong_values(first) + wrong_values(second)
    # At the start of an epoch the last batch of the one before was the last that was saved.
    begun = max(kill[0] - 1, 0) if save_freq == 1 and kill[1] == 0 else kill[0]
    positions = [(epoch, update) for epoch, update, _ in second]
    expected = [(epoch, update) for epoch in range(begun, EPOCHS) for update in range(BATCHES)]
    if positions != expected:
        wrong.append(f"the second process trained {positions}")
    if save_freq == "epoch":
        whole = folder / f"{backend} whole"
        with _WHOLE:  # which the cases of a backend share, and the first of them makes
            if not (whole / "whole.npz").exists():
                train(whole, backend, save_freq, None, "whole")
        with np.load(whole / "whole.npz") as ours, np.load(here / "second.npz") as theirs:
            differ = [name for name in ours.files if not np.array_equal(ours[name], theirs[name])]
        if differ:
            wrong.append(f"the arrays {differ} are not those of the uninterrupted run")
    return "; ".join(wrong)


def cases(folder: Path) -> Iterator[Case]:
    """Each batch, at whose start the process is killed."""
    for backend in BACKENDS:
        for save_freq in ("epoch", 1):
            for number in range(EPOCHS * BATCHES):
                kill = divmod(number, BATCHES)
                at = partial(check, folder, backend, save_freq, kill)
                yield Case(f"{backend}, save_freq={save_freq!r}", f"killed at epoch {kill[0]}, batch {kill[1]}", at)


SWEEPS = [Sweep("killed_keras", cases)]
