"""SGDW in Keras."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from ...core.specs import sgdw as specs
from .record import KerasRecord
from .rows import Rows
from .scheduled import ScheduledOptimizer
from .tracing import rounded_sum


@keras.saving.register_keras_serializable(package="samestep")
class SGDW(ScheduledOptimizer):
    """Stochastic gradient descent with decoupled weight decay, as `samestep.SGDW` defines it."""

    spec: specs.SGDW
    kernels = ("foreach", "fused")

    def _build_state(self, variables: list[Any]) -> None:
        self._buffers = self.add_optimizer_variables(variables, "momentum_buffer") if self.spec.momentum else []

    def moments(self) -> dict[str, list[Any]]:
        return {"momentum_buffer": self._buffers} if self._buffers else {}

    def _scalars(self, rows: Rows) -> Any:
        return ops.stack([rows.learning_rate, rows.retention, rows.towards_zero, rows.momentum], axis=1)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        rate, retention, towards_zero, momentum = self._own(learning_rate, variable)
        gradient = self._signed(gradient)
        inside = self.spec.momentum_mode == "keras"
        direction = gradient = gradient * rate if inside else gradient
        if self._buffers:
            buffer = self._buffers[self._get_variable_index(variable)]
            moved = rounded_sum(buffer * momentum, gradient)
            self.assign(buffer, moved)
            direction = gradient + momentum * moved if self.spec.nesterov else moved
        self._decay_and_step(variable, retention, towards_zero, direction if inside else rate * direction)

    def _update_group(self, settings: Any, weights: list[Any], grads: list[Any], indices: list[int]) -> None:
        from ...torch.optimizers.sgdw import update

        buffers = [self._buffers[i].value for i in indices] if self._buffers else []
        made = update(self.spec, settings, weights, grads, list(buffers))
        for buffer, new in zip(buffers, made, strict=False):
            if new is not buffer:
                buffer.copy_(new)


def _stock(spec: specs.SGDW) -> keras.optimizers.Optimizer:
    return keras.optimizers.SGD(
        spec.learning_rate, spec.momentum, nesterov=spec.nesterov, weight_decay=spec.weight_decay
    )


RECORD = KerasRecord(specs.SGDW, SGDW, _stock)
