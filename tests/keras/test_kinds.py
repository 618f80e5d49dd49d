"""Every kind of optimizer, by Keras, against the float64 reference of its kind."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from samestep.keras import build_optimizer
from samestep.keras.optimizers import RECORDS
from samestep.parity.references import REFERENCES

from ..kinds import EVERY, KINDS, check_against_the_reference


class Two(keras.layers.Layer):
    """A kernel and a bias."""

    def build(self, shape: Any) -> None:
        self.kernel = self.add_weight(shape=(3, 4), name="kernel")
        self.bias = self.add_weight(shape=(4,), name="bias")

    def call(self, inputs: Any) -> Any:
        return ops.matmul(inputs, self.kernel) + self.bias


@pytest.mark.parametrize("name", EVERY)
def test_keras_makes_the_updates_of_the_reference(name: str) -> None:
    spec: Any = EVERY[name]

    def trained(starts: Any, gradients: Any) -> dict[str, np.ndarray]:
        model = keras.Sequential([keras.Input((3,)), Two()])
        for variable in model.trainable_variables:
            variable.assign(starts[variable.name])
        optimizer = build_optimizer(spec, model)
        optimizer.build(model.trainable_variables)
        for given in gradients:
            optimizer.apply([ops.convert_to_tensor(given[each.name]) for each in model.trainable_variables])
        return {each.name: np.array(ops.convert_to_numpy(each), "float64") for each in model.trainable_variables}

    check_against_the_reference(spec, trained, bound=1e-5)


def test_every_room_has_every_kind() -> None:
    assert set(RECORDS) == set(REFERENCES) == set(KINDS)


@pytest.mark.parametrize("name", EVERY)
def test_the_optimizer_keeps_the_moments_of_the_spec(name: str) -> None:
    spec = EVERY[name]
    model = keras.Sequential([keras.Input((3,)), Two()])
    optimizer = build_optimizer(spec, model)
    optimizer.build(model.trainable_variables)
    assert set(optimizer.moments()) == set(spec.moments)
