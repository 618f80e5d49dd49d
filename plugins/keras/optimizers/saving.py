"""Saves and loads the optimizers: their part of a checkpoint, and their config."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from ...core.callbacks.due import Due
from ...core.checkpoints.saved import KEY
from .run_state import read

OPTIONS = (
    "ema_momentum",
    "ema_overwrite_frequency",
    "gradient_accumulation_steps",
    "loss_scale_factor",
    "name",
    "use_ema",
)
"""Keras' own options of an optimizer."""


def save(optimizer: Any, store: Any) -> None:
    """Write the variables of an optimizer, without its table, and the state of its run."""
    for index, variable in enumerate(own_variables(optimizer)):
        store[str(index)] = ops.convert_to_numpy(variable)
    saved = optimizer.run.saved()
    if saved is not None:
        store[KEY] = saved


def load(optimizer: Any, store: Any) -> None:
    """Read what `save` wrote.

    An optimizer that is not built yet is built for the model that it was made for. One whose config was loaded too, but
    whose model trains other variables than when it was saved, starts from scratch with a warning, as Keras' own do.
    Within a training that has made updates, only the variables are read: the training keeps its own position.

    Raises:
        ValueError: The state is another optimizer's, or damaged. Nothing is changed.
    """
    names = set(store.keys())
    saved = [store[str(index)] for index in range(len(names - {KEY}))]
    built_to_load(optimizer, len(saved))
    if not optimizer.built or not names:
        # As with Keras' own optimizers: pretrained weights may come with another optimizer's state, or none.
        lacks = "saved state" if optimizer.built else "variables before build(model.trainable_variables)"
        warnings.warn(f"{optimizer.name} has no {lacks}: it starts from scratch.", stacklevel=3)
        return
    variables = own_variables(optimizer)
    if [np.shape(value) for value in saved] != [tuple(variable.shape) for variable in variables]:
        if optimizer.saved_for is not None:
            warnings.warn(
                f"{optimizer.name} was saved with {optimizer.saved_for} trainable variables, which are not the "
                f"{len(optimizer._trainable_variables)} of now: it starts from scratch.",
                stacklevel=3,
            )
            return
        raise ValueError(
            f"{optimizer.name}: found {len(saved)} saved variables"
            f"{' of other shapes' if len(saved) == len(variables) else ''}; expected {len(variables)}, those of an "
            f"optimizer of the same spec and options, built for the same model."
        )
    try:
        run = read(store[KEY]) if KEY in names else None
    except ValueError as error:
        raise ValueError(f"{optimizer.name}: {error}") from None
    made = optimizer.count.made
    for variable, value in zip(variables, saved, strict=True):
        variable.assign(value)
    if optimizer.run.goes_on(made):
        optimizer.stay(made)
        return
    optimizer.run.forget()
    if run is not None:
        optimizer.run.load(run)
        optimizer.due = Due.after(optimizer.run.before)
    optimizer.table.reset()  # the number of updates is another one


def set_weights(optimizer: Any, weights: Sequence[Any]) -> None:
    """Assign arrays to all variables of an optimizer, apart from the table's.

    Raises:
        ValueError: The optimizer is not built, or the arrays are not of its variables' number and shapes.
    """
    mine = {id(variable) for variable in own_variables(optimizer)}
    variables = optimizer.variables
    fits = optimizer.built and len(variables) == len(weights)
    pairs = [pair for pair in zip(variables, weights, strict=False) if id(pair[0]) in mine]
    if not fits or any(tuple(variable.shape) != tuple(np.shape(weight)) for variable, weight in pairs):
        raise ValueError(
            f"{optimizer.name}: found weights of another number or other shapes, or an optimizer that is not built; "
            f"expected arrays like those of optimizer.variables, after optimizer.build(model.trainable_variables)."
        )
    made = optimizer.count.made
    for variable, weight in pairs:
        variable.assign(weight)
    if optimizer.run.is_driven:
        optimizer.stay(made)


def built_to_load(optimizer: Any, saved: int | None) -> None:
    """Build an optimizer for the model that it was made for, if the saved variables can be those of that.

    Args:
        optimizer: The optimizer.
        saved: The number of saved variables; None for any.
    """
    if not optimizer.built:
        variables = optimizer.variables_of_its_model()
        if variables and (saved is None or saved == optimizer.number_of_variables(len(variables))):
            optimizer.build(variables)


def config(optimizer: Any, kernels: Sequence[str]) -> dict[str, Any]:
    """The spec, the options, and what is known of the variables, as a saved optimizer is loaded without its model."""
    multipliers = optimizer.multipliers()
    return {
        "spec": optimizer.spec.to_dict(),
        **{name: getattr(optimizer, name) for name in (*OPTIONS, *kernels)},
        "multipliers": None if multipliers is None else [list(each) for each in multipliers],
        "saved_for": len(optimizer._trainable_variables) if optimizer.built else optimizer.saved_for,
    }


def own_variables(optimizer: Any) -> list[Any]:
    """The variables of an optimizer, without its table."""
    table = {id(variable) for variable in optimizer.table.variables}
    return [variable for variable in optimizer.variables if id(variable) not in table]
