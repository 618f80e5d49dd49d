"""Trains the parity problem in Keras, on this process's backend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from ..core.recipes.plan import Plan
from ..core.specs.records import record_of
from ..keras import HyperparameterScheduler, TraceRecorder, build_optimizer
from ..keras.optimizers import RECORDS
from .problem import PROBE, TRAINED, UNITS, Problem, Weights
from .runs import Run


class _Probe(keras.layers.Layer):
    """Adds zero times a scalar weight."""

    def build(self, input_shape: Any) -> None:
        self.probe = self.add_weight(shape=(), initializer="ones", name=PROBE)

    def call(self, inputs: Any) -> Any:
        return inputs + 0.0 * self.probe


class _Epochs(keras.callbacks.Callback):
    """Keeps the loss of each batch and the weights of each epoch, and reports progress."""

    def __init__(self, run: Run, progress: Callable[[int], None]) -> None:
        super().__init__()
        self._run, self._progress = run, progress

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.model.reset_metrics()  # Keras logs the mean loss of the epoch so far

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._run.losses.append(float(logs["loss"]))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._run.weights.append(_weights(self.model))
        self._progress(epoch + 1)


class _ByHand(keras.callbacks.Callback):
    """The code one writes without samestep; compiled code never sees the weight decay that it sets."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self._plan = plan

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        optimizer = self.model.optimizer
        optimizer.learning_rate = self._plan.value("learning_rate", self._epoch, batch)
        optimizer.weight_decay = self._plan.value("weight_decay", self._epoch, batch)


def train(plan: Plan, problem: Problem, stock: bool, progress: Callable[[int], None]) -> Run:
    """Train with samestep, or with Keras' own optimizer."""
    run, recorder = Run(f"keras-{keras.backend.backend()}"), TraceRecorder()
    spec: Any = plan.recipe.optimizer
    model = keras.Sequential(
        [
            keras.Input((UNITS["inputs"],)),
            keras.layers.Dense(UNITS["hidden"], activation="relu", name="hidden"),
            keras.layers.Dense(UNITS["classes"], name="classes"),
            _Probe(),
        ]
    )
    initial = problem.initial_weights()
    model.set_weights([initial[name] for name in (*TRAINED, PROBE)])
    optimizer = record_of(RECORDS, spec, "parity").stock(spec) if stock else build_optimizer(spec, model)
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    driver = _ByHand(plan) if stock else HyperparameterScheduler(plan.recipe)
    inputs, classes = problem.train
    model.fit(
        inputs,
        classes,
        batch_size=problem.batch_size,
        epochs=problem.epochs,
        shuffle=False,
        verbose=0,
        callbacks=[driver, recorder, _Epochs(run, progress)],
    )
    run.trace = recorder.trace
    return run


def _weights(model: keras.Model) -> Weights:
    return dict(zip((*TRAINED, PROBE), (np.array(weight) for weight in model.get_weights()), strict=True))
