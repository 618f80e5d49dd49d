"""A Keras variable that can change its shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from ..versions import asks_for_shardings


def refuse_others(optimizer: keras.optimizers.Optimizer, values: Sequence[Any]) -> None:
    """Refuse values of an optimizer's variables that were taken before the table got its present shape.

    Args:
        optimizer: The optimizer, or what scales its loss.
        values: What `stateless_apply` is given for its variables.

    Raises:
        ValueError: They are. Keras' own error prints the whole table.
    """
    if keras.backend.backend() == "tensorflow":  # which refuses stateless_apply anyway
        return
    if [np.shape(value) for value in values] != [tuple(variable.shape) for variable in optimizer.variables]:
        raise ValueError(
            f"{optimizer.name}: found other values than those of optimizer.variables, such as those from before "
            f"training began; in a loop of your own with stateless_apply, take them after on_epoch_begin."
        )


class Resizable(keras.Variable):  # type: ignore[misc]
    """A variable of the table that can change its shape and dtype, and keeps its place among the optimizer's variables.

    The place matters: jax passes variables by order, Keras' wrapping optimizers save them by order, and tensorflow does
    not save a list from which anything was ever removed.

    If only the length of the last axis changes, it stays the same tensorflow variable, so that steps traced before keep
    reading it, including the user's own `tf.function`. A wrapping Keras optimizer may load another run's value into it:
    one of another shape is ignored, and one of the same shape is dropped when the optimizer inside is loaded. A
    `tf.train.Checkpoint` saves its value but never restores it: the next epoch writes its own.
    """

    _shape: tuple[int, ...]
    _dtype: str
    _value: Any

    def assign(self, value: Any) -> Any:
        shape = tuple(getattr(value, "shape", ()))  # within a trace the last length is unknown
        return super().assign(value) if None in shape or shape == tuple(self._shape) else self.value

    def resize(self, value: np.ndarray, dtype: str) -> None:
        """Assign a value of any shape and dtype."""
        only_longer = dtype == self._dtype and np.shape(value)[:-1] == tuple(self._shape)[:-1]
        if only_longer and keras.backend.backend() == "tensorflow":
            self._shape = np.shape(value)
            self._value.assign(value.astype(dtype))
            return
        self._dtype = dtype
        self._initialize(self._convert_to_tensor(value, dtype=dtype))
        self._shape = self._validate_shape(self._value.shape)

    def _initialize(self, value: Any) -> None:
        if keras.backend.backend() != "tensorflow" or not np.ndim(value):
            super()._initialize(value)
            return
        import tensorflow as tf

        self._value = tf.Variable(
            value,
            dtype=self._dtype,
            trainable=False,
            name=self.name,
            shape=[*np.shape(value)[:-1], None],
            aggregation=self._map_aggregation(self.aggregation),
        )

    def _validate_shape(self, shape: Any) -> Any:
        # Keras takes it from tensorflow's variable, which has none on the last axis.
        return super()._validate_shape(np.shape(self._value.numpy()) if None in tuple(shape) else shape)

    def _restore_from_tensors(self, restored_tensors: Any) -> Any:
        return self.value


class Guarded(Resizable):
    """One that only its owner changes: a program that sets all of an optimizer's variables leaves it as it is."""

    _own: np.ndarray
    _returned: Any = None  # on jax, what a step was given for it, and returned

    def __init__(self, value: np.ndarray, dtype: str, **options: Any) -> None:
        self._own = value.astype(dtype)
        super().__init__(value, dtype=dtype, **options)

    def write(self, value: np.ndarray) -> None:
        """Assign a value of the same shape."""
        self._own, self._returned = value.astype(self._dtype), None
        super().assign(self._own)

    @property
    def was_other(self) -> bool:
        """Whether steps, on jax, had another value than the owner's; what they returned tells, once it is assigned."""
        found = self._returned
        if found is None or getattr(found, "is_deleted", bool)():  # a later step has consumed it
            return False
        return not np.array_equal(np.asarray(found), self._own, equal_nan=True)

    def resize(self, value: np.ndarray, dtype: str) -> None:
        self._own = value.astype(dtype)
        super().resize(value, dtype)

    def assign(self, value: Any) -> Any:
        if keras.backend.backend() == "jax":
            self._put_back(value)
        return self.value

    def _put_back(self, value: Any) -> None:
        """On jax, whose train step consumes a variable's array, and assigns what the step returned for it."""
        import jax

        traced = isinstance(value, jax.core.Tracer)
        if not traced:
            self._returned = value
        if self._layout is None and not asks_for_shardings():
            self._value = self._own  # a step takes it as it is; to make an array of it each time would be slow
        elif not traced:
            super().assign(self._own)
