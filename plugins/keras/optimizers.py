"""Keras optimizers that a spec decides: the numerics of torch, on every backend."""

from __future__ import annotations

import math
import weakref
from typing import Any

import keras
from keras import ops

from ..core import optimizers as specs
from ..core.optimizers import Spec, check_buildable
from ..core.parameters import Parameter, assign
from .parameters import parameters
from .scheduled import OPTIONS, ScaledOptimizer, ScheduledOptimizer, rounded_sum


def build_optimizer(spec: Spec, model: keras.Model, **options: Any) -> keras.optimizers.Optimizer:
    """The Keras optimizer that `spec` describes, for `model.compile(optimizer=...)`.

    options: Keras' own `gradient_accumulation_steps`, `use_ema`, `ema_momentum`, `ema_overwrite_frequency`, `name`; on
    the torch backend also torch's `foreach`, and of AdamW and SGDW `fused`, which choose the kernel: a fused one unless
    an option says otherwise.
    For a model of the policy "mixed_float16" it comes inside Keras' loss scaling, as compile() would put it.
    Raises TypeError for another option, or for what is not a spec or not a Keras model; ValueError for a rule that
    matches nothing, at once if the model is built and otherwise once it is.
    """
    on_torch = keras.backend.backend() == "torch"
    check_buildable(
        spec, options, {kind: (*OPTIONS, *(made.kernels if on_torch else ())) for kind, made in _OPTIMIZERS.items()}
    )
    if not isinstance(model, keras.Model):
        raise TypeError(f"build_optimizer: found {model!r} ({type(model).__name__}); expected a keras.Model.")
    if model.built and spec.parameters:
        assign(spec.parameters, spec.l1_ratio, [parameter for parameter, _ in parameters(model)])
    reference = weakref.ref(model)

    def found() -> list[tuple[Parameter, keras.Variable]]:
        there = reference()
        return [] if there is None else parameters(there)

    optimizer = _OPTIMIZERS[type(spec)](spec, parameters=found, **options)
    return ScaledOptimizer(optimizer) if model.dtype_policy.name == "mixed_float16" else optimizer


@keras.saving.register_keras_serializable(package="samestep")
class AdamW(ScheduledOptimizer):
    """Adam with decoupled weight decay, as `samestep.AdamW` defines it."""

    spec: specs.AdamW
    kernels = ("foreach", "fused")

    def _build_state(self, variables: list[Any]) -> None:
        self._momentums, self._velocities = self.add_optimizer_variables(variables, ["momentum", "velocity"])
        self._largest = self.add_optimizer_variables(variables, "largest_velocity") if self.spec.amsgrad else []

    def _scalars(
        self,
        learning_rate: Any,
        weight_decay: Any,
        momentum: Any,
        retention: Any,
        towards_zero: Any,
        blend: Any,
        log_momentum: Any,
    ) -> Any:
        beta_2, epsilon = self.spec.betas[1], self.spec.epsilon
        update = ops.cast(self.iterations + 1, learning_rate.dtype)
        # 1 - beta ** t by expm1: in float32 the plain form loses half of its digits in the first updates.
        step_size = learning_rate / -ops.expm1(update * log_momentum)
        correction = ops.ones_like(learning_rate)
        if beta_2:
            correction = correction * ops.sqrt(-ops.expm1(update * math.log(beta_2)))
        epsilons = ops.ones_like(learning_rate) * epsilon
        if self.spec.epsilon_mode == "hat":
            epsilons = epsilons / correction
        return ops.stack([step_size, retention, towards_zero, correction, blend, epsilons], axis=1)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        step_size, retention, towards_zero, correction, blend, epsilon = self._own(learning_rate, variable)
        beta_2 = self.spec.betas[1]
        index = self._get_variable_index(variable)
        gradient = ops.cast(gradient, variable.dtype)
        momentum, velocity = self._momentums[index], self._velocities[index]
        if self.spec.maximize:
            gradient = -gradient
        m = momentum + (gradient - momentum) * blend
        v = velocity * beta_2 + ops.square(gradient) * (1.0 - beta_2)
        self.assign(momentum, m)
        self.assign(velocity, v)
        if self.spec.amsgrad:
            v = ops.maximum(self._largest[index], v)
            self.assign(self._largest[index], v)
        step = step_size * (m / (ops.sqrt(v) / correction + epsilon))
        self._decay_and_step(variable, retention, towards_zero, step)

    def _update_group(self, settings: Any, weights: list[Any], grads: list[Any], indices: list[int]) -> None:
        from .. import kernels

        kernels.adamw(
            self.spec,
            settings,
            weights,
            grads,
            [self._momentums[i].value for i in indices],
            [self._velocities[i].value for i in indices],
            [self._largest[i].value for i in indices] if self._largest else [],
            # torch's fused kernel wants them beside the weights.
            _scalar_tensors(float(self.iterations), len(indices), weights[0].device if settings.fused else "cpu"),
        )


@keras.saving.register_keras_serializable(package="samestep")
class NAdamW(ScheduledOptimizer):
    """Adam with Nesterov momentum and decoupled weight decay, as `samestep.NAdamW` defines it."""

    spec: specs.NAdamW
    kernels = ("foreach",)

    def _build_state(self, variables: list[Any]) -> None:
        self._momentums, self._velocities = self.add_optimizer_variables(variables, ["momentum", "velocity"])
        self._product = self.add_variable((), initializer="ones", dtype="float32", name="product")

    def _mu(self, momentum: Any, update: Any) -> Any:
        return momentum * (1.0 - 0.5 * ops.exp(update * (self.spec.momentum_decay * math.log(0.96))))

    def _scalars(
        self,
        learning_rate: Any,
        weight_decay: Any,
        momentum: Any,
        retention: Any,
        towards_zero: Any,
        blend: Any,
        log_momentum: Any,
    ) -> Any:
        beta_2 = self.spec.betas[1]
        update = ops.cast(self.iterations + 1, learning_rate.dtype)
        mu, following = self._mu(momentum, update), self._mu(momentum, update + 1)
        product = ops.cast(self._product, mu.dtype) * mu
        self._product.assign(product[0])
        of_gradient = learning_rate * (1.0 - mu) / (1.0 - product)
        of_moment = learning_rate * following / (1.0 - product * following)
        correction = ops.ones_like(learning_rate)
        if beta_2:
            correction = correction * ops.sqrt(-ops.expm1(update * math.log(beta_2)))
        return ops.stack([of_gradient, of_moment, retention, towards_zero, correction, blend], axis=1)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        of_gradient, of_moment, retention, towards_zero, correction, blend = self._own(learning_rate, variable)
        beta_2 = self.spec.betas[1]
        index = self._get_variable_index(variable)
        gradient = ops.cast(gradient, variable.dtype)
        momentum, velocity = self._momentums[index], self._velocities[index]
        if self.spec.maximize:
            gradient = -gradient
        m = momentum + (gradient - momentum) * blend
        v = velocity * beta_2 + ops.square(gradient) * (1.0 - beta_2)
        self.assign(momentum, m)
        self.assign(velocity, v)
        denominator = ops.sqrt(v) / correction + self.spec.epsilon
        steps = of_gradient * gradient / denominator, of_moment * m / denominator
        self._decay_and_step(variable, retention, towards_zero, *steps)

    def _torch_update(self, grads: list[Any], variables: list[Any], column: list[list[float]]) -> None:
        super()._torch_update(grads, variables, column)
        self._product.assign(self._multiplied)

    def _update_group(self, settings: Any, weights: list[Any], grads: list[Any], indices: list[int]) -> None:
        from .. import kernels

        products = _scalar_tensors(float(self._product), len(indices), "cpu")
        kernels.nadamw(
            self.spec,
            settings,
            weights,
            grads,
            [self._momentums[i].value for i in indices],
            [self._velocities[i].value for i in indices],
            products,
            _scalar_tensors(float(self.iterations), len(indices), "cpu"),
        )
        self._multiplied = float(products[0])


@keras.saving.register_keras_serializable(package="samestep")
class SGDW(ScheduledOptimizer):
    """Stochastic gradient descent with decoupled weight decay, as `samestep.SGDW` defines it."""

    spec: specs.SGDW
    kernels = ("foreach", "fused")

    def _build_state(self, variables: list[Any]) -> None:
        self._buffers = self.add_optimizer_variables(variables, "momentum_buffer") if self.spec.momentum else []

    def _scalars(
        self,
        learning_rate: Any,
        weight_decay: Any,
        momentum: Any,
        retention: Any,
        towards_zero: Any,
        blend: Any,
        log_momentum: Any,
    ) -> Any:
        return ops.stack([learning_rate, retention, towards_zero, momentum], axis=1)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        rate, retention, towards_zero, momentum = self._own(learning_rate, variable)
        gradient = ops.cast(gradient, variable.dtype)
        if self.spec.maximize:
            gradient = -gradient
        inside = self.spec.momentum_mode == "keras"
        direction = gradient = gradient * rate if inside else gradient
        if self._buffers:
            buffer = self._buffers[self._get_variable_index(variable)]
            moved = rounded_sum(buffer * momentum, gradient)
            self.assign(buffer, moved)
            direction = gradient + momentum * moved if self.spec.nesterov else moved
        self._decay_and_step(variable, retention, towards_zero, direction if inside else rate * direction)

    def _update_group(self, settings: Any, weights: list[Any], grads: list[Any], indices: list[int]) -> None:
        from .. import kernels

        buffers = [self._buffers[i].value for i in indices] if self._buffers else []
        made = kernels.sgdw(self.spec, settings, weights, grads, list(buffers))
        for buffer, new in zip(buffers, made, strict=False):
            if new is not buffer:
                buffer.copy_(new)


def _scalar_tensors(value: float, count: int, device: Any) -> list[Any]:
    """A tensor for each variable, as torch keeps its counters."""
    import torch

    return list(torch.full((count,), value, device=device).unbind())


_OPTIMIZERS: dict[type[Spec], Any] = {specs.AdamW: AdamW, specs.NAdamW: NAdamW, specs.SGDW: SGDW}
