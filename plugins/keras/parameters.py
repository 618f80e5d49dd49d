"""The parameters of a Keras model by path, shape and role, and the penalties of its layers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import chain, count
from typing import Any

import keras
from keras import ops

from ..core.arguments.check import checks_arguments
from ..core.arguments.given import model_error
from ..core.recipes.float32 import shortest_decimal
from ..core.specs.parameter_rules import Parameter, role_by_shape
from ..core.specs.parameter_table import ParameterTable, extraction_error
from ..core.specs.spec import Spec
from .roles import names_and_roles

_SAME = ("_layers", "_modules")  # where Keras, and torch below it, keep the layers a second time
_PENALTIES = (keras.regularizers.L1, keras.regularizers.L2, keras.regularizers.L1L2)


def parameters(model: keras.Model) -> list[tuple[Parameter, keras.Variable]]:
    """The trainable parameters of a model in its own order; a shared one is listed once.

    In a Sequential or functional model a path consists of the layers' names, elsewhere of the names of the attributes
    that hold them (with the index in a list or the key in a dictionary), followed by the variable's name.
    """
    described = {id(variable): parameter for parameter, variable in _of_layers(model)}
    found = []
    for variable in model.trainable_variables:
        # A variable that cannot be found in a layer keeps Keras' own path.
        shape = tuple(variable.shape)
        other = Parameter(variable.path, shape, role_by_shape(shape))
        found.append((described.get(id(variable), other), variable))
    return found


def paths_of(model: keras.Model) -> dict[int, str]:
    """The paths of all parameters, including frozen ones, by the id of the variable."""
    return {id(variable): parameter.path for parameter, variable in _of_layers(model)}


def _of_layers(model: keras.Model) -> list[tuple[Parameter, keras.Variable]]:
    """The parameters of all layers, including frozen ones; duplicates of a path get a number."""
    found: list[tuple[Parameter, keras.Variable]] = []
    seen: set[int] = set()
    paths: set[str] = set()
    for prefix, layer in layers_within(model):
        for variable, name, role in names_and_roles(layer):
            if id(variable) in seen:
                continue
            seen.add(id(variable))
            path = f"{prefix}{name}"
            path = next(p for p in chain([path], (f"{path}_{n}" for n in count(1))) if p not in paths)
            paths.add(path)
            found.append((Parameter(path, tuple(variable.shape), role), variable))
    return found


@checks_arguments
def describe_parameters(spec: Spec, model: keras.Model) -> ParameterTable:
    """What `spec` sets for each trainable parameter of `model`: a table to print.

    Args:
        spec: The spec, with its rules.
        model: The model, built.

    Returns:
        One row per parameter: path, shape, role, the rules that applied, and the base values of learning rate and
        weight decay.

    Raises:
        ValueError: A rule matches nothing, or the model is not built.
    """
    _require_built(model, "describe_parameters")
    return ParameterTable.of(spec, [parameter for parameter, _ in parameters(model)])


@checks_arguments
def extract_weight_decay(
    model: keras.Model, optimizer: keras.optimizers.Optimizer | None = None, *, zero: bool = True
) -> dict[str, tuple[float, float]]:
    """The penalties of each parameter, (l1, l2) by path, for `from_keras_adamw` or rules of your own.

    Args:
        model: The model whose layers, including those inside wrappers and cells, have regularizers.
        optimizer: None; the weight decay of Keras' own optimizers is already decoupled.
        zero: Remove the penalties from the model and its loss once all have been read. The next `fit` compiles the
            train step again.

    Returns:
        The penalties of the parameters that have one.

    Raises:
        ValueError: An optimizer is given, a regularizer is not L1, L2 or L1L2, or the model is not built. Nothing is
            changed.
    """
    if optimizer is not None:
        raise extraction_error(
            f"a {type(optimizer).__name__} whose weight decay is decoupled", "set weight_decay= in a spec"
        )
    _require_built(model, "extract_weight_decay")
    found = {}
    for parameter, variable in _of_layers(model):
        penalty = variable.regularizer
        if penalty is None:
            continue
        if type(penalty) not in _PENALTIES:
            raise extraction_error(
                f"a {type(penalty).__name__} as the regularizer of {parameter.path!r}",
                "replace it with L1, L2 or L1L2, or leave it in the loss and write the others as rules",
            )
        pair = _decimal(getattr(penalty, "l1", 0.0)), _decimal(getattr(penalty, "l2", 0.0))
        if pair != (0.0, 0.0):
            found[parameter.path] = pair
    if zero:
        for _, variable in _of_layers(model):
            variable.regularizer = None
        for _, layer in layers_within(model):
            # A layer passes its own to the layers that it creates, and saves it.
            for name, value in list(vars(layer).items()):
                if name.endswith("_regularizer") and "activity" not in name and isinstance(value, _PENALTIES):
                    setattr(layer, name, None)
        model.train_function = model.test_function = None
    return found


def _require_built(model: keras.Model, what: str) -> None:
    if not isinstance(model, keras.Model):
        raise model_error(what, model, "keras")
    if not model.built:
        raise ValueError(
            f"{what}: found the model {model.name!r}, which is not built and has no parameters yet; build it, or call "
            f"it on some data, first."
        )


def _decimal(value: Any) -> float:
    """A regularizer's number, which some keep as a float32, as the decimal it was written as."""
    return float(value) if isinstance(value, (int, float)) else shortest_decimal(float(ops.convert_to_numpy(value)))


def layers_within(model: keras.Model) -> Iterator[tuple[str, keras.layers.Layer]]:
    """A model and all layers inside it, each once, with the prefix of their variables' paths."""
    seen: set[int] = set()
    waiting: list[tuple[str, keras.layers.Layer]] = [("", model)]
    while waiting:
        prefix, layer = waiting.pop()
        if id(layer) not in seen:
            seen.add(id(layer))
            yield prefix, layer
            waiting += [(f"{prefix}{name}/", child) for name, child in reversed(list(_children(layer)))]


def _children(layer: keras.layers.Layer) -> Iterator[tuple[str, keras.layers.Layer]]:
    children = layer._flatten_layers(include_self=False, recursive=False)
    if isinstance(layer, keras.Sequential) or hasattr(layer, "operations"):  # a functional model has operations
        yield from ((child.name, child) for child in children)
        return
    named: dict[int, str] = {}
    # A name with Keras' per-process counter is not stable; a private attribute's name is better.
    held = {**vars(layer).get("_modules", {}), **vars(layer)}  # on torch, layers are modules, with their layers there
    public = {name: value for name, value in held.items() if not name.startswith("_")}
    private = {name.lstrip("_"): value for name, value in held.items() if name[0] == "_" and name not in _SAME}
    for attributes, only_counted in ((public, False), (private, True)):
        for name, value in attributes.items():
            for path, child in _held(name, value):
                if not only_counted or _is_counted(child):
                    named.setdefault(id(child), path)
    yield from ((named.get(id(child), child.name), child) for child in children)


def _is_counted(layer: keras.layers.Layer) -> bool:
    """Whether Keras made up a layer's name from its class and a counter."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", type(layer).__name__).lower()
    return re.fullmatch(rf"{re.escape(snake)}(_\d+)?", layer.name) is not None


def _held(name: str, value: Any) -> Iterator[tuple[str, keras.layers.Layer]]:
    """The layers in an attribute's value, with their names."""
    if isinstance(value, keras.layers.Layer):
        yield name, value
    elif isinstance(value, (list, tuple, Mapping)):
        items = value.items() if isinstance(value, Mapping) else enumerate(value)
        for key, item in items:
            yield from _held(f"{name}/{key}", item)
