"""What the mirrored scheduling callbacks share: their options, and the policies of the optimizers they drive."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Generic, Literal, NamedTuple, Never, Self, TypeVar, get_args, overload

from ..arguments.check import ChecksArguments
from ..arguments.given import hook_error
from ..policies.policy import Policy

T = TypeVar("T")
OnChange = Literal["raise", "use_new", "use_saved"]
OptimizerKey = str | int
"""Which optimizer: the path of the part of the model whose parameters it has, or its number."""


class Options(NamedTuple):
    """How a callback follows its policies.

    Attributes:
        on_change: What holds where a run continues with other settings; None warns, and takes the new ones.
        verify: Whether to check that the optimizer holds the planned values.
        shared: Whether a single policy drives each of several optimizers.
    """

    on_change: OnChange | None = None
    verify: bool = False
    shared: bool = True


class Argument(Generic[T]):
    """A read-only attribute for an argument of a callback's constructor."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, callback: None, owner: type) -> Self: ...
    @overload
    def __get__(self, callback: ScheduleCallback, owner: type) -> T: ...
    def __get__(self, callback: ScheduleCallback | None, owner: type) -> Self | T:
        if callback is None:
            return self
        found: T = callback._arguments[self._name]
        return found

    def __set__(self, callback: ScheduleCallback, value: Never) -> None:
        raise self._error(callback, f"set to {value!r}")

    def __delete__(self, callback: ScheduleCallback) -> None:
        raise self._error(callback, "deleted")

    def _error(self, callback: ScheduleCallback, how: str) -> AttributeError:
        return AttributeError(
            f"{type(callback).__name__}: found {self._name} {how}; arguments are read-only: make a new callback "
            f"instead, or give an attribute of your own another name."
        )


class ScheduleCallback(ChecksArguments):
    """A callback that drives optimizers by policies.

    A framework's class adds its hooks, and its base class. Its constructor is not called again: what a checkpoint has
    is read into a policy, so that a subclass may have a constructor of its own.
    """

    _options = Options()
    _policies: Mapping[OptimizerKey | None, Policy]  # by optimizer; None is the one for whichever there is
    _updates: Mapping[OptimizerKey | None, int | None]  # updates_per_epoch=, likewise

    def __init__(self, policies: Policy | Mapping[Any, Policy], arguments: Mapping[str, Any]) -> None:
        super().__init__()
        self._arguments = dict(arguments)
        self._policies = {None: policies} if isinstance(policies, Policy) else dict(policies)
        self._updates = dict.fromkeys(self._policies)

    @property
    def _who(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        shown = {name: value for name, value in self._arguments.items() if name != "verbose" or value}
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in shown.items())})"

    def __getattr__(self, name: str) -> Any:
        error = hook_error(self, name)
        if error is not None:
            raise error
        # Before 0.2 a callback was its policy.
        policies = {} if name.startswith("_") else vars(self).get("_policies", {})
        home = policies.get(None)
        found = _FORMER.get(name, name)
        if home is None or not hasattr(home, found):
            return object.__getattribute__(self, name)  # raises; in a property, its own error
        warnings.warn(
            f"{type(self).__name__}.{name} is deprecated and will be removed in samestep 0.3; write recipe.plan(...) "
            f"for values.",
            FutureWarning,
            stacklevel=2,
        )
        return getattr(home, found)


_FORMER = {
    "used_columns": "reduced_columns",
    "of_settings": "from_settings",
    "memory": "state",
    "recall": "load_state",
    "remember": "load_state",
    "own_bases": "resolve_bases",
    "refuse": "error",
}
"""Attributes of the callbacks of 0.1 that a policy has under another name; the others kept theirs."""


def checked_verbose(who: str, verbose: Any) -> int:
    """`verbose` as given; raises ValueError for anything but 0, 1 and 2, Keras' and a Trainer's levels."""
    if verbose not in (0, 1, 2):
        raise ValueError(f"{who}: found verbose={verbose!r}; write verbose=1 to print each change, or verbose=0.")
    checked: int = verbose
    return checked


def checked_on_change(who: str, on_change: Any) -> OnChange:
    """`on_change` as given; raises ValueError for any other value."""
    if on_change not in get_args(OnChange):
        raise ValueError(
            f"{who}: found on_change={on_change!r}; write on_change='raise', on_change='use_new' or "
            f"on_change='use_saved'."
        )
    checked: OnChange = on_change
    return checked
