"""A head that the loss does not use decays on jax alone, which says so."""

from __future__ import annotations

import warnings
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from samestep import SGDW, AdamW, NAdamW, ParameterRule, Recipe
from samestep.core.specs.spec import Spec
from samestep.keras import HyperparameterScheduler, build_optimizer

JAX = keras.backend.backend() == "jax"
SPECS = [SGDW(0.125, 0.1, 0.9), AdamW(0.01, 0.1), NAdamW(0.01, 0.1)]
NO_DECAY = [ParameterRule(path="unused/*", weight_decay=0)]


def fit(spec: Spec, *, frozen: bool = False) -> tuple[bool, list[str]]:
    """Whether the unused kernel decayed, and the warnings of samestep."""
    inputs = keras.Input((3,))
    heads = [keras.layers.Dense(1, name=name)(inputs) for name in ("used", "unused")]
    model = keras.Model(inputs, heads)
    unused = model.get_layer("unused")
    unused.trainable = not frozen
    before = np.copy(ops.convert_to_numpy(unused.kernel))
    model.compile(build_optimizer(spec, model), loss=["mse", None])
    x = np.ones((4, 3), "float32")
    arguments: dict[str, Any] = {"batch_size": 2, "epochs": 2, "verbose": 0}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(x, [x[:, :1], x[:, :1]], **arguments, callbacks=[HyperparameterScheduler(Recipe(spec))])
    ours = [str(each.message) for each in caught if "HyperparameterScheduler" in str(each.message)]
    return not np.array_equal(ops.convert_to_numpy(unused.kernel), before), ours


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: type(spec).__name__)
def test_the_backend_that_decays_it_warns_once(spec: Spec) -> None:
    decayed, messages = fit(spec)
    assert decayed == JAX
    assert len(messages) == JAX
    if JAX:
        (message,) = messages
        assert message.startswith(
            "HyperparameterScheduler: found weight decay of 'unused/kernel', which got no gradient"
        )
        assert message.endswith("; freeze it, or write ParameterRule(path=..., weight_decay=0).")


def test_each_remedy_ends_it() -> None:
    assert fit(AdamW(0.01, 0.1), frozen=True) == (False, [])
    assert fit(AdamW(0.01, 0.1, parameters=NO_DECAY)) == (False, [])
    assert fit(AdamW(0.01, 0.0)) == (False, [])
