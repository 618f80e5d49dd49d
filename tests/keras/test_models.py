"""Models as people have them: moving averages, frozen layers, validation; and what an import brings along."""

from __future__ import annotations

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

from samestep import AdamW, LinearDecay, Recipe, percent
from samestep.keras import HyperparameterScheduler, TraceRecorder, build_optimizer

from .tiny_training import followed, probe, train


@pytest.fixture
def recipe(spec: AdamW) -> Recipe:
    return Recipe(spec, learning_rate=LinearDecay(over=percent(100)), weight_decay=LinearDecay(over=percent(50)))


def test_a_moving_average_of_the_weights_does_not_disturb_the_updates(recipe: Recipe) -> None:
    model = probe(recipe.optimizer, options={"use_ema": True, "ema_momentum": 0.5})
    run = train(model, HyperparameterScheduler(recipe), batches=4)
    followed(run, recipe.plan(4, 3), 4)
    average = ops.convert_to_numpy(model.optimizer._model_variables_moving_average[0])
    assert np.array_equal(ops.convert_to_numpy(model.trainable_variables[0]), average)
    assert average.ravel().tolist() != run.left[-1]


def test_the_moving_average_overwrites_the_weights_as_often_as_asked(recipe: Recipe) -> None:
    model = probe(recipe.optimizer, options={"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 2})
    run = train(model, HyperparameterScheduler(recipe), batches=4, epochs=1)
    assert len(run.trace) == 4
    assert run.left[0][1] != pytest.approx(1.0, abs=1e-6)


def test_a_frozen_layer_neither_moves_nor_decays(spec: AdamW) -> None:
    frozen, free = keras.layers.Dense(3, trainable=False), keras.layers.Dense(1)
    model = keras.Sequential([keras.Input((2,)), frozen, free])
    model.compile(optimizer=build_optimizer(spec, model), loss="mse")
    before = [[np.copy(array) for array in layer.get_weights()] for layer in (frozen, free)]
    recorder = TraceRecorder()
    scheduler = HyperparameterScheduler(Recipe(spec))
    model.fit(np.ones((8, 2)), np.ones((8, 1)), batch_size=2, verbose=0, callbacks=[scheduler, recorder])
    assert all(map(np.array_equal, frozen.get_weights(), before[0]))
    assert not any(map(np.array_equal, free.get_weights(), before[1]))
    assert len(recorder.trace) == 4
    assert len(model.optimizer._momentums) == 2


def test_a_layer_that_is_frozen_between_fits_keeps_its_weights(spec: AdamW) -> None:
    first, second = keras.layers.Dense(3), keras.layers.Dense(1)
    model = keras.Sequential([keras.Input((2,)), first, second])
    model.compile(optimizer=build_optimizer(spec, model), loss="mse")
    fit = {"x": np.ones((8, 2)), "y": np.ones((8, 1)), "batch_size": 2, "verbose": 0}
    model.fit(**fit, callbacks=[HyperparameterScheduler(Recipe(spec))])
    first.trainable = False
    model.compile(optimizer=build_optimizer(spec, model), loss="mse")
    before = [np.copy(array) for array in first.get_weights()]
    model.fit(**fit, callbacks=[HyperparameterScheduler(Recipe(spec))])
    assert all(map(np.array_equal, first.get_weights(), before))


def test_validation_between_epochs_does_not_disturb_the_updates(recipe: Recipe) -> None:
    validation = np.ones((3, 2), "float32"), np.zeros((3, 1), "float32")
    run = train(probe(recipe.optimizer), HyperparameterScheduler(recipe), batches=4, validation_data=validation)
    followed(run, recipe.plan(4, 3), 4)


def test_importing_the_keras_room_imports_no_other_framework() -> None:
    """Keras itself looks at jax, whatever its backend."""
    backend = keras.backend.backend()
    others = {"pytorch_lightning", "lightning", "torch", "tensorflow"} - {backend}
    program = f"import samestep.keras, sys; print(sorted({others!r} & set(sys.modules)))"
    environment = {**os.environ, "KERAS_BACKEND": backend}
    command = [sys.executable, "-c", program]
    output = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    assert output.strip() == "[]"
