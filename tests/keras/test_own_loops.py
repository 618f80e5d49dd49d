"""Training loops of the user's own: what they use is the plan, or they are refused at the end of the first epoch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from samestep import SGDW, LinearDecay, Recipe, StepDecay
from samestep.keras import HyperparameterScheduler, build_optimizer

from .tiny_training import kernel, mean_prediction

BACKEND = keras.backend.backend()
EPOCHS, UPDATES = 3, 2
SPEC = SGDW(0.5)
SCHEDULES = [StepDecay(0.5, every="1 epoch"), LinearDecay("100%")]


def compiled(optimizer: Any = SPEC, policy: str = "float32") -> keras.Model:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, use_bias=False, dtype=policy)])
    model.dtype_policy = keras.dtype_policies.get(policy)
    model.compile(build_optimizer(SPEC, model) if optimizer is SPEC else optimizer, loss=mean_prediction)
    model.optimizer.build(model.trainable_variables)
    model.trainable_variables[0].assign(np.zeros((2, 1)))
    return model


def listed(model: keras.Model, *callbacks: Any) -> keras.callbacks.CallbackList:
    return keras.callbacks.CallbackList(list(callbacks), model=model, epochs=EPOCHS, steps=UPDATES)


def loop(callbacks: Any, update: Callable[[], None], before: Any = None, after: Any = None) -> None:
    """A loop that calls all hooks; `before` and `after` run at the beginning and the end of an epoch, within them."""
    nothing: Callable[[], None] = lambda: None  # noqa: E731
    callbacks.on_train_begin()
    for epoch in range(EPOCHS):
        callbacks.on_epoch_begin(epoch)
        (before or nothing)()
        for batch in range(UPDATES):
            callbacks.on_train_batch_begin(batch)
            update()
            callbacks.on_train_batch_end(batch)
        (after or nothing)()
        callbacks.on_epoch_end(epoch)
    callbacks.on_train_end()


def planned(schedule: Any) -> list[float]:
    """What the updates of gradient 1 leave of a weight of 0."""
    weight, plan = np.float32(0), Recipe(SPEC, learning_rate=schedule).plan(UPDATES, EPOCHS)
    for position in np.ndindex(EPOCHS, UPDATES):
        weight -= np.float32(plan.value("learning_rate", *position))
    return [float(weight)] * 2


def scheduler(schedule: Any) -> HyperparameterScheduler:
    return HyperparameterScheduler(Recipe(SPEC, learning_rate=schedule))


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_updates_by_apply(schedule: Any) -> None:
    model = compiled()
    variables, optimizer = model.trainable_variables, model.optimizer

    def update() -> None:
        optimizer.apply([ops.ones((2, 1))], variables)

    if BACKEND == "tensorflow":
        import tensorflow as tf

        update = tf.function(update)
    loop(listed(model, scheduler(schedule)), update)
    assert kernel(model) == planned(schedule)


@pytest.mark.parametrize("optimizer", [SPEC, keras.optimizers.SGD(0.5)], ids=["built", "stock"])
def test_updates_by_another_optimizer(optimizer: Any) -> None:
    model = compiled(optimizer)
    other = keras.optimizers.SGD(0.5)
    other.build(model.trainable_variables)
    driver = HyperparameterScheduler(Recipe(learning_rate=SCHEDULES[0]))
    with pytest.raises(ValueError, match="found no update by ") as caught:
        loop(listed(model, driver), lambda: other.apply([ops.ones((2, 1))], model.trainable_variables))
    assert model.optimizer.name in str(caught.value)


def test_a_train_step_that_uses_another_optimizer() -> None:
    other = keras.optimizers.SGD(0.5)

    class Own(keras.Sequential):
        def train_step(self, *arguments: Any) -> Any:
            if BACKEND == "jax":
                return {"loss": ops.zeros(())}, arguments[0]
            other.apply([ops.ones((2, 1))], self.trainable_variables)
            return {"loss": ops.zeros(())}

    model = Own([keras.Input((2,)), keras.layers.Dense(1, use_bias=False)])
    other.build(model.trainable_variables)
    model.compile(build_optimizer(SPEC, model), loss=mean_prediction)
    with pytest.warns(
        UserWarning, match=r"found no update by 'sgdw[_0-9]*' in epoch 0, so nothing was scheduled; make"
    ):
        model.fit(np.ones((2, 2)), np.ones((2, 1)), epochs=2, verbose=0, callbacks=[scheduler(SCHEDULES[0])])


def test_a_model_without_anything_to_train_is_trained_as_by_keras() -> None:
    model = compiled()
    model.trainable = False
    model.compile(build_optimizer(SPEC, model), loss=mean_prediction, run_eagerly=True)
    model.fit(np.ones((2, 2)), np.ones((2, 1)), verbose=0, callbacks=[scheduler(SCHEDULES[0])])


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (None, "found no model; in a loop of your own give it to the callbacks, as in "),
        (keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]), "found no optimizer; give one to compile()."),
    ],
    ids=["no model", "not compiled"],
)
def test_a_loop_without_a_compiled_model(model: Any, message: str) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]*\.$") as caught:
        listed(model, scheduler(SCHEDULES[0])).on_train_begin()
    assert message in str(caught.value)


def test_a_loop_without_epochs() -> None:
    callbacks = listed(compiled(), scheduler(SCHEDULES[0]))
    callbacks.on_train_begin()
    with pytest.raises(ValueError, match="HyperparameterScheduler: found on_train_batch_begin before on_epoch_begin; "):
        callbacks.on_train_batch_begin(0)
