"""Optimizer specs: every number of an optimizer, written down, none left to a framework's default."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from typing import ClassVar

from .values import Value, real

HYPERPARAMETERS = ("learning_rate", "weight_decay", "momentum")
"""The hyperparameters that have a schedule, in the order in which everything lists them."""


@dataclass(frozen=True, repr=False)
class Spec(Value, family=True):
    """Base of the optimizer specs: a base value for each hyperparameter, by its name."""

    _example: ClassVar[str] = "AdamW(learning_rate=1e-3, weight_decay=0.01)"

    learning_rate: float
    weight_decay: float

    def difference(self, other: Spec) -> str | None:
        """The first field in which `other` differs, in words, or None if the two are equal."""
        if type(self) is not type(other):
            return f"the optimizer is {type(other).__name__} and not {type(self).__name__}"
        for field in fields(self):
            ours, theirs = getattr(self, field.name), getattr(other, field.name)
            if ours != theirs:
                return f"{field.name} is {theirs!r} and not {ours!r}"
        return None


@dataclass(frozen=True, repr=False)
class AdamW(Spec):
    """Adam with decoupled weight decay, in PyTorch's conventions in every framework.

    With g the gradient, m and v zero before the first update, and t = 1, 2, ...:

    theta <- theta * (1 - learning_rate * weight_decay)
    m <- beta_1 * m + (1 - beta_1) * g
    v <- beta_2 * v + (1 - beta_2) * g**2
    theta <- theta - learning_rate / (1 - beta_1**t) * m / (sqrt(v) / sqrt(1 - beta_2**t) + epsilon)

    learning_rate: base value alpha, at least 0.
    weight_decay: base value lambda, at least 0; the weights shrink by learning_rate * weight_decay in each update.
    betas: (beta_1, beta_2), each in [0, 1). beta_1 is the base value of the momentum; where that has a schedule, the
        update at t uses its own beta_1 throughout, also in 1 - beta_1**t, as torch does.
    epsilon: greater than 0, added after the bias correction (Keras' own Adam adds it before).

    Raises ValueError or TypeError for a number out of its range, naming the field.
    Source: Loshchilov and Hutter 2019, algorithm 2; torch.optim.AdamW.

    >>> AdamW(learning_rate=0.01).weight_decay
    0.01
    """

    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("learning_rate", "weight_decay"):
            self._require(getattr(self, name) >= 0, name, "a number of at least 0")
        self._require(
            isinstance(self.betas, (tuple, list)) and len(self.betas) == 2,
            "betas",
            "two numbers, such as (0.9, 0.999)",
        )
        betas = tuple(real(beta, "AdamW.betas") for beta in self.betas)
        object.__setattr__(self, "betas", betas)
        self._require(all(0 <= beta < 1 for beta in betas), "betas", "two numbers in [0, 1)")
        self._require(self.epsilon > 0, "epsilon", "a number greater than 0")

    @property
    def momentum(self) -> float:
        """beta_1, the momentum of Adam."""
        return self.betas[0]


@dataclass(frozen=True, repr=False)
class SGDW(Spec):
    """Stochastic gradient descent with momentum and decoupled weight decay, in PyTorch's conventions.

    With g the gradient and b zero before the first update:

    theta <- theta * (1 - learning_rate * weight_decay)
    b <- momentum * b + g
    theta <- theta - learning_rate * b, or, with nesterov, theta - learning_rate * (g + momentum * b)

    learning_rate: base value alpha, at least 0. It multiplies the step and not the buffer b: a changed learning rate
        acts at once (Keras' own SGD keeps it inside).
    weight_decay: base value lambda, at least 0; the weights shrink by learning_rate * weight_decay in each update, and
        the decay does not enter the buffer (that of torch.optim.SGD does).
    momentum: base value, in [0, 1). With 0, no schedule can make a momentum of it, and there is no buffer.
    nesterov: Nesterov's momentum.

    Raises ValueError or TypeError for a number out of its range, naming the field.
    Source: Loshchilov and Hutter 2019, algorithm 1; Sutskever et al. 2013; torch.optim.SGD.

    >>> SGDW(momentum=0.9).learning_rate
    0.01
    """

    learning_rate: float = 1e-2
    weight_decay: float = 0.0
    momentum: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("learning_rate", "weight_decay"):
            self._require(getattr(self, name) >= 0, name, "a number of at least 0")
        self._require(0 <= self.momentum < 1, "momentum", "a number in [0, 1)")
        self._require(self.momentum > 0 or not self.nesterov, "nesterov", "False where there is no momentum")


def check_buildable(spec: object, options: Collection[str], known: Mapping[type[Spec], Collection[str]]) -> None:
    """Refuse what `build_optimizer` cannot build.

    options: names of the options that were given. known: those that the framework has, by the kind of the spec.
    Raises TypeError for what is not a spec, and for an option that is not known.
    """
    if type(spec) not in known:
        raise TypeError(
            f"build_optimizer: found {spec!r} ({type(spec).__name__}); expected a spec, such as {Spec._example}."
        )
    expected = known[type(spec)]  # type: ignore[index]
    unknown = sorted(set(options) - set(expected))
    if unknown:
        raise TypeError(
            f"build_optimizer: found the options {unknown}; expected some of {list(expected)}. Numbers belong into the "
            f"spec."
        )
