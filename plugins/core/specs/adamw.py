"""AdamW: Adam with decoupled weight decay."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from .adam_family import AdamFamily


@dataclass(frozen=True, repr=False)
class AdamW(AdamFamily):
    """Adam with decoupled weight decay, in PyTorch's conventions in every framework.

    With g the gradient, m, v and w zero before the first update, and t = 1, 2, ...:

    theta <- theta * (1 - learning_rate * weight_decay)
    m <- beta_1 * m + (1 - beta_1) * g
    v <- beta_2 * v + (1 - beta_2) * g**2
    w <- v, or, with amsgrad, max(w, v)
    theta <- theta - learning_rate / (1 - beta_1**t) * m / (sqrt(w) / sqrt(1 - beta_2**t) + epsilon)

    learning_rate: base value alpha, at least 0.
    weight_decay: base value lambda, at least 0; the weights shrink by learning_rate * weight_decay in each update.
    betas: (beta_1, beta_2), each in [0, 1). beta_1 is the base value of the momentum; where that has a schedule, the
        update at t uses its own beta_1 throughout, also in 1 - beta_1**t, as torch does.
    epsilon: greater than 0, added after the bias correction. With epsilon_mode="hat" it is added before, to sqrt(w), as
        in Keras' own Adam.
    amsgrad: whether the second moment is the largest so far.
    weight_decay_basis, l1_ratio, parameters, global_clipnorm, clipnorm, clipvalue, maximize: as for every `Spec`.

    Raises ValueError or TypeError for a number out of its range, naming the field.
    Source: Loshchilov and Hutter 2019, algorithm 2; torch.optim.AdamW; Reddi et al. 2018 for amsgrad.

    >>> AdamW(learning_rate=0.01).weight_decay
    0.01
    """

    amsgrad: bool = field(default=False, kw_only=True)
    epsilon_mode: Literal["torch", "hat"] = field(default="torch", kw_only=True)

    @property
    def moments(self) -> tuple[str, ...]:
        return ("momentum", "velocity", *(["largest_velocity"] if self.amsgrad else []))
