"""The optimizers of the papers, in NumPy float64: what every framework's updates are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from samestep import SGDW, AdamW, NAdamW, ParameterRule
from samestep.core.specs.spec import Spec


def weights_by_the_papers(
    spec: Any,
    starts: Sequence[np.ndarray],
    gradients: Sequence[Sequence[np.ndarray]],
    rows: Sequence[Sequence[float]],
    multipliers: Sequence[tuple[float, float, float]] | None = None,
) -> list[np.ndarray]:
    """The weights after the updates of a spec, whose fields alone are used.

    Args:
        spec: Any of the optimizers.
        starts: The weights before the first update.
        gradients: For each update, one gradient per weight.
        rows: For each update, learning rate, weight decay and momentum.
        multipliers: For each weight, the multipliers of learning rate and weight decay, and the L1 share.

    Loshchilov and Hutter 2019, algorithms 1 (SGDW) and 2 (AdamW), whose alpha multiplies the weight decay where the
    basis says so; Dozat 2016 (Nadam); Reddi et al. 2018 (AMSGrad); Sutskever et al. 2013 (Nesterov's momentum);
    Kingma and Ba 2015, section 2, for epsilon hat; Pascanu et al. 2013 for clipping by the norm.
    """
    kind = type(spec).__name__
    thetas = [np.asarray(start, "float64") for start in starts]
    first = [np.zeros_like(theta) for theta in thetas]
    second = [np.zeros_like(theta) for theta in thetas]
    largest = [np.zeros_like(theta) for theta in thetas]
    product = 1.0
    for t, (given, (alpha, decay, beta_1)) in enumerate(zip(gradients, rows, strict=True), start=1):
        every = _clipped(spec, [np.asarray(gradient, "float64") for gradient in given])
        mu = following = 0.0
        if kind == "NAdamW":
            mu, following = (beta_1 * (1 - 0.5 * 0.96 ** (n * spec.momentum_decay)) for n in (t, t + 1))
            product *= mu
        for i, gradient in enumerate(every):
            of_rate, of_decay, l1 = (1.0, 1.0, spec.l1_ratio) if multipliers is None else multipliers[i]
            g = -gradient if spec.maximize else gradient
            rate = alpha * of_rate
            basis = {"learning_rate": rate, "schedule": alpha / spec.learning_rate, "update": 1.0}
            shrink = basis[spec.weight_decay_basis] * decay * of_decay
            decayed = thetas[i] - shrink * ((1 - l1) * thetas[i] + l1 * np.sign(thetas[i]))
            if kind == "SGDW":
                inside = spec.momentum_mode == "keras"
                first[i] = beta_1 * first[i] + (rate * g if inside else g)
                direction = first[i]
                if spec.nesterov:
                    direction = (rate * g if inside else g) + beta_1 * first[i]
                thetas[i] = decayed - (direction if inside else rate * direction)
                continue
            beta_2 = spec.betas[1]
            first[i] = beta_1 * first[i] + (1 - beta_1) * g
            second[i] = beta_2 * second[i] + (1 - beta_2) * g**2
            if kind == "NAdamW":
                v_hat = second[i] / (1 - beta_2**t)
                m_bar = following * first[i] / (1 - product * following) + (1 - mu) * g / (1 - product)
                thetas[i] = decayed - rate * m_bar / (np.sqrt(v_hat) + spec.epsilon)
                continue
            largest[i] = np.maximum(largest[i], second[i])
            v = largest[i] if spec.amsgrad else second[i]
            if spec.epsilon_mode == "hat":
                alpha_t = rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
                thetas[i] = decayed - alpha_t * first[i] / (np.sqrt(v) + spec.epsilon)
            else:
                m_hat, v_hat = first[i] / (1 - beta_1**t), v / (1 - beta_2**t)
                thetas[i] = decayed - rate * m_hat / (np.sqrt(v_hat) + spec.epsilon)
    return thetas


def _clipped(spec: Any, gradients: list[np.ndarray]) -> list[np.ndarray]:
    if spec.clipvalue is not None:
        return [np.clip(gradient, -spec.clipvalue, spec.clipvalue) for gradient in gradients]
    norms = [float(np.sqrt((gradient**2).sum())) for gradient in gradients]
    if spec.clipnorm is not None:
        return [g * min(1.0, spec.clipnorm / (norm + 1e-6)) for g, norm in zip(gradients, norms, strict=True)]
    if spec.global_clipnorm is not None:
        factor = min(1.0, spec.global_clipnorm / (float(np.sqrt(sum(norm**2 for norm in norms))) + 1e-6))
        return [gradient * factor for gradient in gradients]
    return gradients


RULES = [ParameterRule(role="bias", weight_decay=0.5, learning_rate=2), ParameterRule(path="**/k", l1_ratio=0.25)]
SCHEDULE: dict[str, Any] = {"weight_decay_basis": "schedule"}
UPDATE: dict[str, Any] = {"weight_decay_basis": "update"}
# Learning rates and decays are powers of two, so that 1 - learning_rate * weight_decay is a float32.
SPECS: dict[str, Spec] = {
    "adamw": AdamW(2**-10, 2**-3),
    "adamw amsgrad": AdamW(2**-10, 2**-3, amsgrad=True),
    "adamw hat": AdamW(2**-10, 2**-3, epsilon=1e-7, epsilon_mode="hat"),
    "adamw hat amsgrad": AdamW(2**-10, 2**-3, amsgrad=True, epsilon_mode="hat"),
    "adamw schedule": AdamW(2**-10, 2**-10, **SCHEDULE),
    "adamw update": AdamW(2**-10, 2**-10, **UPDATE),
    "adamw l1": AdamW(2**-10, 2**-3, l1_ratio=0.5),
    "adamw maximize": AdamW(2**-10, 2**-3, maximize=True),
    "adamw global_clipnorm": AdamW(2**-10, 2**-3, global_clipnorm=1.0),
    "adamw clipnorm": AdamW(2**-10, 2**-3, clipnorm=1.0),
    "adamw clipvalue": AdamW(2**-10, 2**-3, clipvalue=0.5),
    "adamw rules": AdamW(2**-10, 2**-3, parameters=RULES),
    "adamw rules hat schedule amsgrad": AdamW(
        2**-10, 2**-10, amsgrad=True, epsilon_mode="hat", parameters=RULES, global_clipnorm=1.0, **SCHEDULE
    ),
    "nadamw": NAdamW(2**-10, 2**-3),
    "nadamw momentum_decay": NAdamW(2**-10, 2**-3, momentum_decay=1.0),
    "nadamw update": NAdamW(2**-10, 2**-10, **UPDATE),
    "nadamw l1 clipnorm": NAdamW(2**-10, 2**-3, l1_ratio=0.5, clipnorm=1.0),
    "nadamw maximize": NAdamW(2**-10, 2**-3, maximize=True),
    "nadamw rules": NAdamW(2**-10, 2**-3, parameters=RULES),
    "sgdw": SGDW(2**-6, 2**-3),
    "sgdw momentum": SGDW(2**-6, 2**-3, 0.875),
    "sgdw nesterov": SGDW(2**-6, 2**-3, 0.875, nesterov=True),
    "sgdw keras": SGDW(2**-6, 2**-3, 0.875, momentum_mode="keras"),
    "sgdw keras nesterov": SGDW(2**-6, 2**-3, 0.875, nesterov=True, momentum_mode="keras"),
    "sgdw update l1": SGDW(2**-6, 2**-10, 0.875, l1_ratio=0.5, **UPDATE),
    "sgdw schedule global_clipnorm": SGDW(2**-6, 2**-10, 0.875, global_clipnorm=1.0, **SCHEDULE),
    "sgdw maximize": SGDW(2**-6, 2**-3, 0.875, maximize=True),
    "sgdw rules": SGDW(2**-6, 2**-3, 0.875, parameters=RULES),
}


@dataclass(frozen=True)
class Workload:
    """Weights `k` and `b`, gradients of several scales for them, and hyperparameters that change at every update.

    A learning rate of 0 is among them, and momenta that are not the base value: none at all for SGDW.
    """

    starts: tuple[np.ndarray, np.ndarray]
    gradients: list[tuple[np.ndarray, np.ndarray]]

    def first(self, count: int) -> Workload:
        """The same with the first `count` updates only."""
        return Workload(self.starts, self.gradients[:count])

    def rows(self, spec: Any) -> list[tuple[float, float, float]]:
        """Learning rate, weight decay and momentum of each update."""
        return [
            (
                0.0 if update % 10 == 0 else spec.learning_rate / 2 ** (update % 4),
                spec.weight_decay / 2 ** (update % 3),
                spec.momentum if update % 7 != 3 else 0.0 if isinstance(spec, SGDW) else spec.momentum / 2,
            )
            for update in range(len(self.gradients))
        ]

    def expected(self, spec: Any) -> list[np.ndarray]:
        """The weights after the updates, according to the papers."""
        given = None
        if spec.parameters:  # RULES, by hand
            given = [(1.0, 1.0, 0.25), (2.0, 0.5, spec.l1_ratio)]
        return weights_by_the_papers(spec, self.starts, self.gradients, self.rows(spec), given)
