"""What can be set on an optimizer of samestep, and what its spec or `build_optimizer` decides instead."""

from __future__ import annotations

from typing import Any, NoReturn

from ...core.specs.spec import CLIPS, HYPERPARAMETERS
from .saving import OPTIONS

_OF_KINDS = ("amsgrad", "beta_1", "beta_2", "epsilon", "nesterov")
OF_SPECS = (*HYPERPARAMETERS, *CLIPS, *_OF_KINDS)
"""Attributes of Keras' optimizers that the spec decides here."""


def refuse(name: str, value: Any) -> NoReturn:
    """Refuse to set an attribute that the spec decides.

    Raises:
        TypeError: Always.
    """
    remedy = (
        f"use a callback of samestep.keras, such as HyperparameterScheduler(Recipe({name}=...))"
        if name in HYPERPARAMETERS
        else "write it in the spec"
    )
    raise TypeError(
        f"found {name} = {value!r} set on an optimizer of build_optimizer, whose values come from its spec; {remedy}."
    )


def refuse_exclusion() -> NoReturn:
    """Refuse Keras' `exclude_from_weight_decay`.

    Raises:
        TypeError: Always.
    """
    raise TypeError(
        "found exclude_from_weight_decay() on an optimizer of build_optimizer, whose weight decay comes from its spec; "
        "write ParameterRule(path=..., weight_decay=0) in the spec's parameters=."
    )


def check(optimizer: Any, name: str, value: Any) -> bool:
    """Whether to set an attribute of an optimizer.

    Raises:
        TypeError: The spec decides it, or the optimizer is built and would ignore it.
    """
    if name in OF_SPECS:
        if value is not None:  # None is what Keras' own constructor writes
            refuse(name, value)
        return False
    if name == "name" or name not in OPTIONS or not getattr(optimizer, "built", False):
        return True
    if value != getattr(optimizer, name):
        raise TypeError(
            f"found {name} = {value!r} set on an optimizer that is built, whose variables and train step do not follow "
            f"it; write build_optimizer(spec, model, {name}={value!r})."
        )
    return True
