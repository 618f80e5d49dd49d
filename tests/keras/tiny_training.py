"""Two weights that Keras trains on the CPU, on the backend of KERAS_BACKEND, and whose every update says what it used.

`probe`, `train` and `followed`: weights 0 and 1, whose gradients are 1 and 0, put back before each epoch. `built`,
`fit` and what is below it: weights whose gradients are those of the recipe changes, for runs that are resumed.
"""

from __future__ import annotations

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from samestep import AdamW, Plan, Position, Trace
from samestep.core.recipes.float32 import float32
from samestep.core.specs.spec import HYPERPARAMETERS, Spec
from samestep.keras import HyperparameterScheduler, TraceRecorder, build_optimizer

from .. import recipe_changes
from ..recipe_changes import EPOCHS, GRADIENTS, SPEC, Change

START = np.array([[0.0], [1.0]], "float32")


class Weights(keras.callbacks.Callback):
    """Puts the two weights back to 0 and 1 before each epoch, and reads what its updates left of them."""

    def __init__(self) -> None:
        super().__init__()
        self.left: list[list[float]] = []
        self.batches = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.model.trainable_variables[-1].assign(START)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.batches += 1

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.left.append(kernel(self.model))


@dataclass
class Run:
    """A finished run: what was trained, what its updates recorded, and the two weights after each epoch."""

    model: keras.Model
    trace: Trace = field(repr=False)
    left: list[list[float]]

    def positions(self) -> list[Position]:
        return [entry.position for entry in self.trace.entries]

    def used(self, hyperparameter: str) -> list[float]:
        """The recorded values, rounded to float32 (the torch backend's are Python floats)."""
        return [float32(value) for value in self.trace.column(hyperparameter)]


def kernel(model: keras.Model) -> list[float]:
    return [float(value) for value in ops.convert_to_numpy(model.trainable_variables[-1]).ravel()]


@keras.saving.register_keras_serializable("tests")
def mean_prediction(_: Any, predicted: Any) -> Any:
    return ops.mean(predicted, axis=-1)


def probe(optimizer: Any, *, policy: str = "float32", options: dict[str, Any] | None = None, **compiled: Any) -> Any:
    """A model of two weights, 0 with gradient 1 and 1 with gradient 0, and an optimizer, a spec, or None for none.

    Plain SGD takes the learning rate off the first weight; so does AdamW without betas. The second one shows the
    weight decay alone: an update leaves 1 - learning_rate * weight_decay of it.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, use_bias=False)])
        model.layers[0].set_weights([START])
        if isinstance(optimizer, AdamW):
            optimizer = build_optimizer(optimizer, model, **(options or {}))
        if optimizer is not None:
            model.compile(optimizer=optimizer, loss=mean_prediction, **compiled)
    finally:
        keras.config.set_dtype_policy(before)
    return model


def stream_of(batches: int) -> Any:
    """A dataset whose number of batches is not known beforehand; every epoch has them again. Each backend takes it."""
    import tensorflow as tf

    example = np.array([[1.0, 0.0]], "float32"), np.zeros((1, 1), "float32")
    shapes = tuple(tf.TensorSpec(array.shape, "float32") for array in example)
    return tf.data.Dataset.from_generator(lambda: (example for _ in range(batches)), output_signature=shapes)


def train(
    model: keras.Model,
    *callbacks: keras.callbacks.Callback,
    batches: int = 5,
    epochs: int = 3,
    stream: bool = False,
    **fit: Any,
) -> Run:
    """Fit with these callbacks, in this order, and a TraceRecorder after them; `stream` hides the number of batches."""
    recorder, weights = TraceRecorder(), Weights()
    if stream:
        data: Any = {"x": stream_of(batches)}
    else:
        data = {"x": np.tile([[1.0, 0.0]], (batches, 1)).astype("float32"), "y": np.zeros((batches, 1), "float32")}
        data |= {"batch_size": 1}
    model.fit(**data, epochs=epochs, verbose=0, callbacks=[weights, *callbacks, recorder], **fit)
    return Run(model, recorder.trace, weights.left)


def refusal(model: keras.Model, *callbacks: keras.callbacks.Callback, **options: Any) -> str:
    """The message with which training was refused, once it is sure to be one sentence and to precede any batch."""
    model.trainable_variables[-1].assign(START)  # as `train` does at the start of an epoch
    before, weights = kernel(model), Weights()
    with pytest.raises((TypeError, ValueError)) as caught:
        train(model, *callbacks, weights, **options)
    message = str(caught.value)
    assert weights.batches == 0
    assert kernel(model) == before
    assert message.endswith(".")
    assert "\n" not in message
    return message


def simulated(plan: Plan, epoch: int, updates: int) -> list[float]:
    """What an epoch's updates leave of the weights 0 and 1, in float32 arithmetic, if they use the plan's values."""
    weights = np.array([0.0, 1.0], "float32")
    for update in range(updates):
        rate, decay = plan.value("learning_rate", epoch, update), plan.value("weight_decay", epoch, update)
        weights *= np.float32(1.0 - rate * decay)
        weights[0] -= np.float32(rate)
    return [float(weight) for weight in weights]


def followed(run: Run, plan: Plan, updates: int, first_epoch: int = 0) -> None:
    """Assert, by record and by weight, that each update used the plan's values rounded to float32, and no other."""
    epochs = range(first_epoch, first_epoch + len(run.left))
    expected = [Position(epoch, update) for epoch in epochs for update in range(updates)]
    assert run.positions() == expected
    for name in ("learning_rate", "weight_decay"):
        assert run.used(name) == [float32(plan.value(name, *position)) for position in expected]
    assert run.left == [simulated(plan, epoch, updates) for epoch in epochs]


def updated(
    spec: Spec, start: np.ndarray, gradients: np.ndarray, rows: Iterable[Sequence[float]], way: dict[str, Any]
) -> np.ndarray:
    """The weights after updates by `build_optimizer`'s optimizer, its hyperparameters written into the table.

    rows: of each update the hyperparameters. way: how tensorflow compiles it, or which of torch's kernels makes it.
    """
    backend = keras.backend.backend()
    options = way if backend == "torch" else {}
    optimizer = build_optimizer(spec, keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)]), **options)
    weights = keras.Variable(start)
    optimizer.build([weights])
    optimizer.table.reserve(len(gradients))
    columns = dict(zip(HYPERPARAMETERS, zip(*rows, strict=True), strict=True))
    optimizer.table.begin_epoch({name: lambda _, column=column: [column] for name, column in columns.items()})
    if backend == "jax":
        import jax

        step = jax.jit(lambda theta, state, gradient: optimizer.stateless_apply(state, [gradient], theta))
        theta, state = [weights.value], [variable.value for variable in optimizer.variables]
        for gradient in gradients:
            theta, state = step(theta, state, gradient)
        return np.asarray(theta[0])

    def apply(gradient: Any) -> None:
        optimizer.apply([gradient], [weights])

    if backend == "tensorflow":
        import tensorflow as tf

        apply = tf.function(apply, **way)
    for gradient in gradients:
        apply(ops.convert_to_tensor(gradient))
    return ops.convert_to_numpy(weights)


def units(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The largest difference, in float32 units in the last place of the largest weight."""
    return float(np.abs(ours.astype("float64") - theirs).max() / np.spacing(np.float32(np.abs(theirs).max())))


X, Y = GRADIENTS.astype("float32"), np.zeros((4, 1), "float32")


def built(optimizer: Any = SPEC, *, policy: str = "float32", **compiled: Any) -> keras.Model:
    """Two weights, whose gradient is the batch, and an optimizer or that of a spec.

    compiled: what compile() is given. To trace or to compile a step takes longer than all of its updates.
    """
    dense = keras.layers.Dense(1, use_bias=False, dtype=policy)
    model = keras.Sequential([keras.Input((2,)), dense])
    model.dtype_policy = keras.dtype_policies.get(policy)
    dense.set_weights([recipe_changes.START.astype("float32")[:, None]])
    if isinstance(optimizer, AdamW):
        optimizer = build_optimizer(optimizer, model)
    model.compile(optimizer, loss=mean_prediction, **(compiled or {"run_eagerly": True}))
    return model


def left(model: keras.Model) -> np.ndarray:
    return ops.convert_to_numpy(model.trainable_variables[0]).ravel().astype("float64")


def fit(model: keras.Model, *callbacks: Any, batch_size: int = 1, epochs: int = EPOCHS, begin: int = 0) -> list[float]:
    """Train on four examples; gives the learning rate of each update, as a float32."""
    recorder = TraceRecorder()
    callbacks = (*callbacks, recorder)
    options: dict[str, Any] = {"shuffle": False, "verbose": 0, "initial_epoch": begin, "epochs": epochs}
    model.fit(X, Y, batch_size, callbacks=list(callbacks), **options)
    return [float(np.float32(rate)) for rate in recorder.trace.column("learning_rate")]


def every_epoch(folder: Path, ending: str = "keras", **options: Any) -> keras.callbacks.ModelCheckpoint:
    return keras.callbacks.ModelCheckpoint(
        folder / f"{{epoch}}.{ending}", save_weights_only=ending != "keras", **options
    )


def trained(change: Change, folder: Path) -> Path:
    """Train by the saved recipe; what is given is the checkpoint of the end of the second epoch."""
    driver = HyperparameterScheduler(change.saved, resolution=change.resolutions[0])  # type: ignore[arg-type]
    fit(built(change.specs()[0]), driver, every_epoch(folder))
    return folder / "2.keras"


def go_on(change: Change, path: Path, on_change: Any) -> np.ndarray:
    """Go on by the new recipe, and give the weights that are left."""
    model, resolution = keras.models.load_model(path), change.resolutions[1]
    before = left(model)
    driver: Any = HyperparameterScheduler(change.new, resolution=resolution, on_change=on_change)  # type: ignore[arg-type]
    try:
        fit(model, driver, begin=2)
    except ValueError:
        assert np.array_equal(left(model), before)
        raise
    return left(model)
