"""NAdamW in Keras."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from ...core.specs import nadamw as specs
from .adam_family import Adam
from .record import KerasRecord
from .rows import Rows
from .torch_updates import scalar_tensors


@keras.saving.register_keras_serializable(package="samestep")
class NAdamW(Adam):
    """Adam with Nesterov momentum and decoupled weight decay, as `samestep.NAdamW` defines it."""

    spec: specs.NAdamW
    kernels = ("foreach",)
    of_all = 2

    def _build_state(self, variables: list[Any]) -> None:
        super()._build_state(variables)
        self._product = self.add_variable((), initializer="ones", dtype="float32", name="product")

    def product(self) -> float:
        # Before the first update it is 1, also if the program has set all of the optimizer's variables to 0.
        return float(ops.convert_to_numpy(self._product)) if self.count.total else 1.0

    def set_product(self, product: float | None) -> None:
        self._product.assign(1.0 if product is None else product)

    def _scalars(self, rows: Rows) -> Any:
        def mu(update: Any) -> Any:
            return rows.momentum * (1.0 - 0.5 * ops.exp(update * (self.spec.momentum_decay * math.log(0.96))))

        update = self._update_number(rows)
        present, following = mu(update), mu(update + 1)
        before = ops.where(ops.equal(self.iterations, 0), 1.0, self._product.value)
        product = ops.cast(before, present.dtype) * present
        self._product.assign(product[0])
        of_gradient = rows.learning_rate * (1.0 - present) / (1.0 - product)
        of_moment = rows.learning_rate * following / (1.0 - product * following)
        shared = rows.retention, rows.towards_zero, self._correction(rows), rows.blend
        return ops.stack([of_gradient, of_moment, *shared], axis=1)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        of_gradient, of_moment, retention, towards_zero, correction, blend = self._own(learning_rate, variable)
        gradient = self._signed(gradient)
        m, v = self._moved_moments(self._get_variable_index(variable), gradient, blend)
        denominator = ops.sqrt(v) / correction + self.spec.epsilon
        steps = of_gradient * gradient / denominator, of_moment * m / denominator
        self._decay_and_step(variable, retention, towards_zero, *steps)

    def _torch_update(self, grads: list[Any], variables: list[Any], column: list[list[float]]) -> None:
        self._before = self.product()
        super()._torch_update(grads, variables, column)
        self._product.assign(self._multiplied)

    def _update_group(self, settings: Any, weights: list[Any], grads: list[Any], indices: list[int]) -> None:
        from ...torch.optimizers.nadamw import update

        products = scalar_tensors(self._before, len(indices), "cpu")
        update(
            self.spec,
            settings,
            weights,
            grads,
            [self._momentums[i].value for i in indices],
            [self._velocities[i].value for i in indices],
            products,
            scalar_tensors(float(self.iterations), len(indices), "cpu"),
        )
        self._multiplied = float(products[0])


def _stock(spec: specs.NAdamW) -> keras.optimizers.Optimizer:
    beta_1, beta_2 = spec.betas
    return keras.optimizers.Nadam(
        spec.learning_rate, beta_1, beta_2, epsilon=spec.epsilon, weight_decay=spec.weight_decay
    )


RECORD = KerasRecord(specs.NAdamW, NAdamW, _stock)
