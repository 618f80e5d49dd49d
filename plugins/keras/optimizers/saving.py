"""Saves and loads the optimizers: their part of a checkpoint, and their config."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from keras import ops

from ...core.callbacks.due import Due
from ...core.checkpoints.saved import KEY
from .run_state import read

OPTIONS = ("ema_momentum", "ema_overwrite_frequency", "gradient_accumulation_steps", "name", "use_ema")
"""Keras' own options of an optimizer."""


def save(optimizer: Any, store: Any) -> None:
    """Write the variables of an optimizer, without its table, and the state of its run."""
    for index, variable in enumerate(_variables(optimizer)):
        store[str(index)] = ops.convert_to_numpy(variable)
    saved = optimizer.run.saved()
    if saved is not None:
        store[KEY] = saved


def load(optimizer: Any, store: Any) -> None:
    """Read what `save` wrote.

    Raises:
        ValueError: The state is another optimizer's, or damaged. Nothing is changed.
    """
    variables = _variables(optimizer)
    if not optimizer.built or not store.keys():
        # As with Keras' own optimizers: pretrained weights may come with another optimizer's state, or none.
        lacks = "saved state" if optimizer.built else "variables before build(model.trainable_variables)"
        warnings.warn(f"{optimizer.name} has no {lacks}: it starts from scratch.", stacklevel=3)
        return
    names = set(store.keys())
    saved = [store[str(index)] for index in range(len(names - {KEY}))]
    if len(saved) != len(variables):
        raise ValueError(
            f"{optimizer.name}: found {len(saved)} saved variables; expected {len(variables)}, those of an "
            f"optimizer of the same spec and options, built for the same model."
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
    optimizer.table.reset()  # an enclosing optimizer may have loaded another run's table


def config(optimizer: Any, kernels: Sequence[str]) -> dict[str, Any]:
    """The spec, the options, and the variables' multipliers, as a saved optimizer is loaded without its model."""
    multipliers = optimizer.multipliers()
    return {
        "spec": optimizer.spec.to_dict(),
        **{name: getattr(optimizer, name) for name in (*OPTIONS, *kernels)},
        "multipliers": None if multipliers is None else [list(each) for each in multipliers],
    }


def _variables(optimizer: Any) -> list[Any]:
    table = {id(variable) for variable in optimizer.table.variables}
    return [variable for variable in optimizer.variables if id(variable) not in table]
