"""The errors of what was given to the wrong framework, or as a class where an object is expected."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial, update_wrapper
from types import MethodType
from typing import Any, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])

_PACKAGE = __name__.partition(".")[0]
# The hooks by which a trainer first asks a callback of the other framework, or something that is no callback.
_OF_LIGHTNING = ("setup", "on_exception", "state_key")
_OF_KERAS = ("on_batch_end", "set_model", "set_params")


def hook_error(found: object, name: str) -> AttributeError | None:
    """The error of a callback, or a recipe, that a trainer asked for a hook that it does not have; None otherwise."""
    asks = "lightning" if name in _OF_LIGHTNING else "keras" if name in _OF_KERAS else ""
    if not asks:
        return None
    for each in type(found).__mro__:
        room = each.__module__.removeprefix(f"{_PACKAGE}.").partition(".")[0]
        if room in ("keras", "lightning") and not each.__name__.startswith("_"):
            what, remedy = f"a callback of {_PACKAGE}.{room}", f"from {_PACKAGE}.{asks} import {each.__name__}"
            break
    else:
        what, remedy = f"a {type(found).__name__}", f"HyperparameterScheduler({type(found).__name__.lower()})"
    trainer = "a Lightning Trainer" if asks == "lightning" else "Keras' fit()"
    return AttributeError(f"{type(found).__name__}: found {what} given to {trainer}; write {remedy}.")


class _OnInstances:
    """A hook that says so if it is called on the class, as by a trainer that was given the class."""

    def __init__(self, hook: Callable[..., Any]) -> None:
        self._hook = hook
        update_wrapper(cast(Any, self), hook)

    def __get__(self, callback: object | None, owner: type) -> Callable[..., Any]:
        return partial(_refuse_class, owner) if callback is None else MethodType(self._hook, callback)


def on_instances(hook: F) -> F:
    """Make a hook refuse to be called on the class."""
    return cast(F, _OnInstances(hook))


def _refuse_class(owner: type, *args: Any, **kwargs: Any) -> None:
    raise TypeError(f"found the class {owner.__name__} among the callbacks; write {owner.__name__}(...), an instance.")


def model_error(who: str, found: object, room: str) -> TypeError:
    """The error of something that is no model of a framework.

    Args:
        who: The function that was given it.
        found: What was given.
        room: The framework's room: "keras" or "lightning".
    """
    other = "lightning" if room == "keras" else "keras"
    kind = type(found).__name__
    expected = "keras.Model" if room == "keras" else "torch.nn.Module"
    if isinstance(found, type):
        return TypeError(f"{who}: found the class {found.__name__}; give a model, such as {found.__name__}(...).")
    if is_model(found) and _libraries(found) & ({"torch"} if room == "keras" else {"keras"}):
        its = "torch" if room == "keras" else "Keras"
        return TypeError(
            f"{who}: found the {its} model {kind}; write from {_PACKAGE}.{other} import {who}, or give a {expected}."
        )
    if isinstance(found, (list, tuple, Iterator)):
        return TypeError(f"{who}: found a {kind}; give the model itself, which has the paths of its parameters.")
    shown = repr(found)
    shown = f"{shown} ({kind})" if "\n" not in shown and len(shown) < 100 else f"a {kind}"
    return TypeError(f"{who}: found {shown}; expected a {expected}.")


def is_model(found: object) -> bool:
    """Whether it looks like a model of torch or of Keras."""
    return not isinstance(found, type) and (hasattr(found, "named_modules") or hasattr(found, "trainable_weights"))


def _libraries(found: object) -> set[str]:
    return {each.__module__.partition(".")[0] for each in type(found).__mro__}
