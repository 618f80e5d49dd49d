"""The problem every framework trains: a small network on scikit-learn's digits, same weights, same batches."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Weights = dict[str, NDArray[np.floating]]

UNITS = {"inputs": 64, "hidden": 128, "classes": 10}
TRAINED = ("kernel_1", "bias_1", "kernel_2", "bias_2")
PROBE = "probe"


@dataclass(frozen=True)
class Problem:
    """The training problem.

    The network has 64 inputs, 128 hidden units with relu, 10 classes, and a `probe`: a scalar weight of 1 that is
    multiplied by zero. Its gradient is zero, so only the weight decay changes it.

    Args:
        epochs: The number of epochs to train.
        batch_size: The number of examples in a batch; examples that do not fill the last batch are left out.
        seed: Seed of the initial weights and of the order of the examples.
    """

    epochs: int = 10
    batch_size: int = 32
    seed: int = 0

    @property
    def updates_per_epoch(self) -> int:
        """The number of batches in an epoch."""
        return len(self.train[0]) // self.batch_size

    @cached_property
    def _split(self) -> tuple[NDArray[np.float32], NDArray[np.int64], int]:
        from sklearn.datasets import load_digits

        inputs, classes = load_digits(return_X_y=True)
        order = np.random.default_rng(self.seed).permutation(len(inputs))
        count = int(0.8 * len(inputs)) // self.batch_size * self.batch_size
        if count == 0:
            raise ValueError(
                f"batch_size: found {self.batch_size}; expected at most {int(0.8 * len(inputs))}, the number of "
                f"training examples."
            )
        return (inputs[order] / 16.0).astype(np.float32), classes[order].astype(np.int64), count

    @property
    def train(self) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Inputs of shape (examples, 64), in [0, 1], and classes of shape (examples,), in the order of training."""
        inputs, classes, count = self._split
        return inputs[:count], classes[:count]

    @property
    def test(self) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The examples held out from training."""
        inputs, classes, count = self._split
        return inputs[count:], classes[count:]

    def initial_weights(self) -> Weights:
        """Kernels of shape (inputs, outputs), uniform after Glorot and Bengio 2010; biases zero; the probe one."""
        generator = np.random.default_rng(self.seed + 1)

        def kernel(rows: int, columns: int) -> NDArray[np.float32]:
            limit = np.sqrt(6.0 / (rows + columns))
            return generator.uniform(-limit, limit, (rows, columns)).astype(np.float32)

        return {
            "kernel_1": kernel(UNITS["inputs"], UNITS["hidden"]),
            "bias_1": np.zeros(UNITS["hidden"], np.float32),
            "kernel_2": kernel(UNITS["hidden"], UNITS["classes"]),
            "bias_2": np.zeros(UNITS["classes"], np.float32),
            PROBE: np.ones((), np.float32),
        }


def forward(weights: Weights, inputs: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Hidden activations and logits, in float64."""
    w = {name: value.astype(np.float64) for name, value in weights.items()}
    hidden = np.maximum(inputs.astype(np.float64) @ w["kernel_1"] + w["bias_1"], 0.0)
    return hidden, hidden @ w["kernel_2"] + w["bias_2"]


def loss_and_accuracy(weights: Weights, data: tuple[NDArray[np.float32], NDArray[np.int64]]) -> tuple[float, float]:
    """Mean cross-entropy and the fraction of examples classified correctly, in float64."""
    inputs, classes = data
    _, logits = forward(weights, inputs)
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    loss = -log_probabilities[np.arange(len(classes)), classes].mean()
    return float(loss), float((logits.argmax(axis=1) == classes).mean())
