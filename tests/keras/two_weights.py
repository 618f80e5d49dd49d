"""Two weights that Keras trains, and goes on with from a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from samestep import AdamW
from samestep.keras import HyperparameterScheduler, TraceRecorder, build_optimizer

from ..changes import EPOCHS, GRADIENTS, SPEC, START, Change

X, Y = GRADIENTS.astype("float32"), np.zeros((4, 1), "float32")


@keras.saving.register_keras_serializable("tests")
def mean_prediction(_: Any, predicted: Any) -> Any:
    return ops.mean(predicted)


def built(optimizer: Any = SPEC, *, policy: str = "float32", **compiled: Any) -> keras.Model:
    """Two weights, whose gradient is the batch, and an optimizer or that of a spec.

    compiled: what compile() is given. To trace or to compile a step takes longer than all of its updates.
    """
    dense = keras.layers.Dense(1, use_bias=False, dtype=policy)
    model = keras.Sequential([keras.Input((2,)), dense])
    model.dtype_policy = keras.dtype_policies.get(policy)
    dense.set_weights([START.astype("float32")[:, None]])
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
