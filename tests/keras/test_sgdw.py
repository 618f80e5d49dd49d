"""SGD with decoupled weight decay in Keras: the numbers of the one in Lightning, and of the formula in float64."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import torch
from keras import ops

import samestep.lightning
from samestep import SGDW, LinearDecay, Recipe, StepDecay, epochs, updates
from samestep.core.recipes.float32 import float32
from samestep.keras import HyperparameterScheduler, build_optimizer

from .tiny_training import followed, probe, train, units, updated

BACKEND = keras.backend.backend()
UPDATES, SHAPE = 1000, (16, 8)
CASES = [(0.0, False), (0.9, False), (0.9, True)]
WAYS: dict[str, list[dict[str, Any]]] = {
    "tensorflow": [{"jit_compile": True}, {"jit_compile": False}],
    "jax": [{}],
    "torch": [{}, {"foreach": True}, {"fused": True}],
}
GRADIENTS = np.random.default_rng(1).standard_normal((UPDATES, *SHAPE)).astype("float32")
START = np.random.default_rng(0).standard_normal(SHAPE).astype("float32")


def values(update: int, momentum: float) -> tuple[float, float, float]:
    """Another value at each update: a learning rate of 0 at each tenth, and no momentum at each seventh."""
    rate = 0.0 if update % 10 == 0 else 0.01 / (1 + update % 7)
    return rate, 0.3 / (1 + update % 13), 0.0 if update % 7 == 3 else momentum


def lightnings(spec: SGDW) -> np.ndarray:
    model = torch.nn.Module()
    model.weights = torch.nn.Parameter(torch.tensor(START))
    optimizer = samestep.lightning.build_optimizer(spec, model)
    for update, gradient in enumerate(GRADIENTS):
        rate, decay, momentum = values(update, spec.momentum)
        optimizer.param_groups[0].update(lr=rate, weight_decay=decay, momentum=momentum)
        model.weights.grad = torch.tensor(gradient)
        optimizer.step()
    return model.weights.detach().numpy()


def formulas(spec: SGDW) -> np.ndarray:
    """Loshchilov and Hutter 2019, algorithm 1, with alpha outside of the buffer."""
    theta, buffer = START.astype("float64"), np.zeros(SHAPE)
    for update, gradient in enumerate(GRADIENTS.astype("float64")):
        rate, decay, momentum = values(update, spec.momentum)
        buffer = momentum * buffer + gradient
        direction = gradient + momentum * buffer if spec.nesterov else buffer
        theta = theta * (1 - rate * decay) - rate * direction
    return theta


@pytest.mark.parametrize("way", WAYS[BACKEND], ids=str)
@pytest.mark.parametrize(("momentum", "nesterov"), CASES)
def test_a_thousand_updates_are_those_of_lightning(momentum: float, nesterov: bool, way: dict[str, Any]) -> None:
    spec = SGDW(0.01, 0.3, momentum, nesterov)
    rows = [values(update, momentum) for update in range(UPDATES)]
    got, expected = updated(spec, START, GRADIENTS, rows, way), lightnings(spec)
    assert np.abs(expected - START).max() > 0.1
    if BACKEND == "torch":
        assert np.array_equal(got, expected)
    else:
        assert units(got, expected) <= 4
    # 1,000 updates, each of which rounds the weight twice.
    assert units(got, formulas(spec)) <= 100


def test_a_recipe_drives_learning_rate_weight_decay_and_momentum() -> None:
    spec = SGDW(0.125, 0.25, momentum=0.0)
    recipe = Recipe(spec, LinearDecay(over=updates(12), end=0.5), StepDecay(0.5, every=epochs(1)))
    followed(train(probe(build(spec)), HyperparameterScheduler(recipe), batches=4), recipe.plan(4, 3), 4)

    spec = SGDW(0.125, 0.25, momentum=0.8)
    recipe = Recipe(spec, momentum=LinearDecay(over=updates(12)))
    run = train(probe(build(spec)), HyperparameterScheduler(recipe), batches=4)
    assert run.used("momentum") == [float32(value) for value in recipe.plan(4, 3).values("momentum")]


def build(spec: SGDW) -> keras.optimizers.Optimizer:
    return build_optimizer(spec, keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)]))


def test_a_saved_model_goes_on_where_it_was(tmp_path: Any) -> None:
    spec = SGDW(0.125, 0.25, momentum=0.8, nesterov=True)
    model = probe(None)
    model.compile(build_optimizer(spec, model), "hinge")
    train(model, epochs=1)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.optimizer.spec == spec
    ours, theirs = ([ops.convert_to_numpy(v) for v in m.optimizer._buffers] for m in (model, again))
    assert all(map(np.array_equal, ours, theirs))
    assert np.any(ours[0])


def test_an_option_that_it_has_not_is_refused() -> None:
    with pytest.raises(TypeError, match=r"found the options \['capturable'\]"):
        build_optimizer(SGDW(0.5), keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)]), capturable=True)
