"""The optimizers of a model: which ones make its updates, and of which parameters."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from types import CodeType
from typing import Any, NamedTuple

import keras
from keras import ops
from keras.optimizers import MultiOptimizer, Optimizer

from .parameters import parameters
from .scheduled import ScheduledOptimizer


class Trained(NamedTuple):
    """An optimizer that makes updates, inside of loss scaling where there is some, and the paths of its parameters."""

    optimizer: Optimizer
    paths: list[str]


def optimizers_of(model: keras.Model, who: str) -> list[Trained]:
    """The optimizers of a model that is about to be trained, built where that is possible.

    They are the one of compile(), or those inside of it if it is a MultiOptimizer, and those that a model with a
    train_step of its own keeps as attributes.
    Raises ValueError for none, and for several whose parameters are not known.
    """
    outer = _outer(model)
    if not outer:
        raise ValueError(f"{who}: found no optimizer; give one to compile().")
    if outer != [model.optimizer] and keras.backend.backend() == "jax":
        raise ValueError(
            f"{who}: found optimizers that are not the one of compile(), whose variables a train step of jax is not "
            f"given; give compile() a keras.optimizers.MultiOptimizer of them."
        )
    if len(outer) == 1 and not _is_multi(_unscaled(outer[0])):
        if not outer[0].built and model.built and isinstance(_unscaled(outer[0]), ScheduledOptimizer):
            # On tensorflow the first step would do it: late for the checks.
            outer[0].build(model.trainable_variables)
        only = _trained(_unscaled(outer[0]), model)
        # On tensorflow the first step builds it, for all that the model has.
        return [only if only.paths else only._replace(paths=[parameter.path for parameter, _ in parameters(model)])]
    for optimizer in outer:
        _build_one_of_several(optimizer, model, who)
    inner = [each for optimizer in outer for each in _within(optimizer)]
    found = [_trained(optimizer, model) for optimizer in {id(each): each for each in inner}.values()]
    return [each for each in found if each.paths]  # a MultiOptimizer may have one for no variable


def left_out(model: keras.Model) -> Optimizer | None:
    """The optimizer of compile() where the model's own train_step does without it, by all that can be seen."""
    outer = _outer(model)
    return model.optimizer if all(each is not model.optimizer for each in outer) else None


def has_own_train_step(model: keras.Model) -> bool:
    """Whether the user's code makes the updates, as many of a batch as it likes."""
    return any(
        getattr(getattr(model, name), "__func__", None) is not getattr(keras.Model, name)
        for name in ("train_step", "make_train_function")
    )


def iterations(optimizer: Optimizer) -> int:
    """How many updates an optimizer has made."""
    return int(ops.convert_to_numpy(optimizer.iterations))


def _trained(optimizer: Optimizer, model: keras.Model) -> Trained:
    path = {id(variable): parameter.path for parameter, variable in parameters(model)}
    variables = list(optimizer._trainable_variables)
    if isinstance(optimizer, ScheduledOptimizer):
        # Keras builds the optimizer of compile() for the whole model, where its own train_step uses it for a part.
        own = {id(variable) for variable in optimizer.variables_of_its_model()}
        variables = [each for each in variables if id(each) in own] or variables
    return Trained(optimizer, [path.get(id(each), each.path) for each in variables])


def _unscaled(optimizer: Optimizer) -> Optimizer:
    """The optimizer inside the LossScaleOptimizer of mixed precision, if there is one."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def _is_multi(optimizer: Optimizer) -> bool:
    return isinstance(optimizer, MultiOptimizer)


def _within(optimizer: Optimizer) -> list[Optimizer]:
    unscaled = _unscaled(optimizer)
    return list(unscaled.optimizers) if _is_multi(unscaled) else [unscaled]


def _outer(model: keras.Model) -> list[Optimizer]:
    """The optimizers that the model's train step calls, as the model has them."""
    own = [] if model.optimizer is None else [model.optimizer]
    if not has_own_train_step(model):
        return own
    inside = [id(each) for optimizer in own for each in (optimizer, _unscaled(optimizer), *_within(optimizer))]
    held = [each for name, value in vars(model).items() if name != "optimizer" for each in _held(value)]
    others = list({id(each): each for each in held if id(each) not in inside}.values())
    # compile() makes one even where the subclass that calls it has its own ones.
    return others if others and not _uses_that_of_compile(type(model)) else own + others


def _held(value: Any) -> Iterator[Optimizer]:
    """The optimizers in the value of an attribute."""
    if isinstance(value, Optimizer):
        yield value
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _held(each)
    elif isinstance(value, Mapping):
        yield from _held(list(value.values()))


def _uses_that_of_compile(model: type) -> bool:
    """Whether the code of a model's classes, Keras' own excepted, has `self.optimizer` or `super().train_step`."""
    for each in model.__mro__:
        if each.__module__.split(".")[0] == "keras" or each is object:
            continue
        for name, member in vars(each).items():
            function = member.fget if isinstance(member, property) else getattr(member, "python_function", member)
            code = getattr(inspect.unwrap(function), "__code__", None) if callable(function) else None
            if name not in ("__init__", "compile") and code is not None and _mentions(code):
                return True
    return False


def _mentions(code: CodeType) -> bool:
    inner = (each for each in code.co_consts if isinstance(each, CodeType))
    return not {"optimizer", "train_step"}.isdisjoint(code.co_names) or any(map(_mentions, inner))


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
            f"{who}: found several optimizers and one of them, {unscaled.name!r}, not built, so that its parameters "
            f"are not known; build the model, and the optimizer with optimizer.build(part.trainable_variables)."
        )
    optimizer.build(variables)
