"""Files of Keras that older versions wrote load for ever, on every backend; see tests/states/README.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
import torch
from keras import ops

from samestep import AdamW, CosineDecay, LinearDecay, Recipe, Warmup, epochs, percent, updates
from samestep.keras import HyperparameterScheduler, TraceRecorder, build_optimizer

STATES = Path(__file__).parents[1] / "states"
SPEC = AdamW(learning_rate=0.1, weight_decay=0.05)
RECIPE = Recipe(
    SPEC,
    learning_rate=Warmup(over=updates(3), start=0.25) * CosineDecay(over=percent(100), end=0.1),
    weight_decay=LinearDecay(over=epochs(3), end=0.2),
)
OTHER = Recipe(SPEC, RECIPE.learning_rate)
X, Y = np.ones((4, 2), "float32"), np.zeros((4, 1), "float32")


def load(version: int, ending: str) -> keras.Model:
    path = STATES / f"keras_{version}.{ending}"
    if ending == "keras":
        model = keras.models.load_model(path)
        model.jit_compile = keras.backend.backend() == "jax"  # the file has it, and torch would take most of a minute
        return model
    with h5py.File(path) as file:
        names = set(file["optimizer"]["vars"])
    assert ("samestep" in names) == (version == 2), "the file is not to be written again"
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(build_optimizer(SPEC, model), "mse")
    model.optimizer.build(model.trainable_variables)
    model.load_weights(path)
    return model


def fit(model: keras.Model, recipe: Recipe, begin: int = 2) -> Any:
    recorder = TraceRecorder()
    callbacks = [HyperparameterScheduler(recipe), recorder]
    model.fit(X, Y, 1, 3, shuffle=False, verbose=0, callbacks=callbacks, initial_epoch=begin)
    return recorder.trace


def numpy(values: Any) -> list[np.ndarray]:
    return [np.array(ops.convert_to_numpy(value), "float64") for value in values]


def uninterrupted(model: keras.Model) -> list[np.ndarray]:
    """The weights after the third epoch by torch's AdamW in float64, from the weights and moments of the model."""
    optimizer = model.optimizer
    kernel, bias = weights = [torch.nn.Parameter(torch.tensor(each)) for each in numpy(model.trainable_variables)]
    adam, plan = torch.optim.AdamW(weights), RECIPE.plan(4, 3)
    moments = zip(weights, numpy(optimizer._momentums), numpy(optimizer._velocities), strict=True)
    for weight, first, second in moments:
        assert first.any()
        assert second.any()
        adam.state[weight] = {
            "step": torch.tensor(8.0),
            "exp_avg": torch.tensor(first),
            "exp_avg_sq": torch.tensor(second),
        }
    for update in range(4):
        rate, decay = (plan.value(name, 2, update) for name in ("learning_rate", "weight_decay"))
        adam.param_groups[0].update(lr=rate, weight_decay=decay)
        adam.zero_grad()
        (torch.ones(1, 2, dtype=torch.float64) @ kernel + bias).square().mean().backward()
        adam.step()
    return [weight.detach().numpy() for weight in weights]


@pytest.mark.parametrize("ending", ["keras", "weights.h5"])
@pytest.mark.parametrize("version", [1, 2])
def test_a_run_goes_on_from_where_an_older_version_left_it(version: int, ending: str) -> None:
    model = load(version, ending)
    assert int(ops.convert_to_numpy(model.optimizer.iterations)) == 8
    expected = uninterrupted(model)
    trace = fit(model, RECIPE)
    plan = RECIPE.plan(4, 3)
    for name in ("learning_rate", "weight_decay"):
        planned = [np.float32(plan.value(name, 2, update)) for update in range(4)]
        assert [np.float32(value) for value in trace.column(name)] == planned
    for ours, theirs in zip(numpy(model.trainable_variables), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)


@pytest.mark.parametrize("ending", ["keras", "weights.h5"])
def test_version_1_knows_no_recipe_and_goes_on_by_any(ending: str) -> None:
    assert [np.float32(value) for value in fit(load(1, ending), OTHER).column("weight_decay")] == [np.float32(0.05)] * 4


@pytest.mark.parametrize("ending", ["keras", "weights.h5"])
def test_version_2_knows_the_recipe_and_the_position(ending: str) -> None:
    with pytest.raises(
        ValueError,
        match=r"\(epoch 2, update 0\) that was .*: recipe\.weight_decay was LinearDecay\(over=epochs\(3\)",
    ):
        fit(load(2, ending), OTHER)
    with pytest.warns(UserWarning, match="loaded after 2 epochs"):
        fit(load(2, ending), RECIPE, begin=0)
