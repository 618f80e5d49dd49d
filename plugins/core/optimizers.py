"""Optimizer specs: every number of an optimizer, written down, none left to a framework's default."""

from __future__ import annotations

from abc import ABC
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal, Self, get_args

from .parameters import ParameterRule, Rule
from .values import Functions, Value, real

HYPERPARAMETERS = ("learning_rate", "weight_decay", "momentum")
"""The hyperparameters that have a schedule, in the order in which everything lists them."""


Basis = Literal["learning_rate", "schedule", "update"]
Clip = Literal["global_clipnorm", "clipnorm", "clipvalue"]

CLIPS: tuple[Clip, ...] = get_args(Clip)
CLIP_EPSILON = 1e-6
"""What is added to a norm before clipping by it, as torch.nn.utils.clip_grad_norm_ does."""


@dataclass(frozen=True, repr=False)
class Spec(Value, ABC, family=True):
    """Base of the optimizer specs: a base value for each hyperparameter by its name, and what they have in common.

    weight_decay_basis: what the weight decay is multiplied with to give the fraction that an update takes off a weight.
        "learning_rate": the learning rate, as in PyTorch and Keras. "schedule": the learning rate relative to its base
        value, eta of Loshchilov and Hutter, as in keras-adamw and Composer. "update": nothing, as in TensorFlow Addons.
    l1_ratio: share of the weight decay that is L1, in [0, 1]: with d what an update takes off,
        theta <- theta * (1 - d * (1 - l1_ratio)) - d * l1_ratio * sign(theta)
    parameters: rules that multiply learning rate and weight decay of some parameters; see `ParameterRule`.
    global_clipnorm: largest norm of all gradients together, in whose proportion all are made smaller.
    clipnorm: largest norm of each parameter's gradient. clipvalue: largest absolute value of each of its elements.
        At most one of the three; where a norm n is larger, gradients are multiplied by clip / (n + 1e-6), as by
        torch.nn.utils.clip_grad_norm_.
    maximize: whether the update goes up the gradient and not down.
    """

    _example: ClassVar[str] = "AdamW(learning_rate=1e-3, weight_decay=0.01)"

    learning_rate: float
    weight_decay: float
    weight_decay_basis: Basis = field(default="learning_rate", kw_only=True)
    l1_ratio: float = field(default=0.0, kw_only=True)
    parameters: tuple[ParameterRule, ...] = field(default=(), kw_only=True)
    global_clipnorm: float | None = field(default=None, kw_only=True)
    clipnorm: float | None = field(default=None, kw_only=True)
    clipvalue: float | None = field(default=None, kw_only=True)
    maximize: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("learning_rate", "weight_decay"):
            self._require(getattr(self, name) >= 0, name, "a number of at least 0")
        self._require(
            self.learning_rate > 0 or self.weight_decay_basis != "schedule",
            "learning_rate",
            "a number greater than 0 where weight_decay_basis='schedule'",
        )
        self._require(0 <= self.l1_ratio <= 1, "l1_ratio", "a number in [0, 1]")
        clips = [name for name in CLIPS if getattr(self, name) is not None]
        for name in clips:
            self._require(getattr(self, name) > 0, name, "a number greater than 0, or None for no clipping")
            self._require(name == clips[0], name, f"None where there is a {clips[0]}")

    @property
    def clip(self) -> tuple[Clip, float] | None:
        """How gradients are clipped, and the bound; None where they are not."""
        return next(((name, bound) for name in CLIPS if (bound := getattr(self, name)) is not None), None)

    def shrink(self, learning_rate: float, weight_decay: float, base: float | None = None) -> float:
        """The fraction of a weight without a gradient that an update takes off, by the values that the update uses.

        base: the learning rate's base value, where it is not the spec's. Arrays of values give an array.
        """
        match self.weight_decay_basis:
            case "learning_rate":
                return learning_rate * weight_decay
            case "schedule":
                return learning_rate / (self.learning_rate if base is None else base) * weight_decay
            case "update":
                return weight_decay

    def difference(self, other: Spec) -> str | None:
        """The first field in which `other` differs, in words, or None if the two are equal."""
        if type(self) is not type(other):
            return f"the optimizer is {type(other).__name__} and not {type(self).__name__}"
        for each in fields(self):
            ours, theirs = getattr(self, each.name), getattr(other, each.name)
            if ours != theirs:
                return f"{each.name} is {theirs!r} and not {ours!r}"
        return None

    @classmethod
    def _from_fields(cls, data: dict[str, Any], functions: Functions) -> Self:
        rules = data.get("parameters")
        if isinstance(rules, (list, tuple)):
            data = {**data, "parameters": tuple(Rule.from_dict(rule) for rule in rules)}
        return super()._from_fields(data, functions)


@dataclass(frozen=True, repr=False)
class _Adam(Spec):
    """What AdamW and NAdamW have in common."""

    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require(
            isinstance(self.betas, (tuple, list)) and len(self.betas) == 2,
            "betas",
            "two numbers, such as (0.9, 0.999)",
        )
        betas = tuple(real(beta, f"{type(self).__name__}.betas") for beta in self.betas)
        object.__setattr__(self, "betas", betas)
        self._require(all(0 <= beta < 1 for beta in betas), "betas", "two numbers in [0, 1)")
        self._require(self.epsilon > 0, "epsilon", "a number greater than 0")

    @property
    def momentum(self) -> float:
        """beta_1, the momentum of Adam."""
        return self.betas[0]


@dataclass(frozen=True, repr=False)
class AdamW(_Adam):
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


@dataclass(frozen=True, repr=False)
class NAdamW(_Adam):
    """Adam with Nesterov momentum and decoupled weight decay, in PyTorch's conventions in every framework.

    With g the gradient, m and v zero and p one before the first update, and t = 1, 2, ...:

    theta <- theta * (1 - learning_rate * weight_decay)
    mu(t) = beta_1 * (1 - 0.96**(t * momentum_decay) / 2)
    p <- p * mu(t)
    m <- beta_1 * m + (1 - beta_1) * g
    v <- beta_2 * v + (1 - beta_2) * g**2
    n = mu(t + 1) / (1 - p * mu(t + 1)) * m + (1 - mu(t)) / (1 - p) * g
    theta <- theta - learning_rate * n / (sqrt(v / (1 - beta_2**t)) + epsilon)

    learning_rate: base value alpha, at least 0.
    weight_decay: base value lambda, at least 0; the weights shrink by learning_rate * weight_decay in each update.
    betas: (beta_1, beta_2), each in [0, 1). beta_1 is the base value of the momentum; where that has a schedule, the
        update at t uses its own beta_1 throughout, also in mu(t + 1), as torch does.
    epsilon: greater than 0, added after the bias correction.
    momentum_decay: at least 0; how slowly mu goes from beta_1 / 2 to beta_1. Keras' own Nadam has 1.
    weight_decay_basis, l1_ratio, parameters, global_clipnorm, clipnorm, clipvalue, maximize: as for every `Spec`.

    Raises ValueError or TypeError for a number out of its range, naming the field.
    Source: Dozat 2016; torch.optim.NAdam with decoupled_weight_decay=True.

    >>> NAdamW().momentum_decay
    0.004
    """

    learning_rate: float = 2e-3
    momentum_decay: float = field(default=4e-3, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require(self.momentum_decay >= 0, "momentum_decay", "a number of at least 0")


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
