"""Keras optimizers that a spec decides: hyperparameters from a table, numerics of torch, on every backend."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from ..core.optimizers import HYPERPARAMETERS, Spec, buildable
from ..core.optimizers import AdamW as AdamWSpec
from .table import EagerTable, GraphTable

_OPTIONS = ("ema_momentum", "ema_overwrite_frequency", "gradient_accumulation_steps", "name", "use_ema")
_TORCH_OPTIONS = ("foreach", "fused")


def build_optimizer(spec: Spec, model: keras.Model, **options: Any) -> keras.optimizers.Optimizer:
    """The Keras optimizer that `spec` describes, for `model.compile(optimizer=...)`.

    options: Keras' own `gradient_accumulation_steps`, `use_ema`, `ema_momentum`, `ema_overwrite_frequency`, `name`; on
    the torch backend also torch's `foreach` and `fused`, which choose the kernel.
    For a model of the policy "mixed_float16" it comes inside Keras' loss scaling, as compile() would put it.
    Raises TypeError for another option, or for what is not a spec or not a Keras model.
    """
    known = (*_OPTIONS, *(_TORCH_OPTIONS if keras.backend.backend() == "torch" else ()))
    spec = buildable(spec, options, known)
    if not isinstance(model, keras.Model):
        raise TypeError(f"build_optimizer: found {model!r} ({type(model).__name__}); expected a keras.Model.")
    optimizer = AdamW(spec, **options)
    return ScaledOptimizer(optimizer) if model.dtype_policy.name == "mixed_float16" else optimizer


class ScheduledOptimizer(keras.optimizers.Optimizer):
    """An optimizer whose hyperparameters come from a table, update by update.

    spec: the numbers; without a callback, the base values hold.

    Its learning rate and weight decay are not settable: they are the spec's, times the schedules of a callback. Its
    checkpoint holds what torch's would, the moments and the number of updates; the table is not part of it.
    """

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
        config = {name: getattr(self, name) for name in _OPTIONS}
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


@keras.saving.register_keras_serializable(package="samestep")
class AdamW(ScheduledOptimizer):
    """Adam with decoupled weight decay, as `samestep.AdamW` defines it.

    foreach, fused: torch's own choice of kernel, on the torch backend.
    """

    spec: AdamWSpec

    def __init__(self, spec: AdamWSpec, foreach: bool | None = None, fused: bool | None = None, **options: Any) -> None:
        super().__init__(spec, **options)
        self.foreach = foreach
        self.fused = fused

    def build(self, variables: list[Any]) -> None:
        if self.built:
            return
        super().build(variables)
        self._momentums, self._velocities = self.add_optimizer_variables(variables, ["momentum", "velocity"])

    def _backend_update_step(self, grads: list[Any], trainable_variables: list[Any], learning_rate: Any) -> None:
        column: Any = self.table.column()
        self.table.record(column)
        if keras.backend.backend() == "torch":
            self._torch_update(grads, trainable_variables, *column[: len(HYPERPARAMETERS)])
            return
        rate, _, _, retention, blend, log_momentum = ops.unstack(column)
        beta_2 = self.spec.betas[1]
        update = ops.cast(self.iterations + 1, column.dtype)
        # 1 - beta ** t by expm1: in float32 the plain form loses half of its digits in the first updates.
        step_size = rate / -ops.expm1(update * log_momentum)
        correction = ops.sqrt(-ops.expm1(update * math.log(beta_2))) if beta_2 else ops.ones_like(rate)
        scalars = ops.stack([step_size, retention, correction, blend])
        super()._backend_update_step(grads, trainable_variables, scalars)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        step_size, retention, correction, blend = ops.unstack(ops.cast(learning_rate, variable.dtype))
        beta_2 = self.spec.betas[1]
        index = self._get_variable_index(variable)
        gradient = ops.cast(gradient, variable.dtype)
        momentum, velocity = self._momentums[index], self._velocities[index]
        m = momentum + (gradient - momentum) * blend
        v = velocity * beta_2 + ops.square(gradient) * (1.0 - beta_2)
        self.assign(momentum, m)
        self.assign(velocity, v)
        step = step_size * (m / (ops.sqrt(v) / correction + self.spec.epsilon))
        decayed = variable * retention
        # XLA would contract `decayed - step` into one fused multiply-add, which does not round the product as torch
        # does: over 1,000 updates, 40 units in the last place. A second use of the product keeps it apart; the
        # comparison is false for nan only, where both branches are nan.
        self.assign(variable, ops.where(ops.equal(decayed, decayed), decayed - step, decayed))

    def _torch_update(
        self, grads: list[Any], variables: list[Any], learning_rate: float, weight_decay: float, momentum: float
    ) -> None:
        """One update of all variables by torch's own kernels, with torch's own numbers."""
        import torch
        from torch.optim.adamw import adamw

        indices = [self._get_variable_index(variable) for variable in variables]
        # One counter for each variable, as torch keeps them; its fused kernel wants them beside the variables.
        device = variables[0].value.device if self.fused else "cpu"
        made = torch.full((len(indices),), float(self.iterations), device=device).unbind()
        with torch.no_grad():
            adamw(
                [variable.value for variable in variables],
                list(grads),
                [self._momentums[i].value for i in indices],
                [self._velocities[i].value for i in indices],
                [],
                list(made),
                foreach=self.foreach,
                fused=self.fused,
                amsgrad=False,
                beta1=momentum,
                beta2=self.spec.betas[1],
                lr=learning_rate,
                weight_decay=weight_decay,
                eps=self.spec.epsilon,
                maximize=False,
            )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "foreach": self.foreach, "fused": self.fused}
