"""Warns of parameters that decay without being used."""

from __future__ import annotations

import warnings

import keras
import numpy as np
from keras import ops

from ..optimizers.changes import listed
from ..optimizers.scheduled import ScheduledOptimizer
from ..parameters import paths_of


def warn_of_unused(who: str, optimizer: ScheduledOptimizer, model: keras.Model) -> None:
    """Warn of parameters that got no gradient but decayed, as on jax, where the gradient of what is not used is zeros.

    Only moments tell: a spec without them keeps nothing of the gradients.

    Args:
        who: The caller's name in messages.
        optimizer: The optimizer, after some updates.
        model: The model it trains.
    """
    paths = paths_of(model)
    table, moments = optimizer.table, list(optimizer.moments().values())
    if not optimizer.count.total or not any([*getattr(optimizer.spec, "betas", ()), *table.base["momentum"]]):
        return
    unused = [
        paths.get(id(variable), variable.path)
        for index, variable in enumerate(optimizer._trainable_variables)
        if moments and table.base["weight_decay"][table.group(index)]
        if not any(_has_numbers(of_all[index]) for of_all in moments)
        if _has_numbers(variable)
    ]
    if unused:
        warnings.warn(
            f"{who}: found weight decay of {listed(unused)}, which got no gradient in this epoch: on jax a parameter "
            f"that the loss does not depend on decays, but neither on other backends nor in Lightning; freeze it, or "
            f"write ParameterRule(path=..., weight_decay=0).",
            stacklevel=2,
        )


def _has_numbers(variable: object) -> bool:
    """Whether any element is not 0."""
    return bool(np.any(ops.convert_to_numpy(variable)))
