"""A Keras variable whose last axis can get another length."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np


class Resizable(keras.Variable):  # type: ignore[misc]
    """A variable of the table, whose last axis can get another length.

    On tensorflow it stays the same variable, which any step that was traced before goes on reading, the user's own
    `tf.function` too. The optimizers of Keras that have others inside save and load the variables of those as well, by
    their order: a value of another shape, which is another run's, leaves this one as it is, and what they load of the
    same shape goes when the optimizer inside is loaded.
    """

    _shape: tuple[int, ...]

    def assign(self, value: Any) -> Any:
        shape = tuple(getattr(value, "shape", ()))  # within a trace the last length is not known
        return super().assign(value) if None in shape or shape == tuple(self._shape) else self.value

    def resize(self, value: np.ndarray) -> bool:
        """Assign a value with another length of the last axis; returns whether that is possible."""
        if keras.backend.backend() != "tensorflow" or np.shape(value)[:-1] != tuple(self._shape)[:-1]:
            return False
        self._shape = np.shape(value)
        self._value.assign(value.astype(self._dtype))
        return True

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
