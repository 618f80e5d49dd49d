"""The base of all Keras optimizers of samestep: hyperparameters come from a table, which is not saved."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import keras
from keras import ops

from ...core.callbacks.due import Due
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

    Its learning rate and weight decay cannot be set: they are the spec's, multiplied by a callback's schedules. Its
    checkpoint has what torch's would have, the moments and the number of updates, and the state of the run, but not the
    table.

    Args:
        spec: The spec; without a callback, its base values apply.
        parameters: Returns the model's parameters, for the rules of the spec.
        multipliers: The variables' saved multipliers, if the optimizer is loaded.
        foreach: torch's option of that name, on the torch backend.
        fused: Likewise.
        **options: Keras' own options.

    Attributes:
        count: Its update count.
        table: The values that its updates use.
        run: The state of its run.
        due: The schedules that it was built for and that nothing drives yet.
    """

    kernels: ClassVar[tuple[str, ...]] = ()  # options that choose torch's kernel, on the torch backend

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
        # With a callable learning rate Keras does not make its own variable.
        super().__init__(learning_rate=self._next_learning_rate, **options)
        self.spec = spec
        self.foreach, self.fused = foreach, fused
        self.count = UpdateCount(self)
        self.table = (EagerTable if keras.backend.backend() == "torch" else GraphTable)(self, spec)
        self.run = RunState(self.count)
        self.due = Due()
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
        """Continue with the numbers of a policy's spec and the present moments. Traced steps keep the old numbers.

        Args:
            policy: The policy with the spec.
            parameters: Returns the model's parameters.

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
        """The trainable variables, so far, of the model that the optimizer was made for."""
        return self._grouping.variables()

    def multipliers(self) -> Sequence[Sequence[float]] | None:
        """The multipliers of each variable; None if the spec has no rules or they are unknown."""
        if not self.built or not self.spec.parameters:
            return self._grouping.saved
        return [self.table.groups[self.table.group(index)] for index in range(len(self._trainable_variables))]

    @abstractmethod
    def moments(self) -> dict[str, list[Any]]:
        """The moments of each variable, in order, by their names in `Spec.moments`."""

    def product(self) -> float | None:
        """The product of the momenta so far, if the optimizer keeps it."""
        return None

    def set_product(self, product: float | None) -> None:
        """Continue with `product`."""
        return

    @abstractmethod
    def _build_state(self, variables: list[Any]) -> None:
        """Create the variables of the update."""

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
            f"found {name} = {value!r} set on an optimizer of build_optimizer, whose values come from its spec; use "
            f"a callback of samestep.keras, such as HyperparameterScheduler(Recipe({name}=...))."
        )

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        if self.due.names:
            self.due.warn()
        if keras.backend.backend() != "tensorflow":
            super().apply(grads, trainable_variables)
            return
        import tensorflow as tf

        # An embedding's gradient comes as slices; torch's is dense, and so are the moments.
        grads = [tf.convert_to_tensor(g) if isinstance(g, tf.IndexedSlices) else g for g in grads]
        # Data of unknown length ends with an error inside the compiled step. Nothing that counts updates may run before
        # it: without an order, `iterations` depends on no data and is one too high after every epoch, as with Keras'
        # own optimizers (3.15). The last variable's gradient is the first one computed; waiting for others would keep
        # them all in memory.
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
        """The `learning_rate` argument of `update_step`, shape (groups, ...), computed once for all variables."""

    def _own(self, scalars: Any, variable: Any) -> list[Any]:
        """The `_scalars` of a variable's group, in the variable's dtype."""
        group = self.table.group(self._get_variable_index(variable))
        return list(ops.unstack(ops.cast(scalars[group], variable.dtype)))

    def _signed(self, gradient: Any, variable: Any) -> Any:
        """The gradient in a variable's dtype, negated if the spec maximizes."""
        gradient = ops.cast(gradient, variable.dtype)
        return -gradient if self.spec.maximize else gradient

    def _torch_update(self, grads: list[Any], variables: list[Any], column: list[list[float]]) -> None:
        """Make one update of all variables with torch's own kernels."""
        torch_updates.update(self, grads, variables, column)

    @abstractmethod
    def _update_group(self, settings: Any, weights: list[Any], grads: list[Any], indices: list[int]) -> None:
        """Make one update of a group with torch, given its variables as torch tensors and by their indices."""

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
        """Do nothing: the update computes decay and step in one expression."""

    def save_own_variables(self, store: Any) -> None:
        saving.save(self, store)

    def load_own_variables(self, store: Any) -> None:
        saving.load(self, store)

    def get_config(self) -> dict[str, Any]:
        """The spec, the options, and the variables' multipliers, as a saved optimizer is loaded without its model."""
        return saving.config(self, self.kernels)

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Any = None) -> ScheduledOptimizer:
        return cls(Spec.from_dict(config["spec"]), **{k: v for k, v in config.items() if k != "spec"})
