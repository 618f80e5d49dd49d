"""AdamW: Adam with decoupled weight decay."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from .adam_family import AdamFamily


@dataclass(frozen=True, repr=False)
class AdamW(AdamFamily):
    """Adam with decoupled weight decay, in PyTorch's conventions in every framework.

    With g the gradient, m, v and w zero before the first update, and t = 1, 2, ..., an update is::

        theta <- theta * (1 - learning_rate * weight_decay)
        m     <- beta_1 * m + (1 - beta_1) * g
        v     <- beta_2 * v + (1 - beta_2) * g**2
        w     <- v                  or, with amsgrad, max(w, v)
        theta <- theta - learning_rate / (1 - beta_1**t) * m / (sqrt(w) / sqrt(1 - beta_2**t) + epsilon)

    Args:
        learning_rate: Base value alpha, at least 0.
        weight_decay: Base value lambda, at least 0. Weights shrink by learning_rate * weight_decay in each update.
        betas: (beta_1, beta_2), each in [0, 1). beta_1 is the base value of the momentum. If that has a schedule, the
            update at t uses its own beta_1 throughout, also in 1 - beta_1**t, as torch does.
        epsilon: Greater than 0, added after the bias correction.
        amsgrad: Use the largest second moment so far.
        epsilon_mode: "torch", or "hat" to add epsilon before the bias correction, to sqrt(w), as Keras' own Adam does.
        weight_decay_basis: See `Spec`, as for all arguments below.
        l1_ratio: Share of the weight decay that is L1.
        parameters: Rules for some parameters.
        global_clipnorm: Largest norm of all gradients together.
        clipnorm: Largest norm of each parameter's gradient.
        clipvalue: Largest absolute value in a gradient.
        maximize: Go up the gradient and not down.

    Raises:
        TypeError: A number is not one.
        ValueError: A number is out of range.

    Source: Loshchilov and Hutter 2019, algorithm 2; torch.optim.AdamW; Reddi et al. 2018 for amsgrad.

    >>> AdamW(learning_rate=0.01).weight_decay
    0.01
    """

    amsgrad: bool = field(default=False, kw_only=True)
    epsilon_mode: Literal["torch", "hat"] = field(default="torch", kw_only=True)

    @property
    def moments(self) -> tuple[str, ...]:
        return ("momentum", "velocity", *(["largest_velocity"] if self.amsgrad else []))
