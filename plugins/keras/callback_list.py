"""Finds the callbacks that train together, and runs samestep's before all others."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import keras


class TrainedTogether:
    """All callbacks of one training.

    Args:
        callback: One of them, in its `on_train_begin`. If the user's own code calls its hooks, there is no list and no
            other callback.

    Attributes:
        in_fit: Whether Keras' own fit of the callback's model calls it.
    """

    def __init__(self, callback: keras.callbacks.Callback) -> None:
        callers = list(_callers())
        self._list, self._enclosing = _lists_that_run(callers)
        self.in_fit: bool = any(
            name == "fit" and module.startswith("keras.") and caller is callback.model
            for name, module, caller in callers
        )
        self.callbacks: list[Any] = [callback] if self._list is None else list(_flat(self._list))

    def others(self, callback: keras.callbacks.Callback) -> list[str]:
        """The class names of all others, without Keras' own progress bar and history."""
        kept = (keras.callbacks.History, keras.callbacks.ProgbarLogger, Ahead)
        return [type(each).__name__ for each in self.callbacks if each is not callback and type(each) not in kept]

    def is_within(self, other: TrainedTogether) -> bool:
        """Whether this training runs within a hook of another one."""
        return any(each is other._list for each in self._enclosing)

    def go_ahead(self, owners: Sequence[Owner]) -> Ahead | None:
        """Have these called before all callbacks of the list; None if there is no list."""
        if self._list is None:
            return None
        ahead = Ahead(self._list, owners)
        # A new list, because Keras is iterating over the old one; without what a failed fit left in it.
        self._list.callbacks = [ahead, *(each for each in self._list.callbacks if not isinstance(each, Ahead))]
        return ahead


class Owner(Protocol):
    """Something called before all callbacks of a list."""

    def _check_is_of(self, ahead: Ahead) -> None: ...

    def _start(self, epoch: int) -> None: ...

    def _end_batch(self) -> None: ...

    def _end_epoch(self, epoch: int, logs: Any) -> None: ...


class Ahead(keras.callbacks.Callback):
    """Calls its owners before all callbacks of the list; stays first in the list until removed."""

    def __init__(self, callback_list: keras.callbacks.CallbackList, owners: Sequence[Owner]) -> None:
        super().__init__()
        self._list, self._owners = callback_list, owners

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        for owner in self._owners:
            owner._check_is_of(self)
            owner._start(epoch)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        for owner in self._owners:
            owner._end_batch()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        for owner in self._owners:
            owner._check_is_of(self)
            owner._end_epoch(epoch, logs)

    def remove(self) -> None:
        """Leave the list; the user may pass it to another fit."""
        self._list.callbacks = [each for each in self._list.callbacks if each is not self]


def _callers() -> Iterator[tuple[str, str, Any]]:
    """The functions on the call stack, from the innermost one: name, module, and `self` of a method."""
    frame = inspect.currentframe()
    while frame is not None:
        yield frame.f_code.co_name, str(frame.f_globals.get("__name__")), frame.f_locals.get("self")
        frame = frame.f_back


def _lists_that_run(
    callers: Sequence[tuple[str, str, Any]],
) -> tuple[keras.callbacks.CallbackList | None, list[keras.callbacks.CallbackList]]:
    """The list whose `on_train_begin` is calling, the outermost one if lists are nested; and those it runs within.

    Keras gives a callback its model and the run's `params`, but no way to the list (3.10 to 3.15), so it is looked up
    on the call stack.
    """
    found, enclosing = None, list[keras.callbacks.CallbackList]()
    for name, _, caller in callers:
        if not isinstance(caller, keras.callbacks.CallbackList) or not name.startswith("on_"):
            continue
        # A fit inside a callback's hook has its own list; one further out belongs to another fit.
        if name == "on_train_begin" and not enclosing and (found is None or found in caller.callbacks):
            found = caller
        else:
            enclosing.append(caller)
    return found, enclosing


def _flat(callback_list: keras.callbacks.CallbackList) -> Iterator[keras.callbacks.Callback]:
    for each in callback_list.callbacks:
        if isinstance(each, keras.callbacks.CallbackList):
            yield from _flat(each)
        else:
            yield each
