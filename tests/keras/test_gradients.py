"""Gradients of other forms than dense ones in the weights' dtype: as with Keras' own optimizers."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from samestep import SGDW, AdamW, NAdamW
from samestep.core.specs.spec import Spec
from samestep.keras import build_optimizer

from .versions import x64

BACKEND = keras.backend.backend()
START = np.ones((4, 2), "float32")
DENSE = np.zeros((4, 2), "float32")
DENSE[1], DENSE[3] = (0.5, 0.25), (-0.5, 1.0)
SPECS = [SGDW(0.125, 0.1, 0.9, clipnorm=0.5), AdamW(0.01, 0.1, clipvalue=0.25), NAdamW(0.01, 0.1)]
OPTIONS: list[dict[str, Any]] = [{}, {"gradient_accumulation_steps": 2}, {"loss_scale_factor": 2.0}]


def sparse() -> Any:
    """What the backend gives for the rows of an embedding."""
    rows, values = np.array([1, 3]), DENSE[[1, 3]]
    if BACKEND == "tensorflow":
        import tensorflow as tf

        # A row twice, as of an embedding that looks it up twice.
        return tf.IndexedSlices(tf.constant(DENSE[[1, 3, 3]] * [[1], [0.5], [0.5]]), tf.constant([1, 3, 3]), (4, 2))
    if BACKEND == "jax":
        from jax.experimental import sparse as jax_sparse

        return jax_sparse.BCOO((values, rows[:, None]), shape=(4, 2))
    import torch

    return torch.sparse_coo_tensor(torch.tensor(rows)[None], torch.tensor(values), (4, 2))


def float64() -> Any:
    """jax has it only where it is told to."""
    return DENSE.astype("float64") if BACKEND == "jax" else ops.convert_to_tensor(DENSE.astype("float64"))


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "".join(options) or "plain")
@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: type(spec).__name__)
def test_the_updates_are_those_of_dense_gradients(spec: Spec, options: dict[str, Any]) -> None:
    found = []
    for gradient in (lambda: ops.convert_to_tensor(np.copy(DENSE)), sparse, float64):
        optimizer = build_optimizer(spec, keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)]), **options)
        weights = keras.Variable(np.copy(START))
        optimizer.build([weights])
        for _ in range(2):
            optimizer.apply([gradient()], [weights])
        found.append(ops.convert_to_numpy(weights))
    dense, *others = found
    assert not np.any(dense == START)
    assert all(np.array_equal(dense, other) for other in others)


@pytest.mark.parametrize("clip", ["clipnorm", "global_clipnorm"])
def test_weights_in_float64_are_clipped_in_float64(clip: str) -> None:
    with x64(True):
        optimizer = build_optimizer(SGDW(1.0, 0.0, **{clip: 0.5}), keras.Sequential([keras.layers.Dense(1)]))
        weights = keras.Variable(START.astype("float64"), dtype="float64")
        optimizer.build([weights])
        optimizer.apply([ops.convert_to_tensor(DENSE.astype("float64"))], [weights])
        expected = START - DENSE.astype("float64") * 0.5 / (np.sqrt(np.square(DENSE.astype("float64")).sum()) + 1e-6)
        assert np.abs(ops.convert_to_numpy(weights) - expected).max() < 1e-14
