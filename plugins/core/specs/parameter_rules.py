"""Which parameters get which multipliers: one language of rules, whatever the framework calls its parameters.

A framework's room lists the parameters of a model by path, shape and role; what the rules make of them is decided here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import ClassVar, Literal, NamedTuple, get_args

from ..schedules.serializable import Value

Role = Literal["bias", "norm", "embedding", "kernel"]
"""What a parameter is to its layer: decided by the layer's type and the parameter's shape, not by its name.

norm: of a normalization layer. embedding: a lookup table. bias: a layer's bias, the slopes of a PReLU, and in a layer
of the user's own any other parameter with at most one axis longer than 1. kernel: all others.
"""

ROLES: tuple[Role, ...] = get_args(Role)
_SHOWN = 5  # paths in an error message


class Parameter(NamedTuple):
    """A trainable parameter: its path in the model, with "/" between the parts, its shape and its role."""

    path: str
    shape: tuple[int, ...]
    role: Role


def role_by_axes(shape: Sequence[int]) -> Role:
    """The role of a weight in a layer that has kernels, however narrow: of at most one axis it is a bias."""
    return "bias" if len(shape) <= 1 else "kernel"


def role_by_shape(shape: Sequence[int]) -> Role:
    """The role of a parameter of a layer about which nothing is known.

    An axis of length 1 only aligns a vector with its input, and differs between the frameworks: a scale per channel is
    (C, 1, 1) for channels that come first and (C,) for channels that come last.

    >>> [role_by_shape(shape) for shape in ((), (3,), (1, 1, 3), (3, 1, 1), (3, 2))]
    ['bias', 'bias', 'bias', 'bias', 'kernel']
    """
    return role_by_axes([size for size in shape if size != 1])


class Multipliers(NamedTuple):
    """What rules decide for a parameter: factors of the base values, and the L1 share of its weight decay."""

    learning_rate: float = 1.0
    weight_decay: float = 1.0
    l1_ratio: float = 0.0


@dataclass(frozen=True, repr=False)
class Rule(Value, family=True):
    """Base of the parameter rules, of which there is one kind."""

    _example: ClassVar[str] = "ParameterRule(role='bias', weight_decay=0)"


@dataclass(frozen=True, repr=False)
class ParameterRule(Rule):
    """Multipliers for the parameters that match everything given of role, path and depth.

    For each multiplier, the first matching rule of a spec that sets it wins. What no rule sets is 1.

    Args:
        role: "bias", "norm", "embedding" or "kernel", or several of them; see `Role`.
        path: A pattern for the whole path, such as "encoder/**" or "**/attention/*/kernel". `*` and `?` match
            characters within one part of the path, `**` matches any number of parts.
        depth: Patterns of paths, from the input's end of the model to the output's, for layer-wise decay. Parameters
            that differ in a part with a `*` lie at different depths, in the model's order: ["embedding/**",
            "blocks/*/**", "head/**"]. The multiplier of the learning rate is then `learning_rate` to the power of the
            number of depths that follow.
        learning_rate: Multiplier, greater than 0.
        weight_decay: Multiplier, at least 0.
        l1_ratio: Share of the weight decay that is L1, in [0, 1]; the spec's if no rule sets it.
        optional: Whether the rule, its path or one of its depths may match nothing in a model; otherwise that is an
            error. Of several roles, a model need not have all.

    Raises:
        TypeError: A multiplier is not a number.
        ValueError: An argument is out of range, or the rule sets nothing.

    >>> model = [Parameter("body/weight", (3, 2), "kernel"), Parameter("head/bias", (3,), "bias")]
    >>> ParameterRule(role="bias", weight_decay=0).matches(model)  # the second one
    {1: 0}
    """

    role: Role | Sequence[Role] = ()
    path: str | None = None
    depth: Sequence[str] = ()
    learning_rate: float | None = field(default=None, kw_only=True)
    weight_decay: float | None = field(default=None, kw_only=True)
    l1_ratio: float | None = field(default=None, kw_only=True)
    optional: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("role", "depth"):
            given = getattr(self, name)
            listed = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, Sequence) else None
            expected = f"some of {', '.join(map(repr, ROLES))}" if name == "role" else "a list of patterns of paths"
            self._require(listed is not None and all(isinstance(item, str) for item in listed), name, expected)
            object.__setattr__(self, name, listed)
        self._require(set(self.role) <= set(ROLES), "role", f"some of {', '.join(map(repr, ROLES))}")
        self._require(self.path is None or isinstance(self.path, str), "path", "a pattern, such as 'encoder/**'")
        for name, patterns in (("path", [self.path] if self.path is not None else []), ("depth", self.depth)):
            empty = any(part == "" for pattern in patterns for part in pattern.split("/"))
            self._require(not empty, name, "parts between '/', none of them empty, such as 'encoder/**'")
        given = (self.learning_rate, self.weight_decay, self.l1_ratio)
        if given == (None, None, None):
            raise ValueError(f"found {self!r}, which sets nothing; give learning_rate=, weight_decay= or l1_ratio=.")
        self._require(
            self.learning_rate is None or self.learning_rate > 0,
            "learning_rate",
            "a multiplier greater than 0; to stop training a parameter, freeze it in the model",
        )
        self._require(self.weight_decay is None or self.weight_decay >= 0, "weight_decay", "a multiplier of at least 0")
        self._require(self.l1_ratio is None or 0 <= self.l1_ratio <= 1, "l1_ratio", "a number in [0, 1]")
        self._require(
            not self.depth or self.learning_rate is not None, "depth", "a learning_rate= with it, the factor per depth"
        )

    def matches(self, parameters: Sequence[Parameter]) -> dict[int, int]:
        """The indices of the parameters that it matches, with the number of depths that follow each (0 without)."""
        found = [
            index
            for index, parameter in enumerate(parameters)
            if (not self.role or parameter.role in self.role) and (self.path is None or _match(self.path, parameter))
        ]
        if not self.depth:
            return dict.fromkeys(found, 0)
        places: dict[int, tuple[int, tuple[str, ...]]] = {}
        for index, parameter in enumerate(parameters):
            for number, pattern in enumerate(self.depth):
                match = _match(pattern, parameter)
                if match:
                    places[index] = number, match.groups()
                    break
        # The model's depths, also where this rule's role or path leaves some of their parameters out.
        depths = sorted(dict.fromkeys(places.values()), key=lambda place: place[0])
        following = {place: len(depths) - 1 - number for number, place in enumerate(depths)}
        return {index: following[places[index]] for index in found if index in places}

    def _without_match(self, parameters: Sequence[Parameter]) -> list[str]:
        """The parts of this rule, in words, that match none of the parameters by themselves."""

        def has_none(pattern: str) -> bool:
            return not any(_match(pattern, each) for each in parameters)

        roles = [f"role={role!r}" for role in self.role]
        return [
            *(roles if not any(parameter.role in self.role for parameter in parameters) else []),
            *([f"path={self.path!r}"] if self.path is not None and has_none(self.path) else []),
            *(f"depth={pattern!r}" for pattern in self.depth if has_none(pattern)),
        ]


class Assignment(NamedTuple):
    """The multipliers of a parameter, and the numbers of the rules that set them."""

    parameter: Parameter
    multipliers: Multipliers
    rules: tuple[int, ...]


def assign(rules: Sequence[ParameterRule], l1_ratio: float, parameters: Sequence[Parameter]) -> list[Assignment]:
    """The multipliers of each parameter, in the order of `parameters`.

    Args:
        rules: Those of a spec, in order.
        l1_ratio: The L1 share where no rule sets it.
        parameters: Of a model.

    Raises:
        ValueError: A rule, or a part of it, matches nothing, and it is not optional.

    >>> rules = [ParameterRule(role="bias", weight_decay=0), ParameterRule(path="head/*", learning_rate=10)]
    >>> model = [Parameter("body/weight", (3, 2), "kernel"), Parameter("head/bias", (3,), "bias")]
    >>> [given.multipliers[:2] for given in assign(rules, 0.0, model)]
    [(1.0, 1.0), (10.0, 0.0)]
    """
    decided: list[dict[str, float]] = [{} for _ in parameters]
    by: list[list[int]] = [[] for _ in parameters]
    for number, rule in enumerate(rules):
        matches = rule.matches(parameters)
        without = [] if rule.optional else rule._without_match(parameters)
        if without or not (matches or rule.optional):
            paths = ", ".join(repr(parameter.path) for parameter in parameters[:_SHOWN])
            more = f" and {len(parameters) - _SHOWN} more" if len(parameters) > _SHOWN else ""
            parts = f" by {', '.join(without)}" if without and (matches or rule.role or rule.depth) else ""
            raise ValueError(
                f"{rule!r} matches no parameter{parts}; the model has {paths}{more}: correct the rule, or give it "
                f"optional=True."
            )
        for index, following in matches.items():
            given = {name: getattr(rule, name) for name in Multipliers._fields}
            new = {name: x for name, x in given.items() if x is not None and name not in decided[index]}
            if rule.depth and "learning_rate" in new:
                new["learning_rate"] **= following
            if new:
                decided[index].update(new)
                by[index].append(number)
    return [
        Assignment(parameter, Multipliers(**{"l1_ratio": l1_ratio, **found}), tuple(numbers))
        for parameter, found, numbers in zip(parameters, decided, by, strict=True)
    ]


def by_multipliers(given: Sequence[Multipliers]) -> dict[Multipliers, list[int]]:
    """The indices of the parameters by their multipliers: the groups of an optimizer, in the order of their numbers.

    Those without any multiplier come first, the others by size. The order does not depend on that of the parameters, so
    that a group has the same number in every framework.
    """
    found: dict[Multipliers, list[int]] = {}
    for number, multipliers in enumerate(given):
        found.setdefault(multipliers, []).append(number)
    return {group: found[group] for group in sorted(found, key=lambda group: (group[:2] != (1.0, 1.0), group))}


def _match(glob: str, parameter: Parameter) -> re.Match[str] | None:
    return _pattern(glob).fullmatch(f"{parameter.path}/")


@lru_cache(maxsize=256)
def _pattern(glob: str) -> re.Pattern[str]:
    """A pattern as a regular expression for a path followed by "/"; it captures the parts that have a wildcard."""

    def translated() -> Iterator[str]:
        before = ""
        for part in glob.split("/"):
            if part == "**":
                if before != "**":
                    yield "(?:[^/]+/)*"
            else:
                inside = "".join({"*": "[^/]*", "?": "[^/]"}.get(c, re.escape(c)) for c in part)
                yield f"({inside})/" if "*" in part or "?" in part else f"{inside}/"
            before = part

    return re.compile("".join(translated()))
