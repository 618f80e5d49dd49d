"""The update of AdamW on given gradients, against torch's, and against the paper's formula in float64."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import pytest
import torch
from keras import ops

from samestep import AdamW
from samestep.keras import build_optimizer

from .tiny_training import units, updated

BACKEND = keras.backend.backend()
SCALES = np.array([1.0, 1e-3, 1e-6, 1e-8], "float32")
UPDATES = 1000
SHAPE = (len(SCALES), 16, 8)
SPEC = AdamW(1e-3, 0.1)
# How the update is compiled; on the torch backend which of torch's kernels makes it.
WAYS: dict[str, list[dict[str, Any]]] = {
    "tensorflow": [{"jit_compile": True}, {"jit_compile": False}],
    "jax": [{}],
    "torch": [{}, {"foreach": True}, {"fused": True}],
}

Hyperparameters = tuple[float, float, float]
Values = Callable[[int], Hyperparameters]  # learning rate, weight decay and momentum of an update


@pytest.fixture(scope="module")
def start() -> np.ndarray:
    """Weights: a matrix for each scale of the gradients."""
    return np.random.default_rng(0).standard_normal(SHAPE).astype("float32")


@pytest.fixture(scope="module")
def gradients() -> np.ndarray:
    """By update, the gradient of each weight."""
    gradients = np.random.default_rng(1).standard_normal((UPDATES, *SHAPE)).astype("float32")
    return gradients * SCALES[:, None, None]


@pytest.fixture(name="ours")
def _ours() -> Callable[..., np.ndarray]:
    def ours(start: np.ndarray, gradients: np.ndarray, values: Values, way: dict[str, Any]) -> np.ndarray:
        return updated(SPEC, start, gradients, map(values, range(len(gradients))), way)

    return ours


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Tensors this small are not worth torch's threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def constant(_: int) -> Hyperparameters:
    return SPEC.learning_rate, SPEC.weight_decay, SPEC.momentum


def changing(update: int) -> Hyperparameters:
    """Another learning rate and weight decay at each update; the learning rate is 0 at each tenth, the first too."""
    return (0.0 if update % 10 == 0 else 2e-3 / (1 + update % 37)), 0.3 / (1 + update % 13), SPEC.momentum


def cycling(update: int) -> Hyperparameters:
    """The momentum falls from 0.95 to 0.85 and rises again, while the learning rate does the opposite; both at once."""
    height = 1 - abs(update % 100 - 50) / 50
    return 1e-4 + 9e-4 * height, SPEC.weight_decay, 0.95 - 0.1 * height


def dropping(update: int) -> Hyperparameters:
    """The momentum is none at each third update, the first too."""
    return SPEC.learning_rate, SPEC.weight_decay, 0.9 if update % 3 else 0.0


def pausing(update: int) -> Hyperparameters:
    return (0.0, 0.1, 0.9) if update < 5 else (1e-3, 0.1, 0.9)


def powers_of_two(_: int) -> Hyperparameters:
    """1 - learning_rate * weight_decay has no more digits than a float32: it is not rounded."""
    return 2.0**-10, 2.0**-3, SPEC.momentum


def torchs(start: np.ndarray, gradients: np.ndarray, values: Values, **kernel: Any) -> np.ndarray:
    """The same updates by torch.optim.AdamW."""
    weights = torch.nn.Parameter(torch.tensor(start))
    optimizer = torch.optim.AdamW([weights], betas=SPEC.betas, eps=SPEC.epsilon, **kernel)
    for update, gradient in enumerate(gradients):
        rate, decay, momentum = values(update)
        optimizer.param_groups[0].update(lr=rate, weight_decay=decay, betas=(momentum, SPEC.betas[1]))
        weights.grad = torch.tensor(gradient)
        optimizer.step()
    return weights.detach().numpy()


def papers(start: np.ndarray, gradients: np.ndarray, values: Values) -> np.ndarray:
    """Loshchilov and Hutter 2019, algorithm 2, in float64; alpha multiplies the weight decay, as in torch."""
    beta_2 = SPEC.betas[1]
    theta, m, v = start.astype("float64"), np.zeros(SHAPE), np.zeros(SHAPE)
    for t, gradient in enumerate(gradients.astype("float64"), start=1):
        alpha, decay, beta_1 = values(t - 1)
        m = beta_1 * m + (1 - beta_1) * gradient
        v = beta_2 * v + (1 - beta_2) * gradient**2
        m_hat, v_hat = m / (1 - beta_1**t), v / (1 - beta_2**t)
        theta = theta - alpha * (m_hat / (np.sqrt(v_hat) + SPEC.epsilon) + decay * theta)
    return theta


@pytest.mark.parametrize("way", WAYS[BACKEND], ids=str)
@pytest.mark.parametrize("values", [constant, changing, cycling, dropping])
def test_a_thousand_updates_are_those_of_torch(
    values: Values, way: dict[str, Any], start: np.ndarray, gradients: np.ndarray, ours: Any
) -> None:
    got = ours(start, gradients, values, way)
    expected = torchs(start, gradients, values, **((way or {"fused": True}) if BACKEND == "torch" else {}))
    assert np.abs(expected - start).max(axis=(1, 2)).min() > 0.01  # at each scale the weights have moved
    if BACKEND == "torch":
        assert np.array_equal(got, expected)
    else:
        # The same formula by another kernel, which may round a step otherwise, by 1e-7 of it: that is less than a
        # thousandth of a unit of the weight. Of 1,000 sums only those turn out otherwise, by a unit each, that lie as
        # close to a tie: one or two, whatever the processor. A contracted decay is off by 40, a wrong formula by
        # hundreds.
        assert max(map(units, got, expected)) <= 16


@pytest.mark.parametrize("way", WAYS[BACKEND], ids=str)
def test_a_learning_rate_of_zero_leaves_the_weights_alone_and_moves_the_moments(
    way: dict[str, Any], start: np.ndarray, gradients: np.ndarray, ours: Any
) -> None:
    assert np.array_equal(ours(start, gradients[:5], pausing, way), start)
    resumed, expected = ours(start, gradients[:8], pausing, way), torchs(start, gradients[:8], pausing)
    assert units(resumed, expected) <= 3 * 2  # three updates, each rounded twice by half a unit at most, on both sides


@pytest.mark.parametrize("way", WAYS[BACKEND], ids=str)
def test_the_update_is_that_of_the_paper(
    way: dict[str, Any], start: np.ndarray, gradients: np.ndarray, ours: Any
) -> None:
    got = ours(start, gradients[:100], powers_of_two, way)
    expected = papers(start, gradients[:100], powers_of_two)
    # In each of 100 updates the weight is rounded twice, by half a unit at most. A wrong formula is off by 1e-3 of the
    # way, which is hundreds of units.
    assert max(map(units, got, expected)) <= 100


def test_the_gradient_of_an_embedding_is_a_dense_one() -> None:
    """Rows that no batch has looked up decay too, and keep moving once they have: torch.nn.Embedding is the same."""
    ids = np.array([[1, 1, 3], [0, 3, 3], [1, 4, 1], [5, 5, 5]])
    table = np.random.default_rng(2).standard_normal((7, 2)).astype("float32")
    spec = AdamW(0.01, 0.5)
    layer = keras.layers.Embedding(7, 2)
    model = keras.Sequential([keras.Input((3,), dtype="int32"), layer])
    layer.set_weights([table])
    model.compile(optimizer=build_optimizer(spec, model), loss=lambda _, y: ops.mean(y * y, axis=(1, 2)))
    model.fit(ids, np.zeros(len(ids)), batch_size=1, epochs=5, shuffle=False, verbose=0)

    theirs = torch.nn.Embedding(7, 2, _weight=torch.tensor(table))
    optimizer = torch.optim.AdamW(theirs.parameters(), lr=0.01, weight_decay=0.5, betas=spec.betas, eps=spec.epsilon)
    for row in [*ids] * 5:
        optimizer.zero_grad()
        theirs(torch.tensor(row)).square().mean().backward()
        optimizer.step()
    got, expected = ops.convert_to_numpy(layer.embeddings), theirs.weight.detach().numpy()
    assert np.array_equal(np.any(got != table, axis=1), [True] * 7)
    assert units(got, expected) <= 20 * 2  # 20 updates, each rounded twice by half a unit at most, on both sides
