"""Keras optimizers that a spec decides: the numerics of torch, on every backend."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from ..core import optimizers as specs
from ..core.optimizers import Spec, check_buildable
from .scheduled import OPTIONS, ScaledOptimizer, ScheduledOptimizer


def build_optimizer(spec: Spec, model: keras.Model, **options: Any) -> keras.optimizers.Optimizer:
    """The Keras optimizer that `spec` describes, for `model.compile(optimizer=...)`.

    options: Keras' own `gradient_accumulation_steps`, `use_ema`, `ema_momentum`, `ema_overwrite_frequency`, `name`; on
    the torch backend also torch's `foreach`, and for AdamW `fused`, which choose the kernel.
    For a model of the policy "mixed_float16" it comes inside Keras' loss scaling, as compile() would put it.
    Raises TypeError for another option, or for what is not a spec or not a Keras model.
    """
    on_torch = keras.backend.backend() == "torch"
    check_buildable(
        spec, options, {kind: (*OPTIONS, *(made.kernels if on_torch else ())) for kind, made in _OPTIMIZERS.items()}
    )
    if not isinstance(model, keras.Model):
        raise TypeError(f"build_optimizer: found {model!r} ({type(model).__name__}); expected a keras.Model.")
    optimizer = _OPTIMIZERS[type(spec)](spec, **options)
    return ScaledOptimizer(optimizer) if model.dtype_policy.name == "mixed_float16" else optimizer


@keras.saving.register_keras_serializable(package="samestep")
class AdamW(ScheduledOptimizer):
    """Adam with decoupled weight decay, as `samestep.AdamW` defines it.

    foreach, fused: torch's own choice of kernel, on the torch backend.
    """

    spec: specs.AdamW
    kernels = ("foreach", "fused")

    def __init__(
        self, spec: specs.AdamW, foreach: bool | None = None, fused: bool | None = None, **options: Any
    ) -> None:
        super().__init__(spec, **options)
        self.foreach = foreach
        self.fused = fused

    def build(self, variables: list[Any]) -> None:
        if self.built:
            return
        super().build(variables)
        self._momentums, self._velocities = self.add_optimizer_variables(variables, ["momentum", "velocity"])

    def _scalars(
        self, learning_rate: Any, weight_decay: Any, momentum: Any, retention: Any, blend: Any, log_momentum: Any
    ) -> list[Any]:
        beta_2 = self.spec.betas[1]
        update = ops.cast(self.iterations + 1, learning_rate.dtype)
        # 1 - beta ** t by expm1: in float32 the plain form loses half of its digits in the first updates.
        step_size = learning_rate / -ops.expm1(update * log_momentum)
        correction = ops.sqrt(-ops.expm1(update * math.log(beta_2))) if beta_2 else ops.ones_like(learning_rate)
        return [step_size, retention, correction, blend]

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
        self._decay_and_step(variable, retention, step)

    def _torch_update(
        self, grads: list[Any], variables: list[Any], learning_rate: float, weight_decay: float, momentum: float
    ) -> None:
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


@keras.saving.register_keras_serializable(package="samestep")
class SGDW(ScheduledOptimizer):
    """Stochastic gradient descent with decoupled weight decay, as `samestep.SGDW` defines it.

    foreach: torch's own choice of kernel, on the torch backend.
    """

    spec: specs.SGDW
    kernels = ("foreach",)

    def __init__(self, spec: specs.SGDW, *, foreach: bool | None = None, **options: Any) -> None:
        super().__init__(spec, **options)
        self.foreach = foreach

    def build(self, variables: list[Any]) -> None:
        if self.built:
            return
        super().build(variables)
        self._buffers = self.add_optimizer_variables(variables, "momentum_buffer") if self.spec.momentum else []

    def _scalars(
        self, learning_rate: Any, weight_decay: Any, momentum: Any, retention: Any, blend: Any, log_momentum: Any
    ) -> list[Any]:
        return [learning_rate, retention, momentum]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        rate, retention, momentum = ops.unstack(ops.cast(learning_rate, variable.dtype))
        direction = gradient = ops.cast(gradient, variable.dtype)
        if self._buffers:
            buffer = self._buffers[self._get_variable_index(variable)]
            moved = buffer * momentum + gradient
            self.assign(buffer, moved)
            direction = gradient + momentum * moved if self.spec.nesterov else moved
        self._decay_and_step(variable, retention, rate * direction)

    def _torch_update(
        self, grads: list[Any], variables: list[Any], learning_rate: float, weight_decay: float, momentum: float
    ) -> None:
        import torch
        from torch.optim.sgd import sgd

        weights, gradients = [variable.value for variable in variables], list(grads)
        buffers = [self._buffers[self._get_variable_index(variable)].value for variable in variables if self._buffers]
        with torch.no_grad():
            torch._foreach_mul_(weights, 1 - learning_rate * weight_decay)
            sgd(
                weights,
                gradients,
                buffers if momentum else [None] * len(weights),
                foreach=self.foreach,
                weight_decay=0.0,
                momentum=momentum,
                lr=learning_rate,
                dampening=0.0,
                nesterov=self.spec.nesterov and momentum != 0,
                maximize=False,
            )
            if buffers and not momentum:
                # torch leaves the buffer alone where the momentum is 0; by the formula it is the gradient.
                torch._foreach_copy_(buffers, gradients)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "foreach": self.foreach}


_OPTIMIZERS: dict[type[Spec], Any] = {specs.AdamW: AdamW, specs.SGDW: SGDW}
