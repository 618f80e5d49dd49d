"""A step that was traced before the table had room for more goes on reading it, and recording into it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from samestep import AdamW, LinearDecay, Recipe, percent
from samestep.core.recipes.float32 import float32
from samestep.keras import HyperparameterScheduler, TraceRecorder, build_optimizer

RECIPE = Recipe(learning_rate=LinearDecay(over=percent(100)))


def left(model: keras.Model, batches: int, *callbacks: keras.callbacks.Callback, epochs: int = 2) -> float:
    """What training takes off the weight, whose gradient is 1."""
    before = float(ops.convert_to_numpy(model.trainable_variables[0])[0, 0])
    ones = np.ones((batches, 1), "float32")
    model.fit(ones, ones, batch_size=1, epochs=epochs, verbose=0, callbacks=list(callbacks))
    return before - float(ops.convert_to_numpy(model.trainable_variables[0])[0, 0])


def planned(batches: int, epochs: int = 2) -> float:
    """The learning rates of a run, which begin at 1, are halves and quarters and their like: their sum is exact."""
    return sum(RECIPE.plan(batches, epochs).values("learning_rate", base=1.0))


def made(kind: type[keras.Model], spec: AdamW) -> keras.Model:
    inputs = keras.Input((1,))
    dense = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")
    model = kind(inputs, dense(inputs))
    model.compile(build_optimizer(spec, model), lambda _, predicted: ops.mean(predicted, axis=-1))
    return model


@pytest.fixture
def one() -> AdamW:
    return AdamW(1.0, 0.0, betas=(0.0, 0.0), epsilon=1e-30)


@pytest.fixture(params=["keras", "own"])
def kind(request: pytest.FixtureRequest) -> Any:
    """keras.Model, and on tensorflow one whose train_step is a `tf.function` of the user's, as in many tutorials."""
    if request.param == "keras" or keras.backend.backend() != "tensorflow":
        return keras.Model
    import tensorflow as tf

    class Traced(keras.Model):  # type: ignore[misc]
        @tf.function  # type: ignore[untyped-decorator]
        def train_step(self, data: Any) -> dict[str, Any]:
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(self(data[0], training=True))
            gradients = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
            return {"loss": loss}

    return Traced


@pytest.mark.parametrize("verify", [False, True])
def test_fits_of_more_and_of_fewer_updates_follow_their_plans(kind: Any, verify: bool, one: AdamW) -> None:
    model = made(kind, one)
    assert left(model, 4) == 8.0  # nothing drives it
    for batches in (4, 8, 16, 4):
        assert left(model, batches, HyperparameterScheduler(RECIPE, verify=verify)) == planned(batches)


def test_a_recorder_that_comes_later_records(kind: Any, one: AdamW) -> None:
    model, recorder = made(kind, one), TraceRecorder()
    left(model, 4, HyperparameterScheduler(RECIPE))
    assert left(model, 8, HyperparameterScheduler(RECIPE), recorder) == planned(8)
    assert recorder.trace.column("learning_rate") == [float32(1 - update / 16) for update in range(16)]


def test_two_models_of_one_optimizer_follow_their_plans(one: AdamW) -> None:
    first = made(keras.Model, one)
    second = keras.Model(first.inputs, first.outputs)
    second.compile(first.optimizer, first.loss)
    for model, batches in ((first, 4), (second, 8), (first, 4)):
        assert left(model, batches, HyperparameterScheduler(RECIPE, verify=True)) == planned(batches)


def test_a_loop_with_a_step_of_the_users_own_follows_the_plan(one: AdamW, kind: Callable[..., Any]) -> None:
    model = made(kind, one)
    for batches in (4, 8):
        callbacks = keras.callbacks.CallbackList(
            [HyperparameterScheduler(RECIPE)], model=model, epochs=1, steps=batches, add_history=True
        )
        before = float(ops.convert_to_numpy(model.trainable_variables[0])[0, 0])
        callbacks.on_train_begin()
        callbacks.on_epoch_begin(0)
        for batch in range(batches):
            callbacks.on_train_batch_begin(batch)
            model.train_on_batch(np.ones((1, 1), "float32"), np.ones((1, 1), "float32"))
            callbacks.on_train_batch_end(batch, {})
        callbacks.on_epoch_end(0, {})
        callbacks.on_train_end({})
        assert before - float(ops.convert_to_numpy(model.trainable_variables[0])[0, 0]) == planned(batches, 1)
