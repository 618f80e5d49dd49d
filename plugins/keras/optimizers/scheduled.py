"""The base of all Keras optimizers of samestep: hyperparameters come from a table, which is not saved."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NoReturn

import keras
import numpy as np
from keras import ops

from ...core.callbacks.due import Due
from ...core.callbacks.errors import other_moments_error
from ...core.policies.policy import Policy
from ...core.specs.spec import Spec
from ..update_count import UpdateCount
from . import saving, settable, torch_updates
from .changes import became, changed_error
from .clipping import clipped
from .grouping import Grouping, Parameters
from .precision import computed_in, prepared, refuse_average, wide
from .resizable import refuse_others
from .rows import Rows
from .run_state import RunState
from .table import EagerTable, GraphTable
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
        saved_for: The number of variables that it was built for, likewise.
        foreach: torch's option of that name, on the torch backend.
        fused: Likewise.
        **options: Keras' own options.

    Attributes:
        count: Its update count.
        table: The values that its updates use.
        run: The state of its run.
        due: The schedules that it was built for and that nothing drives yet.
        plain: Whether it is built, for float32 variables alone.
    """

    kernels: ClassVar[tuple[str, ...]] = ()  # options that choose torch's kernel, on the torch backend
    of_all: ClassVar[int] = 1  # variables that it has once, whatever it updates: the number of updates

    def __init__(
        self,
        spec: Spec,
        *,
        parameters: Parameters | None = None,
        multipliers: Sequence[Sequence[float]] | None = None,
        saved_for: int | None = None,
        foreach: bool | None = None,
        fused: bool | None = None,
        **options: Any,
    ) -> None:
        # With a callable learning rate Keras does not make its own variable.
        super().__init__(learning_rate=self._next_learning_rate, **options)
        self.spec: Spec = spec
        self.foreach: bool | None = foreach
        self.fused: bool | None = fused
        self.plain: bool = False
        self.saved_for: int | None = saved_for
        self.count: UpdateCount = UpdateCount(self)
        self.table: EagerTable | GraphTable = (EagerTable if keras.backend.backend() == "torch" else GraphTable)(
            self, spec
        )
        self.run: RunState = RunState(self.count)
        self.due: Due = Due()
        self._grouping = Grouping(self.name, parameters, multipliers)

    def build(self, variables: list[Any]) -> None:
        if self.built:
            return
        with outside_of_traces():
            self._build(variables)

    def _build(self, variables: list[Any]) -> None:
        dtypes = {keras.backend.standardize_dtype(variable.dtype) for variable in variables}
        if self.use_ema:
            refuse_average(self.name, dtypes)
        groups = self._grouping.multipliers(self.spec, variables)
        super().build(variables)
        self.plain = dtypes <= {"float32"}
        self.table.set_precision(dtypes)
        if groups and self.spec.parameters:
            self.table.set_groups(groups)
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

    def check_groups(self) -> None:
        """Raise ValueError if it is unknown which rules of the spec apply to which variable."""
        self._grouping.check()

    def variables_of_its_model(self) -> list[keras.Variable]:
        """The trainable variables, so far, of the model that the optimizer was made for."""
        return self._grouping.variables()

    def number_of_variables(self, updated: int) -> int:
        """How many variables, without the table, it has if it is built for so many."""
        each = len(self.spec.moments) + bool(self.use_ema) + bool(self.gradient_accumulation_steps)
        return self.of_all + updated * each

    def multipliers(self) -> Sequence[Sequence[float]] | None:
        """The multipliers of each variable; None if the spec has no rules or they are unknown."""
        if not self.built or not self.spec.parameters or not self._grouping.known:
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
        return self.learning_rate

    def __setattr__(self, name: str, value: Any) -> None:
        if settable.check(self, name, value):
            super().__setattr__(name, value)

    @property
    def learning_rate(self) -> Any:
        """The learning rate of the next update."""
        return self.table.current["learning_rate"]

    @property
    def weight_decay(self) -> Any:
        """The weight decay of the next update."""
        return self.table.current["weight_decay"]

    @property
    def clipnorm(self) -> float | None:
        """The spec's."""
        return self.spec.clipnorm

    @property
    def clipvalue(self) -> float | None:
        """The spec's."""
        return self.spec.clipvalue

    @property
    def global_clipnorm(self) -> float | None:
        """The spec's."""
        return self.spec.global_clipnorm

    def exclude_from_weight_decay(self, var_list: Any = None, var_names: Any = None) -> NoReturn:
        """Refused: the spec has rules for that."""
        settable.refuse_exclusion()

    def add_variable(self, shape: Any, initializer: Any = "zeros", dtype: Any = None, **options: Any) -> Any:
        return super().add_variable(shape, initializer, computed_in(dtype or keras.config.floatx()), **options)

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        if self.due.names:
            self.due.warn()
        if trainable_variables is not None:
            trainable_variables = list(trainable_variables)
        self.check_groups()
        variables = self._trainable_variables if trainable_variables is None else trainable_variables
        grads = prepared(grads, variables, self.plain)
        if keras.backend.backend() != "tensorflow":
            super().apply(grads, trainable_variables)
            return
        import tensorflow as tf

        # Data of unknown length ends with an error inside the compiled step. Nothing that counts updates may run before
        # it: without an order, `iterations` depends on no data and is one too high after every epoch, as with Keras'
        # own optimizers (3.15). The last variable's gradient is the first one computed; waiting for others would keep
        # them all in memory.
        with tf.control_dependencies([g for g in grads if g is not None][-1:]):
            super().apply(grads, trainable_variables)

    def stateless_apply(self, optimizer_variables: Any, grads: Any, trainable_variables: Any) -> Any:
        now, before = len(trainable_variables), len(self._trainable_variables)
        if now != before and self.built and keras.backend.backend() != "tensorflow":  # which refuses it anyway
            raise self._changed_error(f"{now} trainable variables instead of {before}")
        refuse_others(self, optimizer_variables)
        return super().stateless_apply(optimizer_variables, grads, trainable_variables)

    def _check_variables_are_known(self, variables: list[Any]) -> None:
        try:
            super()._check_variables_are_known(variables)
        except ValueError:  # Keras' message has all numbers of the first one
            known = {id(variable) for variable in self._trainable_variables}
            unknown = [getattr(each, "path", each.name) for each in variables if id(each) not in known]
            raise self._changed_error(became("trainable", unknown)) from None

    def _changed_error(self, found: str) -> ValueError:
        return changed_error(self.name, "a new build_optimizer(spec, model)", found)

    def _clip_gradients(self, grads: list[Any]) -> list[Any]:
        return clipped(self.spec, grads)

    def _signed(self, gradient: Any) -> Any:
        """The direction to go down: the gradient, negated if the spec maximizes."""
        return -gradient if self.spec.maximize else gradient

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
        """The `_scalars` of a variable's group, in the precision of its update."""
        group = self.table.group(self._get_variable_index(variable))
        return list(ops.unstack(ops.cast(scalars[group], computed_in(variable.dtype))))

    def _torch_update(self, grads: list[Any], variables: list[Any], column: list[list[float]]) -> None:
        """Make one update of all variables with torch's own kernels."""
        torch_updates.update(self, grads, variables, column)

    @abstractmethod
    def _update_group(self, settings: Any, weights: list[Any], grads: list[Any], indices: list[int]) -> None:
        """Make one update of a group with torch, given its variables as torch tensors and by their indices."""

    def _decay_and_step(self, variable: Any, retention: Any, towards_zero: Any, *steps: Any) -> None:
        """variable <- variable * retention - towards_zero * sign(variable) - steps, one after the other."""
        value = wide(variable)
        if any(multipliers.l1_ratio for multipliers in self.table.groups):
            steps = (towards_zero * ops.sign(value), *steps)
        first, *others = steps
        weights = rounded_sum(value * retention, -first)
        for step in others:
            weights = weights - step
        self.assign(variable, weights)

    def _apply_weight_decay(self, variables: Any) -> None:
        """Do nothing: the update computes decay and step in one expression."""

    def reset(self) -> None:
        """Return to the state of a newly built optimizer: no moments, no updates, and the base values of the spec.

        The weights stay as they are. While a callback drives the optimizer, the values stay the schedule's.
        """
        made = self.count.made
        for variable in saving.own_variables(self):
            variable.assign(np.zeros(variable.shape, variable.dtype))
        self.set_product(None)
        if self.run.is_driven:
            self.stay(made)
        else:
            self.run.forget()
            self.table.reset()

    def stay(self, made: int) -> None:
        """Keep the next update's position in the epoch, after `made` updates, where the number of updates was set."""
        self.count.start = self.count.total - made
        self.table.count_anew()

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Assign arrays to `variables`, apart from the table's, which are ignored.

        Raises:
            ValueError: The optimizer is not built, or the arrays are not of its variables' number and shapes.
        """
        saving.set_weights(self, weights)

    def save_own_variables(self, store: Any) -> None:
        saving.save(self, store)

    def load_own_variables(self, store: Any) -> None:
        saving.load(self, store)

    def get_config(self) -> dict[str, Any]:
        """The spec, the options, and what is known of the variables: a saved optimizer is loaded without its model."""
        return saving.config(self, self.kernels)

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Any = None) -> ScheduledOptimizer:
        return cls(Spec.from_dict(config["spec"]), **{k: v for k, v in config.items() if k != "spec"})
