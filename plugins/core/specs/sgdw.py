"""SGDW: stochastic gradient descent with decoupled weight decay."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from .spec import Spec


@dataclass(frozen=True, repr=False)
class SGDW(Spec):
    """Stochastic gradient descent with momentum and decoupled weight decay, in PyTorch's conventions.

    With g the gradient and b zero before the first update, an update is::

        theta <- theta * (1 - learning_rate * weight_decay)
        b     <- momentum * b + g
        theta <- theta - learning_rate * b
        theta <- theta - learning_rate * (g + momentum * b)         with nesterov

    Args:
        learning_rate: Base value alpha, at least 0. It multiplies the step and not the buffer b, so that a changed
            learning rate acts at once.
        weight_decay: Base value lambda, at least 0. Weights shrink by learning_rate * weight_decay in each update; the
            decay does not enter the buffer, as that of torch.optim.SGD does.
        momentum: Base value, in [0, 1). With 0 there is no buffer, and no schedule can make a momentum of it.
        nesterov: Use Nesterov's momentum.
        momentum_mode: "torch", or "keras" for the learning rate inside the buffer, b <- momentum * b + learning_rate *
            g, as in Keras' own SGD.
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

    Source: Loshchilov and Hutter 2019, algorithm 1; Sutskever et al. 2013; torch.optim.SGD.

    >>> SGDW(momentum=0.9).learning_rate
    0.01
    """

    learning_rate: float = 1e-2
    weight_decay: float = 0.0
    momentum: float = 0.0
    nesterov: bool = False
    momentum_mode: Literal["torch", "keras"] = field(default="torch", kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require(0 <= self.momentum < 1, "momentum", "a number in [0, 1)")
        self._require(self.momentum > 0 or not self.nesterov, "nesterov", "False without a momentum")

    @property
    def moments(self) -> tuple[str, ...]:
        return ("momentum_buffer",) if self.momentum else ()
