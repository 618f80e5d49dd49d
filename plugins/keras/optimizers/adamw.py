"""AdamW in Keras."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from ...core.specs import adamw as specs
from .adam_family import Adam
from .record import KerasRecord
from .rows import Rows
from .torch_updates import scalar_tensors


@keras.saving.register_keras_serializable(package="samestep")
class AdamW(Adam):
    """Adam with decoupled weight decay, as `samestep.AdamW` defines it."""

    spec: specs.AdamW
    kernels = ("foreach", "fused")

    def _build_state(self, variables: list[Any]) -> None:
        super()._build_state(variables)
        self._largest = self.add_optimizer_variables(variables, "largest_velocity") if self.spec.amsgrad else []

    def moments(self) -> dict[str, list[Any]]:
        return {**super().moments(), **({"largest_velocity": self._largest} if self._largest else {})}

    def _scalars(self, rows: Rows) -> Any:
        step_size = rows.learning_rate / -ops.expm1(self._update_number(rows) * rows.log_momentum)
        correction = self._correction(rows)
        epsilon = ops.ones_like(step_size) * self.spec.epsilon
        if self.spec.epsilon_mode == "hat":
            epsilon = epsilon / correction
        return ops.stack([step_size, rows.retention, rows.towards_zero, correction, rows.blend, epsilon], axis=1)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        step_size, retention, towards_zero, correction, blend, epsilon = self._own(learning_rate, variable)
        index = self._get_variable_index(variable)
        m, v = self._moved_moments(index, self._signed(gradient), blend)
        if self.spec.amsgrad:
            self.assign(self._largest[index], ops.maximum(self._largest[index], v))
            v = self._largest[index]
        step = step_size * (m / (ops.sqrt(v) / correction + epsilon))
        self._decay_and_step(variable, retention, towards_zero, step)

    def _update_group(self, settings: Any, weights: list[Any], grads: list[Any], indices: list[int]) -> None:
        from ...torch.optimizers.adamw import update

        update(
            self.spec,
            settings,
            weights,
            grads,
            [self._momentums[i].value for i in indices],
            [self._velocities[i].value for i in indices],
            [self._largest[i].value for i in indices] if self._largest else [],
            # torch's fused kernel wants them on the weights' device.
            scalar_tensors(float(self.iterations), len(indices), weights[0].device if settings.fused else "cpu"),
        )


def _stock(spec: specs.AdamW) -> keras.optimizers.Optimizer:
    beta_1, beta_2 = spec.betas
    return keras.optimizers.AdamW(
        spec.learning_rate, spec.weight_decay, beta_1=beta_1, beta_2=beta_2, epsilon=spec.epsilon
    )


RECORD = KerasRecord(specs.AdamW, AdamW, _stock)
