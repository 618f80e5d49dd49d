"""Between folds: `reset()` makes an optimizer a new one, and to zero its variables does no harm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from samestep import SGDW, AdamW, NAdamW, ParameterRule, Recipe, StepDecay, epochs
from samestep.core.recipes.float32 import float32
from samestep.core.specs.spec import Spec
from samestep.keras import HyperparameterScheduler, TraceRecorder, build_optimizer

RULES = [ParameterRule(role="bias", weight_decay=0)]
SPECS = [SGDW(0.125, 0.1, 0.9), AdamW(0.01, 0.1, amsgrad=True, parameters=RULES), NAdamW(0.01, 0.1)]
X = np.random.default_rng(0).standard_normal((8, 3)).astype("float32")
Y = X.sum(axis=1, keepdims=True)
FIT: dict[str, Any] = {"x": X, "y": Y, "batch_size": 2, "shuffle": False, "verbose": 0}


def by_assignment(model: keras.Model) -> None:
    for variable in model.optimizer.variables:
        variable.assign(np.zeros(variable.shape))


def by_set_weights(model: keras.Model) -> None:
    model.optimizer.set_weights([np.zeros(variable.shape, "float32") for variable in model.optimizer.variables])


def by_state_tree(model: keras.Model) -> None:
    tree = model.get_state_tree(value_format="numpy_array")["optimizer_variables"]
    model.set_state_tree({"optimizer_variables": keras.tree.map_structure(np.zeros_like, tree)})


def by_reset(model: keras.Model) -> None:
    model.optimizer.reset()


WAYS: list[Callable[[keras.Model], None]] = [by_assignment, by_set_weights, by_state_tree, by_reset]


def made(spec: Spec, policy: str = "float32") -> keras.Model:
    layers = [keras.layers.Dense(4, activation="tanh", dtype=policy), keras.layers.Dense(1, dtype=policy)]
    model = keras.Sequential([keras.Input((3,)), *layers])
    model.dtype_policy = keras.dtype_policies.get(policy)
    model.compile(build_optimizer(spec, model), loss="mse")
    return model


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: type(spec).__name__)
def test_afterwards_it_trains_as_a_new_one(spec: Spec) -> None:
    """Without a callback, whose start would write the table anew."""
    model = made(spec)
    start = model.get_weights()

    def trained() -> list[np.ndarray]:
        model.set_weights(start)
        model.fit(**FIT, epochs=2)
        found: list[np.ndarray] = model.get_weights()
        return found

    expected = trained()
    assert not any(map(np.array_equal, expected, start))
    for way in WAYS:
        before = model.get_weights()
        way(model)
        assert int(model.optimizer.iterations) == 0
        assert all(map(np.array_equal, model.get_weights(), before))
        assert all(map(np.array_equal, trained(), expected)), way
    assert not all(map(np.array_equal, trained(), expected))  # the moments of the fit before


class Acts(keras.callbacks.Callback):
    """Acts when the second epoch begins."""

    def __init__(self, way: Callable[[keras.Model], None]) -> None:
        super().__init__()
        self.way = way

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if epoch == 1:
            self.way(self.model)


def test_in_an_epoch_the_schedule_goes_on() -> None:
    recipe = Recipe(SGDW(0.125, 0.1, 0.9), learning_rate=StepDecay(0.5, every=epochs(1)))
    for order in (1, -1):
        model, recorder = made(recipe.optimizer), TraceRecorder()  # type: ignore[arg-type]
        callbacks = [Acts(by_reset), HyperparameterScheduler(recipe, verify=True)][::order]
        model.fit(**FIT, epochs=3, callbacks=[*callbacks, recorder])
        rates = [0.125] * 4 + [0.0625] * 4 + [0.03125] * 4
        assert [float32(rate) for rate in recorder.trace.column("learning_rate")] == rates
        assert int(model.optimizer.iterations) == 8


def test_a_count_set_to_zero_within_an_epoch_is_noticed_at_its_end() -> None:
    recipe = Recipe(SGDW(0.125, 0.1, 0.9), learning_rate=StepDecay(0.5, every=epochs(1)))
    model = made(recipe.optimizer)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"found 0 updates|found -?\d+ updates in epoch 1 by the count [^\n]*\.$"):
        model.fit(**FIT, epochs=3, callbacks=[HyperparameterScheduler(recipe, verify=True), Acts(by_assignment)])


def test_a_moment_or_the_spec_is_not_another_after_a_reset() -> None:
    model = made(SPECS[1])
    model.fit(**FIT)
    model.optimizer.reset()
    moments = [each for of_all in model.optimizer.moments().values() for each in of_all]
    assert len(moments) == 3 * 4
    assert not any(np.any(ops.convert_to_numpy(each)) for each in moments)
    assert model.optimizer.spec == SPECS[1]
    assert float32(float(model.optimizer.learning_rate)) == float32(0.01)
    model.optimizer.set_product(0.5)  # only NAdamW has one


def test_loss_scaling_is_that_of_a_new_optimizer() -> None:
    model = made(AdamW(0.01, 0.1), "mixed_float16")
    model.optimizer.initial_scale = 1024.0
    model.fit(**FIT)
    scaled = model.optimizer
    scaled.dynamic_scale.assign(2.0)
    scaled.reset()
    assert (float(scaled.dynamic_scale), int(scaled.step_counter), int(scaled.iterations)) == (1024.0, 0, 0)
    by_assignment(model)
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"^TraceRecorder: found a loss scale of 0[^\n]*optimizer.reset\(\)[^\n]*\.$"):
        model.fit(**FIT, callbacks=[TraceRecorder()])
    assert all(map(np.array_equal, model.get_weights(), before))
