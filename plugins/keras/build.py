"""Keras optimizers that a spec decides: the numerics of torch, on every backend."""

from __future__ import annotations

import math
import weakref
from typing import Any

import keras
from keras import ops

from ..core.specs import adamw, nadamw, sgdw
from ..core.specs.parameter_rules import Parameter, assign
from ..core.specs.spec import Spec, check_options
from .compiled import rounded_sum
from .parameters import parameters
from .scheduled import OPTIONS, ScaledOptimizer, ScheduledOptimizer
from .table import Rows


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
    known = _OPTIMIZERS.get(type(spec))
    if known is None:
        raise TypeError(f"build_optimizer: found {spec!r} ({type(spec).__name__}); expected a spec.")
    check_options((*OPTIONS, *(known.kernels if on_torch else ())), options)
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


class _Adam(ScheduledOptimizer):
    """What AdamW and NAdamW have in common: the moments, and the correction of the second one's bias."""

    spec: Any

    def _build_state(self, variables: list[Any]) -> None:
        self._momentums, self._velocities = self.add_optimizer_variables(variables, ["momentum", "velocity"])

    def moments(self) -> dict[str, list[Any]]:
        return {"momentum": self._momentums, "velocity": self._velocities}

    def _update_number(self, rows: Rows) -> Any:
        """t of the formulas, which is 1 in the first update."""
        return ops.cast(self.iterations + 1, rows.learning_rate.dtype)

    def _correction(self, rows: Rows) -> Any:
        """sqrt(1 - beta_2 ** t), shape (groups,)."""
        ones, beta_2 = ops.ones_like(rows.learning_rate), self.spec.betas[1]
        # By expm1: in float32 the plain form loses half of its digits in the first updates.
        return ones * ops.sqrt(-ops.expm1(self._update_number(rows) * math.log(beta_2))) if beta_2 else ones

    def _moved_moments(self, index: int, gradient: Any, blend: Any) -> tuple[Any, Any]:
        """The moments of a variable, moved by this update.

        They are given as the variables: on tensorflow, uncompiled, a tensor kept beside would be memory.
        """
        beta_2 = self.spec.betas[1]
        momentum, velocity = self._momentums[index], self._velocities[index]
        self.assign_add(momentum, (gradient - momentum) * blend)
        self.assign(velocity, velocity * beta_2 + ops.square(gradient) * (1.0 - beta_2))
        return momentum, velocity


@keras.saving.register_keras_serializable(package="samestep")
class AdamW(_Adam):
    """Adam with decoupled weight decay, as `samestep.AdamW` defines it."""

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
        m, v = self._moved_moments(index, self._signed(gradient, variable), blend)
        if self.spec.amsgrad:
            self.assign(self._largest[index], ops.maximum(self._largest[index], v))
            v = self._largest[index]
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
class NAdamW(_Adam):
    """Adam with Nesterov momentum and decoupled weight decay, as `samestep.NAdamW` defines it."""

    kernels = ("foreach",)

    def _build_state(self, variables: list[Any]) -> None:
        super()._build_state(variables)
        self._product = self.add_variable((), initializer="ones", dtype="float32", name="product")

    def product(self) -> float | None:
        return float(ops.convert_to_numpy(self._product))

    def set_product(self, product: float | None) -> None:
        self._product.assign(1.0 if product is None else product)

    def _scalars(self, rows: Rows) -> Any:
        def mu(update: Any) -> Any:
            return rows.momentum * (1.0 - 0.5 * ops.exp(update * (self.spec.momentum_decay * math.log(0.96))))

        update = self._update_number(rows)
        present, following = mu(update), mu(update + 1)
        product = ops.cast(self._product, present.dtype) * present
        self._product.assign(product[0])
        of_gradient = rows.learning_rate * (1.0 - present) / (1.0 - product)
        of_moment = rows.learning_rate * following / (1.0 - product * following)
        shared = rows.retention, rows.towards_zero, self._correction(rows), rows.blend
        return ops.stack([of_gradient, of_moment, *shared], axis=1)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        of_gradient, of_moment, retention, towards_zero, correction, blend = self._own(learning_rate, variable)
        gradient = self._signed(gradient, variable)
        m, v = self._moved_moments(self._get_variable_index(variable), gradient, blend)
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

    spec: sgdw.SGDW
    kernels = ("foreach", "fused")

    def _build_state(self, variables: list[Any]) -> None:
        self._buffers = self.add_optimizer_variables(variables, "momentum_buffer") if self.spec.momentum else []

    def moments(self) -> dict[str, list[Any]]:
        return {"momentum_buffer": self._buffers} if self._buffers else {}

    def _scalars(self, rows: Rows) -> Any:
        return ops.stack([rows.learning_rate, rows.retention, rows.towards_zero, rows.momentum], axis=1)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        rate, retention, towards_zero, momentum = self._own(learning_rate, variable)
        gradient = self._signed(gradient, variable)
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


_OPTIMIZERS: dict[type[Spec], Any] = {adamw.AdamW: AdamW, nadamw.NAdamW: NAdamW, sgdw.SGDW: SGDW}
