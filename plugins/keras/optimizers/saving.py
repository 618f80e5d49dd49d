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

_TRAINED = "trainable_variables"  # how many the optimizer was built for


def save(optimizer: Any, store: Any) -> None:
    """Write the variables of an optimizer, without its table, and the state of its run."""
    for index, variable in enumerate(own_variables(optimizer)):
        store[str(index)] = ops.convert_to_numpy(variable)
    store[_TRAINED] = np.array(len(optimizer._trainable_variables))
    saved = optimizer.run.saved()
    if saved is not None:
        store[KEY] = saved


def load(optimizer: Any, store: Any) -> None:
    """Read what `save` wrote.

    An optimizer that is not built yet is built for the model that it was made for. If other variables are trainable
    now, their number says so, and the optimizer starts from scratch with a warning, as Keras' own do.

    Raises:
        ValueError: The state is another optimizer's, or damaged. Nothing is changed.
    """
    names = set(store.keys())
    trained = int(np.asarray(store[_TRAINED])) if _TRAINED in names else None
    if trained is not None:
        built_to_load(optimizer, trained)
    if not optimizer.built or not names:
        # As with Keras' own optimizers: pretrained weights may come with another optimizer's state, or none.
        lacks = "saved state" if optimizer.built else "variables before build(model.trainable_variables)"
        warnings.warn(f"{optimizer.name} has no {lacks}: it starts from scratch.", stacklevel=3)
        return
    trains = len(optimizer._trainable_variables)
    if trained not in (None, trains):
        warnings.warn(
            f"{optimizer.name} was saved with {trained} trainable variables and has {trains} now: it starts from "
            f"scratch.",
            stacklevel=3,
        )
        return
    variables = own_variables(optimizer)
    saved = [store[str(index)] for index in range(len(names - {KEY, _TRAINED}))]
    if [np.shape(value) for value in saved] != [tuple(variable.shape) for variable in variables]:
        found = f"{len(saved)} saved variables; expected {len(variables)}"
        if len(saved) == len(variables):
            found = f"{len(saved)} saved variables of other shapes; expected"
        raise ValueError(
            f"{optimizer.name}: found {found}, those of an optimizer of the same spec and options, built for the same "
            f"model."
        )
    try:
        run = read(store[KEY]) if KEY in names else None
    except ValueError as error:
        raise ValueError(f"{optimizer.name}: {error}") from None
    for variable, value in zip(variables, saved, strict=True):
        variable.assign(value)
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
    for variable, weight in pairs:
        variable.assign(weight)


def built_to_load(optimizer: Any, trained: int | None) -> None:
    """Build an optimizer for the model that it was made for, if that has these variables already.

    Args:
        optimizer: The optimizer.
        trained: The number of variables that it must have; None for any.
    """
    if not optimizer.built:
        variables = optimizer.variables_of_its_model()
        if variables and trained in (None, len(variables)):
            optimizer.build(variables)


def config(optimizer: Any, kernels: Sequence[str]) -> dict[str, Any]:
    """The spec, the options, and the variables' multipliers, as a saved optimizer is loaded without its model."""
    multipliers = optimizer.multipliers()
    return {
        "spec": optimizer.spec.to_dict(),
        **{name: getattr(optimizer, name) for name in (*OPTIONS, *kernels)},
        "multipliers": None if multipliers is None else [list(each) for each in multipliers],
    }


def own_variables(optimizer: Any) -> list[Any]:
    """The variables of an optimizer, without its table."""
    table = {id(variable) for variable in optimizer.table.variables}
    return [variable for variable in optimizer.variables if id(variable) not in table]
