"""Optimizer specs write down every number of an optimizer; none is left to a framework's default."""

# Annotations are evaluated here: subclasses in other modules inherit them, where `Basis` is not a name.
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal, Self, get_args

from ..schedules.serializable import Functions, Value, is_listing
from .parameter_rules import ParameterRule, Rule

HYPERPARAMETERS = ("learning_rate", "weight_decay", "momentum")
"""The hyperparameters that can have a schedule, in the order used everywhere."""


Basis = Literal["learning_rate", "schedule", "update"]
Clip = Literal["global_clipnorm", "clipnorm", "clipvalue"]

CLIPS: tuple[Clip, ...] = get_args(Clip)
CLIP_EPSILON = 1e-6
"""Added to a norm before clipping by it, as in torch.nn.utils.clip_grad_norm_."""


@dataclass(frozen=True, repr=False)
class Spec(Value, ABC, family=True):
    """Base of the optimizer specs: a base value for each hyperparameter, and the settings they share.

    Args:
        learning_rate: Base value, at least 0.
        weight_decay: Base value, at least 0.
        weight_decay_basis: What the weight decay is multiplied by to give the fraction that an update takes off a
            weight. "learning_rate": the learning rate, as in PyTorch and Keras. "schedule": the learning rate relative
            to its base value, eta of Loshchilov and Hutter, as in keras-adamw and Composer. "update": nothing, as in
            TensorFlow Addons.
        l1_ratio: Share of the weight decay that is L1, in [0, 1]; see below.
        parameters: Rules that multiply learning rate and weight decay of some parameters; see `ParameterRule`.
        global_clipnorm: Largest norm of all gradients together; larger ones are all scaled down alike.
        clipnorm: Largest norm of each parameter's gradient.
        clipvalue: Largest absolute value of each element of a gradient.
        maximize: Go up the gradient and not down.

    With d the fraction that an update takes off, the decay is::

        theta <- theta * (1 - d * (1 - l1_ratio)) - d * l1_ratio * sign(theta)

    At most one of the three ways to clip is given. Gradients whose norm n is above the bound are multiplied by::

        bound / (n + 1e-6)          as by torch.nn.utils.clip_grad_norm_

    Raises:
        TypeError: A number is not one.
        ValueError: A number is out of range.
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
            self._require(name == clips[0], name, f"None, as {clips[0]} is given")

    def _is_shown(self, name: str, default: Any) -> bool:
        # Both are told always: without one, the repr of an optimizer says little.
        return name in ("learning_rate", "weight_decay") or super()._is_shown(name, default)

    @property
    def clip(self) -> tuple[Clip, float] | None:
        """How gradients are clipped, and the bound; None if they are not."""
        return next(((name, bound) for name in CLIPS if (bound := getattr(self, name)) is not None), None)

    def shrink(self, learning_rate: float, weight_decay: float, base: float | None = None) -> float:
        """The fraction that an update takes off a weight without a gradient. Arrays of values give an array.

        Args:
            learning_rate: The value that the update uses.
            weight_decay: Likewise.
            base: The learning rate's base value, if it is not the spec's.
        """
        match self.weight_decay_basis:
            case "learning_rate":
                return learning_rate * weight_decay
            case "schedule":
                return learning_rate / (self.learning_rate if base is None else base) * weight_decay
            case "update":
                return weight_decay

    @property
    @abstractmethod
    def moments(self) -> tuple[str, ...]:
        """The moments that an optimizer of this spec keeps per parameter, as all frameworks and files name them."""

    def difference(self, other: "Spec") -> str | None:
        """Where `other` differs, in words: a line for the kind and for each field, or None if the two are equal."""
        lines = []
        if type(self) is not type(other):
            lines.append(f"the optimizer is {type(other).__name__} and not {type(self).__name__}")
        for name, ours, theirs in self._differences(other):
            if theirs is None:
                lines.append(f"there is no {name}, here {ours}")
            else:
                lines.append(f"{name} is {theirs} and " + (f"not {ours}" if ours is not None else "here there is none"))
        return "\n".join(lines) or None

    def _differences(self, other: "Spec") -> Iterator[tuple[str, str | None, str | None]]:
        """Each field that differs: its name, and the source of both values; None where a kind does not have it."""
        for name in dict.fromkeys(each.name for spec in (self, other) for each in fields(spec)):
            ours, theirs = (repr(getattr(s, name)) if name in _names(s) else None for s in (self, other))
            if ours != theirs:
                yield name, ours, theirs

    @classmethod
    def _from_fields(cls, data: dict[str, Any], functions: Functions) -> Self:
        rules = data.get("parameters")
        if is_listing(rules):
            data = {**data, "parameters": tuple(Rule.from_dict(rule) for rule in rules)}
        return super()._from_fields(data, functions)


def _names(spec: Spec) -> set[str]:
    return {each.name for each in fields(spec)}


def check_options(known: Collection[str], options: Collection[str]) -> None:
    """Refuse unknown options of `build_optimizer`.

    Raises:
        TypeError: An option is not among the known ones.
    """
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise TypeError(
            f"build_optimizer: found the options {unknown}; expected some of {list(known)}: set hyperparameters in the "
            f"spec, as in {Spec._example}."
        )
