"""Finds the optimizers that update a model, and their parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import keras
from keras.optimizers import Optimizer

from .optimizers.scheduled import ScheduledOptimizer
from .parameters import parameters
from .versions import MULTI_OPTIMIZER

_TENSORFLOWS = "_self_unconditional_dependency_names"  # where tensorflow keeps all attributes a second time


class Trained(NamedTuple):
    """An optimizer that makes updates (without the loss scaling around it), and the paths of its parameters."""

    optimizer: Optimizer
    paths: list[str]


def optimizers_of(model: keras.Model, who: str) -> list[Trained]:
    """The optimizers of a model about to be trained, built if possible.

    They are the optimizer of compile(), or those inside it if it is a MultiOptimizer, plus those that a model with its
    own train_step keeps as attributes, without the one of `set_aside`.

    Args:
        model: The model to train.
        who: The name of the caller in messages.

    Returns:
        Each optimizer with the paths of its parameters.

    Raises:
        ValueError: There is no optimizer, or there are several and the parameters of one are unknown.
    """
    if model is None:
        raise ValueError(
            f"{who}: found no model; in a loop of your own give it to the callbacks, as in "
            f"keras.callbacks.CallbackList(callbacks, model=model)."
        )
    compiled = hasattr(model, "optimizer")
    aside = set_aside(model) if compiled else None
    outer = [each for each in _outer(model) if each is not aside] if compiled else []
    if not outer:
        raise ValueError(f"{who}: found no optimizer; give one to compile().")
    if outer != [model.optimizer] and keras.backend.backend() == "jax":
        raise ValueError(
            f"{who}: found optimizers other than that of compile(), whose variables a train step on jax does not get; "
            f"give compile() a keras.optimizers.MultiOptimizer of them, which needs Keras >= 3.15."
        )
    if len(outer) == 1 and not _is_multi(_unscaled(outer[0])):
        if not outer[0].built and model.built and isinstance(_unscaled(outer[0]), ScheduledOptimizer):
            # On tensorflow the first step would build it: too late for the checks.
            outer[0].build(model.trainable_variables)
        only = _trained(_unscaled(outer[0]), model)
        # On tensorflow the first step builds it for all of the model's parameters.
        return [only if only.paths else only._replace(paths=[parameter.path for parameter, _ in parameters(model)])]
    for optimizer in outer:
        _build_one_of_several(optimizer, model, who)
    inner = [each for optimizer in outer for each in optimizers_within(optimizer)]
    found = [_trained(optimizer, model) for optimizer in {id(each): each for each in inner}.values()]
    return [each for each in found if each.paths]  # a MultiOptimizer may contain one without variables


def set_aside(model: keras.Model) -> Optimizer | None:
    """The optimizer of compile(), if a model that keeps others as attributes does not train with it; otherwise None.

    compile() makes an optimizer even if it is given none. It is assumed to be unused if it is that default, or if each
    of its parameters belongs to another optimizer, unless the model also keeps it as an attribute. If it makes updates
    nevertheless, their count shows it.
    """
    own = model.optimizer
    others = [each for each in _outer(model) if each is not own]
    if own is None or not others or any(each in (own, _unscaled(own)) for each in _kept(model)):
        return None
    if _is_default(_unscaled(own)):
        return own
    its = {id(variable) for variable in _variables(own, model.trainable_variables)}
    covered = {id(variable) for each in others for variable in _variables(each, [])}
    return own if its and its <= covered else None


def has_own_train_step(model: keras.Model) -> bool:
    """Whether the user's code makes the updates, possibly several per batch."""
    return any(
        getattr(getattr(model, name), "__func__", None) is not getattr(keras.Model, name)
        for name in ("train_step", "make_train_function")
    )


def _trained(optimizer: Optimizer, model: keras.Model) -> Trained:
    path = {id(variable): parameter.path for parameter, variable in parameters(model)}
    variables = _variables(optimizer, []) if has_own_train_step(model) else optimizer._trainable_variables
    return Trained(optimizer, [path.get(id(each), each.path) for each in variables])


def _variables(optimizer: Optimizer, unbuilt: Sequence[keras.Variable]) -> list[keras.Variable]:
    """The variables that an optimizer updates, or `unbuilt` if they are unknown until it is built."""
    unscaled = _unscaled(optimizer)
    if _is_multi(unscaled):
        inner = [variable for each in unscaled.optimizers for variable in _variables(each, [])]
        return inner or list(unbuilt)
    variables = list(unscaled._trainable_variables) if unscaled.built else []
    if isinstance(unscaled, ScheduledOptimizer):
        # Keras builds the optimizer of compile() for the whole model, even if a custom train_step uses it for a part.
        its = unscaled.variables_of_its_model()
        known = {id(variable) for variable in its}
        variables = [each for each in variables if id(each) in known] or variables or its
    return variables or list(unbuilt)


def _unscaled(optimizer: Optimizer) -> Optimizer:
    """The optimizer inside the LossScaleOptimizer of mixed precision, if there is one."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def _is_multi(optimizer: Optimizer) -> bool:
    return isinstance(optimizer, MULTI_OPTIMIZER)


def _is_default(optimizer: Optimizer) -> bool:
    """Whether an optimizer is the default that compile() makes."""
    # Names have a counter, and the class depends on the backend.
    default = keras.optimizers.RMSprop(name=optimizer.name)
    return type(optimizer) is type(default) and bool(optimizer.get_config() == default.get_config())


def optimizers_within(optimizer: Optimizer) -> list[Optimizer]:
    """The optimizers inside loss scaling and a MultiOptimizer, or the optimizer itself."""
    unscaled = _unscaled(optimizer)
    return list(unscaled.optimizers) if _is_multi(unscaled) else [unscaled]


def inner_optimizers(model: keras.Model) -> list[Optimizer]:
    """All optimizers that the model's train step may call, without what is around them."""
    return [inner for outer in _outer(model) for inner in optimizers_within(outer)]


def _outer(model: keras.Model) -> list[Optimizer]:
    """The optimizers that the model's train step may call, each once, including loss scaling."""
    own = [] if model.optimizer is None else [model.optimizer]
    if not has_own_train_step(model):
        return own
    inside = [
        id(each) for optimizer in own for each in (optimizer, _unscaled(optimizer), *optimizers_within(optimizer))
    ]
    return own + list({id(each): each for each in _kept(model) if id(each) not in inside}.values())


def _kept(model: keras.Model) -> list[Optimizer]:
    """The optimizers that a model keeps as attributes."""
    attributes = {name: value for name, value in vars(model).items() if name not in ("optimizer", _TENSORFLOWS)}
    return [each for value in attributes.values() for each in _held(value)]


def _held(value: Any) -> Iterator[Optimizer]:
    """The optimizers in the value of an attribute."""
    if isinstance(value, Optimizer):
        yield value
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _held(each)
    elif isinstance(value, Mapping):
        yield from _held(list(value.values()))


def _build_one_of_several(optimizer: Optimizer, model: keras.Model, who: str) -> None:
    if optimizer.built:
        return
    unscaled = _unscaled(optimizer)
    variables: list[keras.Variable] = []
    if _is_multi(unscaled):
        variables = model.trainable_variables if model.built else []
    elif isinstance(unscaled, ScheduledOptimizer):
        variables = unscaled.variables_of_its_model()
    if not variables:
        raise ValueError(
            f"{who}: found several optimizers, of which {unscaled.name!r} is not built, so its parameters are unknown; "
            f"build the model, and the optimizer with optimizer.build(submodel.trainable_variables)."
        )
    optimizer.build(variables)
