"""What a callback remembers of each of its trainings, for as long as that exists."""

from __future__ import annotations

from typing import Any, Self, TypeVar
from weakref import WeakKeyDictionary, ref

T = TypeVar("T")


class Memory(WeakKeyDictionary[Any, T]):
    """A value for each training: a Trainer in Lightning, a model in Keras. A copy, or a pickle, is empty."""

    def __init__(self) -> None:
        super().__init__()
        self._current: ref[Any] | None = None
        self._former: ref[Any] | None = None

    @property
    def current(self) -> Any:
        """The training that the callback's present state belongs to; None if there is none, or it is gone."""
        return None if self._current is None else self._current()

    def enter(self, training: object, state: T, fresh: T) -> T:
        """Change to a training, and keep the state of the one before.

        Args:
            training: The training.
            state: The callback's present state. Before its first training, it belongs to that.
            fresh: The state for a training that has none.

        Returns:
            The state of the training.
        """
        former, is_first = self.current, self._current is None
        self._former, self._current = self._current, ref(training)
        if is_first or former is training:
            return state
        if former is not None:
            self[former] = state
        return self.get(training, fresh)

    def undo(self) -> None:
        """Take the latest change back."""
        self._current = self._former

    def __reduce__(self) -> tuple[type[Self], tuple[()]]:
        return type(self), ()

    def __copy__(self) -> Self:
        return type(self)()

    def __deepcopy__(self, memo: object) -> Self:
        return type(self)()
