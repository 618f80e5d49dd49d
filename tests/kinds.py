"""Every kind of optimizer that there is, with every field that has few values set to each: found, not listed.

An optimizer that is added is tested by what uses this, in each framework against the float64 reference of its kind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, fields
from inspect import isabstract
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np

from samestep import Parameter, ParameterRule
from samestep.core.specs.spec import Spec
from samestep.parity.reference import ReferenceOptimizer

KINDS: list[type[Spec]] = [kind for kind in Spec._registry.values() if not isabstract(kind)]  # type: ignore[misc]
RULES = [ParameterRule(role="bias", learning_rate=2, weight_decay=0.5), ParameterRule(role="kernel", l1_ratio=0.25)]
PARAMETERS = {"kernel": Parameter("kernel", (3, 4), "kernel"), "bias": Parameter("bias", (4,), "bias")}
UPDATES = 40

Weights = dict[str, np.ndarray]

_OF_EVERY_KIND: dict[str, Any] = {
    "l1_ratio": 0.5,
    "global_clipnorm": 0.5,
    "clipnorm": 0.25,
    "clipvalue": 0.125,
}


def _variants(kind: type[Spec]) -> dict[str, Spec]:
    """Specs of a kind by what is special about each."""
    names, hints = {each.name for each in fields(kind)}, get_type_hints(kind)
    plain = {"learning_rate": 2**-6, "weight_decay": 2**-3, **({"momentum": 0.875} if "momentum" in names else {})}
    special: list[dict[str, Any]] = [{}, *({name: value} for name, value in _OF_EVERY_KIND.items())]
    for each in fields(kind):
        default = None if each.default is MISSING else each.default
        if hints[each.name] is bool:
            special.append({each.name: not default})
        elif get_origin(hints[each.name]) is Literal:
            special += [{each.name: value} for value in get_args(hints[each.name]) if value != default]
    named = {" ".join(f"{name}={value}" for name, value in given.items()): given for given in special}
    named["rules"] = {"parameters": RULES}
    return {name or "plain": kind(**{**plain, **given}) for name, given in named.items()}  # type: ignore[arg-type]


EVERY = {f"{kind.__name__} {name}": spec for kind in KINDS for name, spec in _variants(kind).items()}


def starts_and_gradients() -> tuple[Weights, list[Weights]]:
    """Weights, and the gradients of each update, of several scales, in float32."""
    generator = np.random.default_rng(0)

    def some(scale: float) -> Weights:
        return {
            name: (scale * generator.standard_normal(each.shape)).astype("float32") for name, each in PARAMETERS.items()
        }

    return some(1.0), [some((1.0, 1e-3, 1e-1)[number % 3]) for number in range(UPDATES)]


def by_the_reference(spec: Any) -> Weights:
    """The weights after the updates, in float64."""
    starts, gradients = starts_and_gradients()
    weights = {name: value.astype("float64") for name, value in starts.items()}
    optimizer = ReferenceOptimizer(spec, weights, PARAMETERS)
    for given in gradients:
        optimizer.update(
            weights,
            {name: value.astype("float64") for name, value in given.items()},
            spec.learning_rate,
            spec.weight_decay,
            spec.momentum,
        )
    return weights


def check_against_the_reference(
    spec: Any,
    trained: Callable[[dict[str, np.ndarray], list[dict[str, np.ndarray]]], dict[str, np.ndarray]],
    bound: float,
) -> None:
    """Raise AssertionError where a framework's weights after the updates are further from the reference than `bound`,
    relative to how far they moved."""
    starts, gradients = starts_and_gradients()
    expected, found = by_the_reference(spec), trained(starts, gradients)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        moved = np.linalg.norm(value - starts[name])
        assert moved > 1e-3
        assert np.linalg.norm(found[name] - value) <= bound * moved
