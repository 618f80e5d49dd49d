"""What the Keras optimizers of all specs share: hyperparameters from a table, and a checkpoint without it."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import keras
from keras import ops

from ..core.optimizers import HYPERPARAMETERS, Spec
from .table import EagerTable, GraphTable

OPTIONS = ("ema_momentum", "ema_overwrite_frequency", "gradient_accumulation_steps", "name", "use_ema")


class ScheduledOptimizer(keras.optimizers.Optimizer, ABC):
    """An optimizer whose hyperparameters come from a table, update by update.

    spec: the numbers; without a callback, the base values hold.

    Its learning rate and weight decay are not settable: they are the spec's, times the schedules of a callback. Its
    checkpoint holds what torch's would, the moments and the number of updates; the table is not part of it.
    """

    kernels: ClassVar[tuple[str, ...]] = ()  # options that choose among torch's, on the torch backend

    def __init__(self, spec: Spec, **options: Any) -> None:
        # A callable learning rate keeps Keras from making a variable of its own for it.
        super().__init__(learning_rate=self._next_learning_rate, **options)
        self.spec = spec
        self.table = (EagerTable if keras.backend.backend() == "torch" else GraphTable)(self, spec)

    def _next_learning_rate(self) -> Any:
        return ops.convert_to_tensor(self.table.column()[0])

    @property
    def learning_rate(self) -> Any:
        """The learning rate of the next update."""
        return self._next_learning_rate()

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        raise self._not_settable("learning_rate", value)

    @property
    def weight_decay(self) -> Any:
        """The weight decay of the next update."""
        return ops.convert_to_tensor(self.table.column()[1]) if hasattr(self, "table") else None

    @weight_decay.setter
    def weight_decay(self, value: Any) -> None:
        if value is not None:  # None is what Keras' own constructor writes
            raise self._not_settable("weight_decay", value)

    def _not_settable(self, name: str, value: Any) -> TypeError:
        return TypeError(
            f"found {name} = {value!r} set on an optimizer of build_optimizer, whose values are those of its spec; use "
            f"a callback of samestep.keras, such as HyperparameterScheduler(Recipe({name}=...))."
        )

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        if keras.backend.backend() != "tensorflow":
            super().apply(grads, trainable_variables)
            return
        import tensorflow as tf

        if not self.built and trainable_variables is not None:
            with keras.name_scope(self.name, caller=self):
                self.build(list(trainable_variables))  # variables cannot be made under a control dependency
        # The gradient of an embedding comes as slices; torch's, and the moments, are dense.
        grads = [tf.convert_to_tensor(g) if isinstance(g, tf.IndexedSlices) else g for g in grads]
        # Data of unknown length ends inside the compiled step, by an error. Nothing that counts updates may have run
        # by then: without this order `iterations`, which depends on no data, is one too high after every epoch, as it
        # is with Keras' own optimizers (3.15).
        with tf.control_dependencies([g for g in grads if g is not None]):
            super().apply(grads, trainable_variables)

    def _backend_update_step(self, grads: list[Any], trainable_variables: list[Any], learning_rate: Any) -> None:
        column: Any = self.table.column()
        self.table.record(column)
        if keras.backend.backend() == "torch":
            self._torch_update(grads, trainable_variables, *column[: len(HYPERPARAMETERS)])
        else:
            super()._backend_update_step(grads, trainable_variables, ops.stack(self._scalars(*ops.unstack(column))))

    @abstractmethod
    def _scalars(
        self, learning_rate: Any, weight_decay: Any, momentum: Any, retention: Any, blend: Any, log_momentum: Any
    ) -> list[Any]:
        """What `update_step` is given as its learning rate, formed once for all variables from the table's rows."""

    @abstractmethod
    def _torch_update(
        self, grads: list[Any], variables: list[Any], learning_rate: float, weight_decay: float, momentum: float
    ) -> None:
        """One update of all variables by torch's own kernels, with torch's own numbers."""

    def _decay_and_step(self, variable: Any, retention: Any, step: Any) -> None:
        """variable <- variable * retention - step."""
        decayed = variable * retention
        # XLA would contract `decayed - step` into one fused multiply-add, which does not round the product as torch
        # does: over 1,000 updates, 40 units in the last place. A second use of the product keeps it apart; the
        # comparison is false for nan only, where both branches are nan.
        self.assign(variable, ops.where(ops.equal(decayed, decayed), decayed - step, decayed))

    def _apply_weight_decay(self, variables: Any) -> None:
        """Nothing: the update does decay and step in one expression."""

    def save_own_variables(self, store: Any) -> None:
        for index, variable in enumerate(self._saved_variables()):
            store[str(index)] = ops.convert_to_numpy(variable)

    def load_own_variables(self, store: Any) -> None:
        variables = self._saved_variables()
        if not self.built or not store.keys():
            # As with Keras' own optimizers: pretrained weights may come with another optimizer's state, or with none.
            lacks = "saved state" if self.built else "variables before build(model.trainable_variables)"
            warnings.warn(f"{self.name} has no {lacks}: it starts afresh.", stacklevel=2)
            return
        if len(store.keys()) != len(variables):
            raise ValueError(
                f"{self.name}: found {len(store.keys())} saved variables; expected {len(variables)}, those of an "
                f"optimizer of the same spec and options, built for the same model."
            )
        for index, variable in enumerate(variables):
            variable.assign(store[str(index)])

    def _saved_variables(self) -> list[Any]:
        table = {id(variable) for variable in self.table.variables}
        return [variable for variable in self.variables if id(variable) not in table]

    def get_config(self) -> dict[str, Any]:
        config = {name: getattr(self, name) for name in OPTIONS}
        return {"spec": self.spec.to_dict(), **config}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Any = None) -> ScheduledOptimizer:
        return cls(Spec.from_dict(config["spec"]), **{k: v for k, v in config.items() if k != "spec"})


@keras.saving.register_keras_serializable(package="samestep")
class ScaledOptimizer(keras.optimizers.LossScaleOptimizer):
    """Keras' loss scaling, with a checkpoint of its own variables alone.

    The one of Keras saves the variables of the optimizer inside as well, by their order, the table among them.
    """

    def save_own_variables(self, store: Any) -> None:
        for index, variable in enumerate(self._variables):
            store[str(index)] = ops.convert_to_numpy(variable)

    def load_own_variables(self, store: Any) -> None:
        if len(store.keys()) == len(self._variables):
            for index, variable in enumerate(self._variables):
                variable.assign(store[str(index)])
