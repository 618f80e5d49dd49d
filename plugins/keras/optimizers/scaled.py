"""Keras' loss scaling around an optimizer of a spec."""

from __future__ import annotations

from typing import Any, NoReturn

import keras
from keras import ops

from . import settable
from .resizable import refuse_others
from .saving import OPTIONS, built_to_load
from .tracing import outside_of_traces


@keras.saving.register_keras_serializable(package="samestep")
class ScaledOptimizer(keras.optimizers.LossScaleOptimizer):
    """Keras' loss scaling, whose checkpoint only has its own variables.

    Keras' own also saves the variables of the optimizer inside by their order, including the table.
    """

    def build(self, var_list: list[Any]) -> None:
        with outside_of_traces():
            super().build(var_list)

    def __setattr__(self, name: str, value: Any) -> None:
        # Keras' own takes these and never uses them. Its constructor sets them before there is an optimizer inside.
        if name == "loss_scale_factor" and value is not None:
            raise TypeError(
                f"found loss_scale_factor = {value!r} set on an optimizer that scales the loss dynamically; set "
                f"initial_scale."
            )
        if name in (*settable.OF_SPECS, *OPTIONS) and name != "name" and "inner_optimizer" in vars(self):
            setattr(self.inner_optimizer, name, value)
        else:
            super().__setattr__(name, value)

    def exclude_from_weight_decay(self, var_list: Any = None, var_names: Any = None) -> NoReturn:
        """Refused: the spec has rules for that."""
        settable.refuse_exclusion()

    def variables_of_its_model(self) -> list[keras.Variable]:
        """The trainable variables, so far, of the model that the optimizer was made for."""
        found: list[keras.Variable] = self.inner_optimizer.variables_of_its_model()
        return found

    def reset(self) -> None:
        """Return to the state of a newly built optimizer, and to the initial scale. The weights stay as they are."""
        if self.built:
            self.step_counter.assign(0)
            self.dynamic_scale.assign(self.initial_scale)
        self.inner_optimizer.reset()

    def stateless_apply(self, optimizer_variables: Any, grads: Any, trainable_variables: Any) -> Any:
        refuse_others(self, optimizer_variables)
        return super().stateless_apply(optimizer_variables, grads, trainable_variables)

    def save_own_variables(self, store: Any) -> None:
        for index, variable in enumerate(self._variables):
            store[str(index)] = ops.convert_to_numpy(variable)

    def load_own_variables(self, store: Any) -> None:
        if store.keys():
            built_to_load(self, None)
        if len(store.keys()) == len(self._variables):
            for index, variable in enumerate(self._variables):
                variable.assign(store[str(index)])
