"""Hands a run over: from Keras to a file, and from a file to a model that continues it."""

from __future__ import annotations

import os
from typing import Any

import keras
import numpy as np
from keras import ops

from ..core.arguments.check import checks_arguments
from ..core.callbacks.errors import hand_over_error
from ..core.checkpoints.saved import Saved
from ..exchange import Exchange, Names, ParameterState, check_kinds, kinds_of, mapped, read, write
from .models import optimizers_of
from .optimizers.scheduled import ScheduledOptimizer
from .parameters import parameters
from .shared_layouts import layouts


@checks_arguments
def export_state(path: str | os.PathLike[str], model: keras.Model) -> None:
    """Write the position of a model's training, its recipe, and the moments of its parameters to a file.

    Args:
        path: The file, replaced atomically: there is always either the old file or the new one.
        model: A model that has been, or is being, trained with samestep callbacks, at the end of an epoch. The file
            does not include its weights.

    Raises:
        ValueError: The run is within an epoch; no samestep callback has trained the model; or build_optimizer did not
            make its optimizer.
    """
    saved, found, optimizers = None, {}, _ours("export_state", model)
    path_of = {id(variable): described.path for described, variable in parameters(model)}
    for number, optimizer in enumerate(optimizers):
        progress = optimizer.run.progress()
        if progress is None:
            raise hand_over_error("export_state", "a training without samestep callbacks", "train with one of them")
        if progress.position(0).update:
            raise hand_over_error(
                "export_state", f"a run within epoch {progress.epoch}", "call it at the end of an epoch"
            )
        saved = saved or Saved(progress.epoch)
        saved = saved.with_progress(number, 0, *progress.optimizers[0].drivers)
        moments, product, made = optimizer.moments(), optimizer.product(), optimizer.count.total
        for variable in optimizer._trainable_variables:
            index = optimizer._get_variable_index(variable)
            arrays = {name: np.array(ops.convert_to_numpy(each[index])) for name, each in moments.items()}
            if id(variable) in path_of:
                found[path_of[id(variable)]] = ParameterState(made, arrays, product)
    kinds = kinds_of(optimizer.spec for optimizer in optimizers)
    write(path, Exchange(saved or Saved(0), kinds, found, layouts(model)))


@checks_arguments
def import_state(path: str | os.PathLike[str], model: keras.Model, names: Names | None = None) -> int:
    """Load a file of `export_state` into a model, which then continues the run::

        model.fit(..., initial_epoch=import_state("run.npz", model, names))

    Args:
        path: A file written by `export_state`, in either framework.
        model: The model that continues the run, built, and compiled with optimizers made by build_optimizer. They get
            the moments; the weights stay as they are.
        names: For each layer or parameter of this model (its path as describe_parameters shows it) whose path differs,
            its path in the file. The layouts of layers that both frameworks have are known; for a parameter of another,
            give a pair of its path and the axes of the file's arrays in this model's order, such as ("mix/w", (1, 0)).

    Returns:
        The epoch at which to start `fit`.

    Raises:
        ValueError: The file is damaged, or parameters or optimizers do not match. The model is not changed.
    """
    exchange = read(path)
    optimizers = _ours("import_state", model)
    check_kinds(exchange, (optimizer.spec for optimizer in optimizers))
    named = {described.path: variable for described, variable in parameters(model)}
    shapes = {name: tuple(variable.shape) for name, variable in named.items()}
    theirs = mapped(exchange, shapes, names, layouts(model))
    of_variable = {id(named[name]): each for name, each in theirs.items()}
    loads = [_load(optimizer, of_variable) for optimizer in optimizers]
    for number, (optimizer, (values, made, product)) in enumerate(zip(optimizers, loads, strict=True)):
        for variable, value in values:
            variable.assign(value)
        optimizer.iterations.assign(made)
        optimizer.set_product(product)
        optimizer.run.load(Saved(exchange.saved.epoch).with_progress(0, 0, *exchange.saved.optimizers[number].drivers))
        optimizer.table.reset()
    return exchange.saved.epoch


def _ours(who: str, model: keras.Model) -> list[ScheduledOptimizer]:
    found = [optimizer for optimizer, _ in optimizers_of(model, who)]
    for optimizer in found:
        if not isinstance(optimizer, ScheduledOptimizer) or not optimizer.built:
            raise hand_over_error(
                who,
                f"the optimizer {type(optimizer).__name__}, which build_optimizer did not make or which is not built",
                "compile the built model with build_optimizer(spec, model)",
            )
    return found


def _load(
    optimizer: ScheduledOptimizer, of_variable: dict[int, ParameterState]
) -> tuple[list[tuple[Any, np.ndarray]], int, float | None]:
    """The values for an optimizer's moments, its number of updates, and its product of momenta."""
    mine = [of_variable[id(each)] for each in optimizer._trainable_variables if id(each) in of_variable]
    shared = {(each.updates, each.product) for each in mine if each.updates}
    if len(shared) > 1:
        raise hand_over_error(
            "import_state",
            f"parameters of one optimizer with different numbers of updates, {sorted({each.updates for each in mine})}",
            "continue in Lightning: a Keras optimizer has one count for all of its parameters",
        )
    values = []
    for name, variables in optimizer.moments().items():
        for variable in optimizer._trainable_variables:
            parameter = of_variable[id(variable)]
            moment = variables[optimizer._get_variable_index(variable)]
            if parameter.updates and name not in parameter.moments:
                raise hand_over_error(
                    "import_state",
                    f"no {name} of {variable.path!r} in the file",
                    "build the optimizer from the same spec",
                )
            values.append((moment, parameter.moments.get(name, np.zeros(moment.shape, "float32"))))
    return values, *next(iter(shared), (0, None))
