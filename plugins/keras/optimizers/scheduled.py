"""What the Keras optimizers of all specs share: hyperparameters from a table, and a checkpoint without it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import keras
from keras import ops

from ...core.callbacks.errors import other_moments_error
from ...core.policies.policy import Policy
from ...core.specs.spec import Spec
from ..update_count import UpdateCount
from . import saving, torch_updates
from .clipping import clipped
from .grouping import Grouping, Parameters
from .run_state import RunState
from .table import EagerTable, GraphTable, Rows
from .tracing import outside_of_traces, rounded_sum


class ScheduledOptimizer(keras.optimizers.Optimizer, ABC):
    """An optimizer whose hyperparameters come from a table, update by update.

    Its learning rate and weight decay are not settable: they are the spec's, times the schedules of a callback. Its
    checkpoint holds what torch's would, the moments and the number of updates, and what drove it up to there; the
    table is not part of it.

    Args:
        spec: The numbers; without a callback, the base values hold.
        parameters: Gives those of the model, for the rules of the spec.
        multipliers: What the rules made of the variables, where the optimizer is loaded.
        foreach: torch's own choice of kernel, on the torch backend.
        fused: Likewise.
        **options: Keras' own.

    Attributes:
        count: Of its updates.
        table: What they use.
        run: How far it is in a run.
    """

    kernels: ClassVar[tuple[str, ...]] = ()  # options that choose among torch's, on the torch backend

    def __init__(
        self,
        spec: Spec,
        *,
        parameters: Parameters | None = None,
        multipliers: Sequence[Sequence[float]] | None = None,
        foreach: bool | None = None,
        fused: bool | None = None,
        **options: Any,
    ) -> None:
        # A callable learning rate keeps Keras from making a variable of its own for it.
        super().__init__(learning_rate=self._next_learning_rate, **options)
        self.spec = spec
        self.foreach, self.fused = foreach, fused
        self.count = UpdateCount(self)
        self.table = (EagerTable if keras.backend.backend() == "torch" else GraphTable)(self, spec)
        self.run = RunState(self.count)
        self._grouping = Grouping(self.name, parameters, multipliers)

    def build(self, variables: list[Any]) -> None:
        if self.built:
            return
        with outside_of_traces():
            self._build(variables)

    def _build(self, variables: list[Any]) -> None:
        super().build(variables)
        self.table.set_precision(keras.backend.standardize_dtype(variable.dtype) for variable in variables)
        if self.spec.parameters:
            self.table.set_groups(self._grouping.multipliers(self.spec, variables))
        self._build_state(variables)
        self._kernel = self.foreach, self.fused
        if self._kernel == (None, None) and "fused" in self.kernels and keras.backend.backend() == "torch":
            self._kernel = None, torch_updates.fused(variables)

    def rewrite(self, policy: Policy, parameters: Parameters) -> None:
        """Continue with the numbers of a policy's spec, with the moments that there are; a traced step has the former.

        Args:
            policy: Has the spec.
            parameters: Gives those of the model.

        Raises:
            ValueError: The spec needs other moments.
        """
        spec = policy.spec
        if spec is None or type(spec) is not type(self.spec) or spec.moments != self.spec.moments:
            raise other_moments_error(policy, self.spec)
        regroup = (spec.parameters, spec.l1_ratio) != (self.spec.parameters, self.spec.l1_ratio)
        self.spec = spec
        if regroup:
            self._grouping = Grouping(self.name, parameters)
        self.table.set_spec(spec)
        if regroup and self.built:
            self.table.set_groups(self._grouping.multipliers(spec, self._trainable_variables))

    def variables_of_its_model(self) -> list[keras.Variable]:
        """The trainable variables, as far as there are any, of the model that the optimizer was made for."""
        return self._grouping.variables()

    def multipliers(self) -> Sequence[Sequence[float]] | None:
        """What the rules of the spec made of each variable; None where there are none, or where that is unknown."""
        if not self.built or not self.spec.parameters:
            return self._grouping.saved
        return [self.table.groups[self.table.group(index)] for index in range(len(self._trainable_variables))]

    @abstractmethod
    def moments(self) -> dict[str, list[Any]]:
        """What the optimizer keeps of each variable, in their order, by the names of the spec's formulas."""

    def product(self) -> float | None:
        """The product of the momenta so far, of an optimizer that keeps it."""
        return None

    def set_product(self, product: float | None) -> None:
        """Go on with `product`."""
        return

    @abstractmethod
    def _build_state(self, variables: list[Any]) -> None:
        """Make the variables of the update."""

    def _next_learning_rate(self) -> Any:
        return ops.convert_to_tensor(self.table.column()[0][0])

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
        return ops.convert_to_tensor(self.table.column()[0][1]) if hasattr(self, "table") else None

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

        # The gradient of an embedding comes as slices; torch's, and the moments, are dense.
        grads = [tf.convert_to_tensor(g) if isinstance(g, tf.IndexedSlices) else g for g in grads]
        # Data of unknown length ends inside the compiled step, by an error. Nothing that counts updates may have run
        # by then: without an order `iterations`, which depends on no data, is one too high after every epoch, as it
        # is with Keras' own optimizers (3.15). The last variable's gradient is the first that there is: to wait for
        # others would keep them all in memory.
        with tf.control_dependencies([g for g in grads if g is not None][-1:]):
            super().apply(grads, trainable_variables)

    def _clip_gradients(self, grads: list[Any]) -> list[Any]:
        return clipped(self.spec, grads)

    def _backend_update_step(self, grads: list[Any], trainable_variables: list[Any], learning_rate: Any) -> None:
        column: Any = self.table.column()
        self.table.record(column)
        if keras.backend.backend() == "torch":
            self._torch_update(grads, trainable_variables, column)
        else:
            super()._backend_update_step(grads, trainable_variables, self._scalars(Rows(*ops.unstack(column, axis=1))))

    @abstractmethod
    def _scalars(self, rows: Rows) -> Any:
        """What `update_step` is given as its learning rate, shape (groups, ...), formed once for all variables."""

    def _own(self, scalars: Any, variable: Any) -> list[Any]:
        """What `_scalars` made for a variable's group, in the variable's dtype."""
        group = self.table.group(self._get_variable_index(variable))
        return list(ops.unstack(ops.cast(scalars[group], variable.dtype)))

    def _signed(self, gradient: Any, variable: Any) -> Any:
        """The gradient in a variable's dtype, and turned around where the spec maximizes."""
        gradient = ops.cast(gradient, variable.dtype)
        return -gradient if self.spec.maximize else gradient

    def _torch_update(self, grads: list[Any], variables: list[Any], column: list[list[float]]) -> None:
        """One update of all variables by torch's own kernels."""
        torch_updates.update(self, grads, variables, column)

    @abstractmethod
    def _update_group(self, settings: Any, weights: list[Any], grads: list[Any], indices: list[int]) -> None:
        """One update, by torch, of the variables of a group, given as torch's tensors and by their indices."""

    def _decay_and_step(self, variable: Any, retention: Any, towards_zero: Any, *steps: Any) -> None:
        """variable <- variable * retention - towards_zero * sign(variable) - steps, one after the other."""
        if any(multipliers.l1_ratio for multipliers in self.table.groups):
            steps = (towards_zero * ops.sign(variable), *steps)
        first, *others = steps
        weights = rounded_sum(variable * retention, -first)
        for step in others:
            weights = weights - step
        self.assign(variable, weights)

    def _apply_weight_decay(self, variables: Any) -> None:
        """Nothing: the update does decay and step in one expression."""

    def save_own_variables(self, store: Any) -> None:
        saving.save(self, store)

    def load_own_variables(self, store: Any) -> None:
        saving.load(self, store)

    def get_config(self) -> dict[str, Any]:
        """The spec, the options, and what the rules made of the variables, which a saved model is loaded without."""
        return saving.config(self, self.kernels)

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Any = None) -> ScheduledOptimizer:
        return cls(Spec.from_dict(config["spec"]), **{k: v for k, v in config.items() if k != "spec"})
