"""A hyperparameter as Keras' own optimizers show it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import keras
from keras import ops


class CurrentValue(keras.Variable):  # type: ignore[misc]
    """The value of a hyperparameter in the next update. It can be read like any variable, but not assigned.

    Args:
        name: The hyperparameter.
        read: Returns its value, from the table.
        refuse: Raises the error for a value that is assigned.
    """

    def __init__(self, name: str, read: Callable[[], Any], refuse: Callable[[str, Any], NoReturn]) -> None:
        super().__init__(0.0, dtype="float32", trainable=False, name=name)
        self._read, self._refuse = read, refuse

    @property
    def value(self) -> Any:
        return ops.convert_to_tensor(self._read())

    @property
    def dtype(self) -> str:
        return str(keras.backend.standardize_dtype(self.value.dtype))

    def assign(self, value: Any) -> NoReturn:
        self._refuse(self.name, value)

    def assign_add(self, value: Any) -> NoReturn:
        self._refuse(self.name, self.value + value)

    def assign_sub(self, value: Any) -> NoReturn:
        self._refuse(self.name, self.value - value)
