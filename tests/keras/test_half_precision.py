"""Weights in half precision that no policy keeps in float32: updated in float32, and rounded once per update."""

from __future__ import annotations

from typing import Any

import keras
import ml_dtypes
import numpy as np
import pytest
import torch
from keras import ops

from samestep import SGDW, AdamW, NAdamW
from samestep.core.specs.spec import Spec
from samestep.keras import build_optimizer
from samestep.lightning import build_optimizer as torchs_optimizer

from .tiny_training import probe

HALF: dict[str, Any] = {"bfloat16": ml_dtypes.bfloat16, "float16": np.float16}
SPECS = [
    SGDW(0.02, 0.1, 0.9, nesterov=True, l1_ratio=0.25),
    AdamW(0.01, 0.1, epsilon=1e-8, amsgrad=True),
    AdamW(0.01, 0.1, epsilon_mode="hat", global_clipnorm=1e-3),
    NAdamW(0.01, 0.1),
]
EACH_DTYPE = pytest.mark.parametrize("dtype", HALF)


def updates(spec: Spec, dtype: str, start: np.ndarray, gradients: np.ndarray, **options: Any) -> np.ndarray:
    optimizer = build_optimizer(spec, keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)]), **options)
    weights = keras.Variable(start, dtype=dtype)
    optimizer.build([weights])
    for gradient in gradients:
        optimizer.apply([ops.cast(ops.convert_to_tensor(gradient), dtype)], [weights])
    assert {str(each.dtype) for of_all in optimizer.moments().values() for each in of_all} <= {"float32"}
    return ops.convert_to_numpy(ops.cast(weights, "float32"))


def by_torch(spec: Spec, dtype: str, start: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """torch's update of float32 weights, which are rounded to `dtype` after each."""
    module = torch.nn.Linear(len(start), 1, bias=False)
    (weights,) = module.parameters()
    weights.data = torch.tensor(start)[None]
    optimizer = torchs_optimizer(spec, module)
    for gradient in gradients:
        weights.grad = torch.tensor(gradient)[None].to(getattr(torch, dtype)).float()
        optimizer.step()
        weights.data = weights.data.to(getattr(torch, dtype)).float()
    return weights.detach().numpy()[0]


@EACH_DTYPE
@pytest.mark.parametrize("spec", SPECS, ids=repr)
def test_they_are_torchs_updates_in_float32_rounded_once(spec: Spec, dtype: str) -> None:
    generator = np.random.default_rng(0)
    start = generator.uniform(0.5, 1, 64).astype(HALF[dtype]).astype("float32")  # one exponent: units of one size
    gradients = generator.standard_normal((20, 64)).astype("float32")
    got, expected = updates(spec, dtype, start, gradients), by_torch(spec, dtype, start, gradients)
    assert np.abs(expected - start).max() > 0.05
    if keras.backend.backend() == "torch":
        assert np.array_equal(got, expected)
        return
    # Another kernel rounds a float32 step otherwise by 1e-7 of it. Only a sum that is that close to a tie, which is one
    # of ten thousand, is then rounded to the other neighbour, and a later one brings it no further.
    assert np.abs(got - expected).max() <= float(ml_dtypes.finfo(HALF[dtype]).eps)
    assert np.mean(got == expected) > 0.9


@EACH_DTYPE
def test_hyperparameters_are_not_rounded(dtype: str) -> None:
    """Neither 0.01 nor 1 - 0.01 * 0.1 is a number of half precision, and a step of all weights shows both."""
    start = np.linspace(0.5, 1, 64).astype(HALF[dtype])
    got = updates(SGDW(0.01, 0.1), dtype, start.astype("float32"), np.ones((1, 64), "float32"))
    step = start.astype("float32") * np.float32(1 - 0.01 * 0.1) - np.float32(0.01)
    assert np.array_equal(got, step.astype(HALF[dtype]).astype("float32"))


@EACH_DTYPE
def test_gradients_are_accumulated_in_float32(dtype: str) -> None:
    """1 + 2**-12 is not a number of half precision."""
    gradients = np.array([[1.0], [2.0**-12]], "float32")
    optimizer_options = {"gradient_accumulation_steps": 2}
    got = updates(SGDW(2.0**-3, 0.0), dtype, np.zeros(1, "float32"), gradients, **optimizer_options)
    assert got[0] == np.float32(-(2.0**-4) * (1 + 2.0**-12)).astype(HALF[dtype]).astype("float32")
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, use_bias=False, dtype=dtype)])
    optimizer = build_optimizer(SGDW(2.0**-3), model, **optimizer_options)
    optimizer.build(model.trainable_variables)
    assert {str(each.dtype) for each in optimizer.variables if len(each.shape) == 2} == {"float32"}


@EACH_DTYPE
def test_an_average_of_the_weights_is_refused(dtype: str) -> None:
    model = probe(AdamW(0.1), policy=dtype, options={"use_ema": True})
    with pytest.raises(ValueError, match=rf"found use_ema=True and variables in {dtype}, [^\n]*\.$"):
        model.optimizer.build(model.trainable_variables)


@pytest.mark.parametrize("dtype", [*HALF, "float64"])
def test_variables_of_several_dtypes(dtype: str) -> None:
    """Each is updated in its own precision, or in float32."""
    if dtype == "float64" and keras.backend.backend() == "jax":
        dtype = "float32"  # there is no float64 unless jax is told so
    optimizer = build_optimizer(SGDW(0.1, 0.1), keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)]))
    weights = [keras.Variable([1.0], dtype=each) for each in ("float32", dtype)]
    optimizer.build(weights)
    optimizer.apply([ops.cast(ops.convert_to_tensor([0.5]), each.dtype) for each in weights], weights)
    for each in weights:
        name = "float32" if each.dtype in HALF else each.dtype
        number = np.dtype(name).type
        expected = number(1) * number(1 - 0.1 * 0.1) - number(0.1) * number(0.5)
        expected = expected.astype(HALF.get(each.dtype, name))
        assert ops.convert_to_numpy(ops.cast(each, "float64" if dtype == "float64" else "float32"))[0] == expected
