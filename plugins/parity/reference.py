"""The same training in NumPy float64, written from the paper: what every framework should come close to."""

from __future__ import annotations

import numpy as np

from ..core.durations import Position
from ..core.optimizers import HYPERPARAMETERS, SGDW, AdamW
from ..core.plan import Plan
from .problem import Problem, Weights, forward
from .runs import Run


def train(plan: Plan, problem: Problem) -> Run:
    """Train in float64 as Loshchilov and Hutter 2019 (algorithms 1 and 2) have it, in torch's conventions."""
    spec = plan.recipe.optimizer
    run = Run("float64 reference")
    inputs, classes = problem.train
    weights: Weights = {name: value.astype(np.float64) for name, value in problem.initial_weights().items()}
    first = {name: np.zeros_like(value) for name, value in weights.items()}
    second = {name: np.zeros_like(value) for name, value in weights.items()}
    t = 0
    for epoch in range(problem.epochs):
        for update in range(problem.updates_per_epoch):
            batch = slice(update * problem.batch_size, (update + 1) * problem.batch_size)
            loss, gradients = _loss_and_gradients(weights, inputs[batch], classes[batch])
            t += 1
            values = {name: plan.value(name, epoch, update) for name in HYPERPARAMETERS}
            rate, decay, momentum = values.values()
            for name, gradient in gradients.items():
                if isinstance(spec, SGDW):
                    first[name] = momentum * first[name] + gradient
                    direction = gradient + momentum * first[name] if spec.nesterov else first[name]
                elif isinstance(spec, AdamW):
                    beta_2 = spec.betas[1]
                    first[name] = momentum * first[name] + (1 - momentum) * gradient
                    second[name] = beta_2 * second[name] + (1 - beta_2) * gradient**2
                    unbiased_first, unbiased_second = first[name] / (1 - momentum**t), second[name] / (1 - beta_2**t)
                    direction = unbiased_first / (np.sqrt(unbiased_second) + spec.epsilon)
                else:
                    raise TypeError(f"found {spec!r}; the reference knows AdamW and SGDW.")
                weights[name] = weights[name] - rate * (direction + decay * weights[name])
            run.losses.append(loss)
            run.trace.record(Position(epoch, update), values)
        run.weights.append({name: value.copy() for name, value in weights.items()})
    return run


def _loss_and_gradients(weights: Weights, inputs: np.ndarray, classes: np.ndarray) -> tuple[float, Weights]:
    hidden, logits = forward(weights, inputs)
    shifted = logits - logits.max(axis=1, keepdims=True)
    probabilities = np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True)
    rows = np.arange(len(classes))
    loss = float(-np.log(probabilities[rows, classes]).mean())
    at_logits = probabilities.copy()
    at_logits[rows, classes] -= 1.0
    at_logits /= len(classes)
    at_hidden = (at_logits @ weights["kernel_2"].T) * (hidden > 0)
    return loss, {
        "kernel_1": inputs.astype(np.float64).T @ at_hidden,
        "bias_1": at_hidden.sum(axis=0),
        "kernel_2": hidden.T @ at_logits,
        "bias_2": at_logits.sum(axis=0),
        "probe": np.zeros(()),
    }
