"""NAdamW: Adam with Nesterov momentum and decoupled weight decay."""

from __future__ import annotations

from dataclasses import dataclass, field

from .adam_family import AdamFamily


@dataclass(frozen=True, repr=False)
class NAdamW(AdamFamily):
    """Adam with Nesterov momentum and decoupled weight decay, in PyTorch's conventions in every framework.

    With g the gradient, m and v zero and p one before the first update, and t = 1, 2, ..., an update is::

        theta <- theta * (1 - learning_rate * weight_decay)
        mu(t) =  beta_1 * (1 - 0.96**(t * momentum_decay) / 2)
        p     <- p * mu(t)
        m     <- beta_1 * m + (1 - beta_1) * g
        v     <- beta_2 * v + (1 - beta_2) * g**2
        n     =  mu(t + 1) / (1 - p * mu(t + 1)) * m + (1 - mu(t)) / (1 - p) * g
        theta <- theta - learning_rate * n / (sqrt(v / (1 - beta_2**t)) + epsilon)

    Args:
        learning_rate: Base value alpha, at least 0.
        weight_decay: Base value lambda, at least 0. Weights shrink by learning_rate * weight_decay in each update.
        betas: (beta_1, beta_2), each in [0, 1). beta_1 is the base value of the momentum. If that has a schedule, the
            update at t uses its own beta_1 throughout, also in mu(t + 1), as torch does.
        epsilon: Greater than 0, added after the bias correction.
        momentum_decay: How slowly mu goes from beta_1 / 2 to beta_1, at least 0. Keras' own Nadam has 1.
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

    Source: Dozat 2016; torch.optim.NAdam with decoupled_weight_decay=True.

    >>> NAdamW().momentum_decay
    0.004
    """

    learning_rate: float = 2e-3
    momentum_decay: float = field(default=4e-3, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require(self.momentum_decay >= 0, "momentum_decay", "a number of at least 0")

    @property
    def moments(self) -> tuple[str, ...]:
        return ("momentum", "velocity")
