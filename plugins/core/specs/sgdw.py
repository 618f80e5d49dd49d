"""SGDW: stochastic gradient descent with decoupled weight decay."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from .spec import Spec


@dataclass(frozen=True, repr=False)
class SGDW(Spec):
    """Stochastic gradient descent with momentum and decoupled weight decay, in PyTorch's conventions.

    With g the gradient and b zero before the first update:

    theta <- theta * (1 - learning_rate * weight_decay)
    b <- momentum * b + g
    theta <- theta - learning_rate * b, or, with nesterov, theta - learning_rate * (g + momentum * b)

    learning_rate: base value alpha, at least 0. It multiplies the step and not the buffer b, so that a changed learning
        rate acts at once. With momentum_mode="keras" it is inside, b <- momentum * b + learning_rate * g, as in Keras'
        own SGD.
    weight_decay: base value lambda, at least 0; the weights shrink by learning_rate * weight_decay in each update, and
        the decay does not enter the buffer (that of torch.optim.SGD does).
    momentum: base value, in [0, 1). With 0, no schedule can make a momentum of it, and there is no buffer.
    nesterov: Nesterov's momentum.
    weight_decay_basis, l1_ratio, parameters, global_clipnorm, clipnorm, clipvalue, maximize: as for every `Spec`.

    Raises ValueError or TypeError for a number out of its range, naming the field.
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
        self._require(self.momentum > 0 or not self.nesterov, "nesterov", "False where there is no momentum")

    @property
    def moments(self) -> tuple[str, ...]:
        return ("momentum_buffer",) if self.momentum else ()
