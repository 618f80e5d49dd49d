"""A checkpoint loaded while a training goes on, as to go back to the best weights: the schedule keeps its position."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from samestep import SGDW, LinearDecay, Recipe, StepDecay, epochs
from samestep.keras import HyperparameterScheduler, ReduceOnPlateau, TraceRecorder, build_optimizer

from .tiny_training import kernel, probe

RECIPE = Recipe(SGDW(1.0, 0.0), learning_rate=StepDecay(0.5, every=epochs(1)) * LinearDecay("100%"))
RATES = [1.0, 0.875, 0.375, 0.3125, 0.125, 0.09375, 0.03125, 0.015625]
X, Y = np.array([[1.0, 0.0]] * 2, "float32"), np.zeros((2, 1), "float32")
HOOKS = ["on_epoch_begin", "on_train_batch_end", "on_epoch_end"]
WAYS = ["load_weights", "set_weights", "reset"]


class GoesBack(keras.callbacks.Callback):
    """Reads what each update moves; saves as epoch 1 begins, and goes back to that at a hook of epoch 2."""

    def __init__(self, path: Path, hook: str, way: str = "load_weights", *, saves: int = 1, loads: int = 2) -> None:
        super().__init__()
        self.path, self.hook, self.way, self.saves, self.loads = path, hook, way, saves, loads
        self.epoch, self.moved, self.value = 0, list[float](), 0.0
        self.variables: list[Any] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch
        if epoch == self.saves:
            self.model.save_weights(self.path)
            self.variables = [np.array(ops.convert_to_numpy(each)) for each in self.model.optimizer.variables]
        self.go_back("on_epoch_begin")

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.value = kernel(self.model)[0]

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.moved.append(self.value - kernel(self.model)[0])
        if not batch:
            self.go_back("on_train_batch_end")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.go_back("on_epoch_end")

    def go_back(self, hook: str) -> None:
        if (self.epoch, hook) != (self.loads, self.hook):
            return
        if self.way == "load_weights":
            self.model.load_weights(self.path)
        elif self.way == "set_weights":
            self.model.optimizer.set_weights(self.variables)
        else:
            self.model.optimizer.reset()


def model_of(spec: SGDW = RECIPE.optimizer) -> keras.Model:  # type: ignore[assignment]
    model = probe(None)
    optimizer = build_optimizer(RECIPE if spec is RECIPE.optimizer else spec, model)
    model.compile(optimizer, loss=lambda _, predicted: ops.mean(predicted, axis=-1))
    return model


def fit(model: keras.Model, *callbacks: Any, begin: int = 0, end: int = 4) -> None:
    model.fit(X, Y, batch_size=1, verbose=0, initial_epoch=begin, epochs=end, callbacks=list(callbacks))


@pytest.mark.parametrize("way", WAYS)
def test_the_position_stays_that_of_the_training(way: str, tmp_path: Path) -> None:
    model, path = model_of(), tmp_path / "best.weights.h5"
    for hook in HOOKS:
        for first in (True, False):
            model.optimizer.reset()
            driver, back, recorder = (
                HyperparameterScheduler(RECIPE, verify=True),
                GoesBack(path, hook, way),
                TraceRecorder(),
            )
            fit(model, *([driver, back] if first else [back, driver]), recorder)
            assert back.moved == pytest.approx(RATES, abs=1e-6), (hook, first)
            assert recorder.trace.column("learning_rate") == pytest.approx(RATES, abs=1e-7), (hook, first)


def test_a_checkpoint_loaded_before_the_first_update_is_resumed(tmp_path: Path) -> None:
    path, model = tmp_path / "run.weights.h5", model_of()
    fit(model, HyperparameterScheduler(RECIPE), GoesBack(path, "", saves=2))
    for first in (True, False):
        model = model_of()
        driver, back = HyperparameterScheduler(RECIPE), GoesBack(path, "on_epoch_begin", saves=-1)
        fit(model, *([driver, back] if first else [back, driver]), begin=2)
        assert back.moved == pytest.approx(RATES[4:], abs=1e-6)
        assert int(ops.convert_to_numpy(model.optimizer.iterations)) == 8


class Scores(keras.callbacks.Callback):
    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs["score"] = float(epoch)  # never better


def test_later_checkpoints_have_all_scores(tmp_path: Path) -> None:
    spec, paths = SGDW(1.0, 0.0), [tmp_path / "best.weights.h5", tmp_path / "last.weights.h5"]
    model = model_of(spec)
    back = GoesBack(paths[0], "on_epoch_end")
    fit(model, ReduceOnPlateau("score", factor=0.5, patience=0), Scores(), back)
    assert back.moved == pytest.approx([1.0] * 4 + [0.5] * 2 + [0.25] * 2, abs=1e-6)
    model.save_weights(paths[1])
    rest, moves = model_of(spec), GoesBack(paths[0], "")
    rest.load_weights(paths[1])
    fit(rest, ReduceOnPlateau("score", factor=0.5, patience=0), Scores(), moves, begin=4, end=6)
    assert moves.moved == pytest.approx([0.125] * 2 + [0.0625] * 2, abs=1e-6)
