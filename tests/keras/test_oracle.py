"""Every optimizer with every option against the papers' formulas in float64, and against the one in Lightning."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest
import torch
from keras import ops

import samestep.lightning
from samestep.core.specs.spec import HYPERPARAMETERS, Spec
from samestep.keras import build_optimizer

from ..oracles import Workload
from .tiny_training import units

BACKEND = keras.backend.backend()
# How the update is compiled; on the torch backend which of torch's kernels makes it.
WAYS: dict[str, list[dict[str, Any]]] = {
    "tensorflow": [{"jit_compile": True}, {"jit_compile": False}],
    "jax": [{}],
    "torch": [{}, {"foreach": True}, {"foreach": False}],
}


class Weights(keras.Model):
    """Two weights, `k` and `b`."""

    def __init__(self, starts: Any) -> None:
        super().__init__()
        self.k, self.b = (self.add_weight(shape=start.shape, name=n) for n, start in zip("kb", starts, strict=True))
        self.built = True
        self.set_weights(list(starts))

    def values(self) -> list[np.ndarray]:
        return [ops.convert_to_numpy(weight) for weight in (self.k, self.b)]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Tensors this small are not worth torch's threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def options(way: dict[str, Any]) -> dict[str, Any]:
    return way if BACKEND == "torch" else {}


def in_keras(spec: Any, workload: Workload, way: dict[str, Any]) -> list[np.ndarray]:
    model = Weights(workload.starts)
    optimizer: Any = build_optimizer(spec, model, **options(way))
    optimizer.build(model.trainable_variables)
    optimizer.table.reserve(len(workload.gradients))
    columns = dict(zip(HYPERPARAMETERS, zip(*workload.rows(spec), strict=True), strict=True))
    optimizer.table.begin_epoch(
        {
            name: lambda bases, name=name: [
                [base * (value / getattr(spec, name)) for value in columns[name]] for base in bases
            ]
            for name in HYPERPARAMETERS
            if getattr(spec, name)
        }
    )
    if BACKEND == "jax":
        import jax

        step = jax.jit(lambda theta, state, gradients: optimizer.stateless_apply(state, gradients, theta))
        theta, state = [w.value for w in model.trainable_variables], [v.value for v in optimizer.variables]
        for gradients in workload.gradients:
            theta, state = step(theta, state, list(gradients))
        return list(map(np.asarray, theta))

    def apply(*gradients: Any) -> None:
        optimizer.apply(list(gradients), model.trainable_variables)

    if BACKEND == "tensorflow":
        import tensorflow as tf

        apply = tf.function(apply, **way)
    for gradients in workload.gradients:
        apply(*map(ops.convert_to_tensor, gradients))
    return model.values()


def in_lightning(spec: Any, workload: Workload, way: dict[str, Any]) -> list[np.ndarray]:
    module = torch.nn.Module()
    module.k, module.b = (torch.nn.Parameter(torch.tensor(start)) for start in workload.starts)
    optimizer: Any = samestep.lightning.build_optimizer(spec, module, **options(way))
    for (rate, decay, momentum), gradients in zip(workload.rows(spec), workload.gradients, strict=True):
        for group, given in zip(optimizer.param_groups, optimizer.multipliers, strict=True):
            group["lr"] = spec.learning_rate * given.learning_rate * (rate / spec.learning_rate)
            group["weight_decay"] = spec.weight_decay * given.weight_decay * (decay / spec.weight_decay)
            group.update({"betas": (momentum, group["betas"][1])} if "betas" in group else {"momentum": momentum})
        for weight, gradient in zip((module.k, module.b), gradients, strict=True):
            weight.grad = torch.tensor(gradient)
        optimizer.step()
    return [weight.detach().numpy() for weight in (module.k, module.b)]


@pytest.mark.parametrize("way", WAYS[BACKEND], ids=str)
def test_it_is_the_formula_but_for_rounding(every_spec: Spec, workload: Workload, way: dict[str, Any]) -> None:
    some = workload.first(300)
    for ours, expected, start in zip(
        in_keras(every_spec, some, way), some.expected(every_spec), some.starts, strict=True
    ):
        assert units(start, expected) > 10_000
        # Each of 300 updates rounds a weight up to three times, by half a unit at most; where it takes off the same
        # small number again and again (L1), always the same way.
        assert units(ours, expected) <= 450


@pytest.mark.parametrize("way", WAYS[BACKEND], ids=str)
def test_a_thousand_updates_are_those_of_lightning(every_spec: Spec, workload: Workload, way: dict[str, Any]) -> None:
    for ours, theirs in zip(in_keras(every_spec, workload, way), in_lightning(every_spec, workload, way), strict=True):
        if BACKEND == "torch":
            assert np.array_equal(ours, theirs)
        else:
            # The same formula by another kernel; see test_numerics.
            assert units(ours, theirs) <= 16
