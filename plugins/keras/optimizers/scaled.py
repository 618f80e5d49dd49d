"""Keras' loss scaling around an optimizer of a spec."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from .tracing import outside_of_traces


@keras.saving.register_keras_serializable(package="samestep")
class ScaledOptimizer(keras.optimizers.LossScaleOptimizer):
    """Keras' loss scaling, whose checkpoint only has its own variables.

    Keras' own also saves the variables of the optimizer inside by their order, including the table.
    """

    def build(self, var_list: list[Any]) -> None:
        with outside_of_traces():
            super().build(var_list)

    def save_own_variables(self, store: Any) -> None:
        for index, variable in enumerate(self._variables):
            store[str(index)] = ops.convert_to_numpy(variable)

    def load_own_variables(self, store: Any) -> None:
        if len(store.keys()) == len(self._variables):
            for index, variable in enumerate(self._variables):
                variable.assign(store[str(index)])
