"""The same training in NumPy float64, written from the papers: every framework should come close to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..core.recipes.plan import Plan
from ..core.schedules.clock import Position
from ..core.specs.parameter_rules import Parameter, assign
from ..core.specs.records import record_of
from ..core.specs.spec import CLIP_EPSILON, HYPERPARAMETERS
from .problem import PROBE, UNITS, Problem, Weights, forward
from .references import REFERENCES
from .runs import Run

PARAMETERS = {
    "kernel_1": Parameter("hidden/kernel", (UNITS["inputs"], UNITS["hidden"]), "kernel"),
    "bias_1": Parameter("hidden/bias", (UNITS["hidden"],), "bias"),
    "kernel_2": Parameter("classes/kernel", (UNITS["hidden"], UNITS["classes"]), "kernel"),
    "bias_2": Parameter("classes/bias", (UNITS["classes"],), "bias"),
    PROBE: Parameter(PROBE, (), "bias"),
}
"""The parameters of the network as rules see them; each framework names the last part of a path its own way."""


def train(plan: Plan, problem: Problem) -> Run:
    """Train in float64."""
    spec: Any = plan.recipe.optimizer
    run = Run("float64 reference")
    inputs, classes = problem.train
    weights: Weights = {name: value.astype(np.float64) for name, value in problem.initial_weights().items()}
    optimizer = ReferenceOptimizer(spec, weights, PARAMETERS)
    for epoch in range(problem.epochs):
        for update in range(problem.updates_per_epoch):
            batch = slice(update * problem.batch_size, (update + 1) * problem.batch_size)
            loss, gradients = _loss_and_gradients(weights, inputs[batch], classes[batch])
            values = {name: plan.value(name, epoch, update) for name in HYPERPARAMETERS}
            optimizer.update(weights, gradients, *values.values())
            run.losses.append(loss)
            run.trace.record(Position(epoch, update), values)
        run.weights.append({name: value.copy() for name, value in weights.items()})
    return run


class ReferenceOptimizer:
    """The update of a spec as in the papers: clipping, weight decay, and the step of its kind.

    Args:
        spec: The spec.
        weights: The initial weights, in float64.
        parameters: Each weight's path, shape and role, for the rules.
    """

    def __init__(self, spec: Any, weights: Weights, parameters: Mapping[str, Parameter]) -> None:
        self._spec = spec
        self._reference = record_of(REFERENCES, spec, "parity").reference(spec, weights)
        # The frameworks have refused rules that match nothing; here a rule may use a framework's own names.
        rules = [replace(rule, optional=True) for rule in spec.parameters]
        assigned = assign(rules, spec.l1_ratio, [parameters[name] for name in weights])
        self._multipliers = {name: each.multipliers for name, each in zip(weights, assigned, strict=True)}

    def update(self, weights: Weights, gradients: Weights, rate: float, decay: float, momentum: float) -> None:
        """Make one update of `weights`, in place."""
        clipped = self._clipped(gradients)
        self._reference.begin_update(momentum)
        for name, gradient in clipped.items():
            given = self._multipliers[name]
            own = rate * given.learning_rate
            base = self._spec.learning_rate * given.learning_rate
            shrink = self._spec.shrink(own, decay * given.weight_decay, base)
            theta = weights[name]
            decayed = theta - shrink * ((1 - given.l1_ratio) * theta + given.l1_ratio * np.sign(theta))
            signed = -gradient if self._spec.maximize else gradient
            weights[name] = decayed - self._reference.step(name, signed, own, momentum)

    def _clipped(self, gradients: Weights) -> Weights:
        if self._spec.clip is None:
            return gradients
        kind, bound = self._spec.clip
        if kind == "clipvalue":
            return {name: np.clip(gradient, -bound, bound) for name, gradient in gradients.items()}
        norms = {name: float(np.linalg.norm(gradient)) for name, gradient in gradients.items()}
        if kind == "global_clipnorm":
            norms = dict.fromkeys(norms, float(np.linalg.norm(list(norms.values()))))
        return {name: gradient * min(1.0, bound / (norms[name] + CLIP_EPSILON)) for name, gradient in gradients.items()}


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
