"""The hyperparameters of the current epoch, where a compiled train step can see them.

A compiled step keeps the Python floats of its first call for ever. So the values of an epoch's updates lie in a
variable, with a row per value and a column per update for each group of parameters, and the step reads the column
`iterations - start`. On the torch backend the step is ordinary Python, and the values stay Python floats, as torch's
own optimizers have them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from ..core.optimizers import HYPERPARAMETERS, Spec
from ..core.parameters import Multipliers, by_multipliers
from ..core.which import log_name
from .resizable import Resizable

Source = Callable[[Sequence[float]], Sequence[Sequence[float]]]
"""Gives, for the base values of the groups, those of each: one for an update, or fewer, of which the last holds."""


def _constant(bases: Sequence[float]) -> list[list[float]]:
    return [[base] for base in bases]


class Rows(NamedTuple):
    """What the table has of an update, each of shape (groups,).

    The last four are what the update forms of the hyperparameters, computed in float64 and rounded once, as torch does
    it: formed in float32 it can be another float32, and then is in every update.
    retention: the factor by which the weight decay leaves a weight. towards_zero: what L1 takes off besides.
    blend: 1 - momentum, the share of the gradient in the moving average. log_momentum: the momentum's logarithm.
    """

    learning_rate: Any
    weight_decay: Any
    momentum: Any
    retention: Any
    towards_zero: Any
    blend: Any
    log_momentum: Any


class HyperparameterTable(ABC):
    """The values of each update of an epoch, for each group of parameters; past the last column, the last one holds.

    optimizer: whose iterations count the updates.
    spec: the base values, which hold until a callback writes others.
    """

    def __init__(self, optimizer: keras.optimizers.Optimizer, spec: Spec) -> None:
        self._optimizer = optimizer
        self._spec = spec
        self._sources: dict[str, Source] = dict.fromkeys(HYPERPARAMETERS, _constant)
        self.groups: list[Multipliers] = []
        self._group_of: list[int] = []
        self.start = 0
        self.columns = 1
        self.recorded_columns = 0
        self._set_groups([Multipliers(l1_ratio=spec.l1_ratio)])

    def set_groups(self, of_variables: Sequence[Multipliers]) -> None:
        """Have a group for each distinct one of the multipliers, which are given by the optimizer's variables."""
        numbered = by_multipliers(of_variables)
        of = {index: number for number, indices in enumerate(numbered.values()) for index in indices}
        self._group_of = [of[index] for index in range(len(of))]
        self._set_groups(list(numbered))

    def set_spec(self, spec: Spec) -> None:
        """Have the base values of another spec."""
        self._spec = spec
        self._set_groups(self.groups)

    def set_precision(self, dtypes: Iterable[str]) -> None:
        """Hold the values as precisely as the most precise of the optimizer's variables, which have these dtypes."""
        return

    def group(self, index: int) -> int:
        """The number of the group of the optimizer's variable `index`; without rules there is one for all."""
        return self._group_of[index] if self._group_of else 0

    def _set_groups(self, groups: list[Multipliers]) -> None:
        self.groups = groups
        self.base = {
            name: [float(getattr(self._spec, name)) * getattr(multipliers, name, 1.0) for multipliers in groups]
            for name in HYPERPARAMETERS
        }
        # A model that is built by its first batch shows its groups when the epoch has begun already.
        self._values = {name: source(self.base[name]) for name, source in self._sources.items()}

    @property
    def made(self) -> int:
        """The number of updates since the epoch began."""
        return int(ops.convert_to_numpy(self._optimizer.iterations)) - self.start

    def reserve(self, columns: int, recorded: int = 0) -> bool:
        """Make room for an epoch of `columns` updates and for recording `recorded` of them.

        Returns whether room was made, and the train step must be traced anew.
        """
        grown = columns > self.columns or recorded > self.recorded_columns
        self.columns = max(columns, self.columns)
        self.recorded_columns = max(recorded, self.recorded_columns)
        return grown

    def begin_epoch(self, sources: Mapping[str, Source]) -> None:
        """The next update is the first of an epoch that uses these values; hyperparameters not named keep theirs.

        sources: by hyperparameter, what gives the values.
        """
        self.start += self.made
        self._sources.update(sources)
        self._values.update({name: source(self.base[name]) for name, source in sources.items()})

    def reset(self) -> None:
        """The base values hold again."""
        self.begin_epoch(dict.fromkeys(HYPERPARAMETERS, _constant))

    def rows(self) -> np.ndarray:
        """Those of `Rows` for each group and column: shape (groups, 7, columns), float64."""
        return np.stack([self._rows(number, multipliers) for number, multipliers in enumerate(self.groups)])

    def _rows(self, group: int, multipliers: Multipliers) -> np.ndarray:
        rates, decays, momenta = (self._row(self._values[name][group]) for name in HYPERPARAMETERS)
        shrink: Any = self._spec.shrink(rates, decays, self.base["learning_rate"][group])
        retention, towards_zero = 1 - shrink * (1 - multipliers.l1_ratio), shrink * multipliers.l1_ratio
        with np.errstate(divide="ignore"):  # of no momentum it is minus infinity
            return np.stack(Rows(rates, decays, momenta, retention, towards_zero, 1.0 - momenta, np.log(momenta)))

    def _row(self, values: Sequence[float]) -> Any:
        """The values of one hyperparameter in as many columns as there are."""
        return np.pad(values[: self.columns], (0, max(0, self.columns - len(values))), mode="edge")

    @property
    @abstractmethod
    def variables(self) -> Sequence[Any]:
        """The variables of the table, which are not part of a checkpoint."""

    @abstractmethod
    def held(self) -> tuple[np.ndarray, int]:
        """What the updates of this epoch read: `rows()`, rounded as they are held, and at how many updates it began."""

    @abstractmethod
    def column(self) -> Any:
        """The rows of the update that is next, shape (groups, 7)."""

    @abstractmethod
    def record(self, column: Any) -> None:
        """Write down the values that the present update uses."""

    @abstractmethod
    def used(self) -> list[dict[str, float]]:
        """The hyperparameters that each update of this epoch so far has used, as the updates recorded them.

        Those of group i > 0 are named `name/i`.
        """

    def _named(self, column: np.ndarray) -> dict[str, float]:
        """What `used` gives of a recorded column, shape (groups, 3)."""
        return {
            log_name(name, group=group): float(value)
            for group, values in enumerate(column)
            for name, value in zip(HYPERPARAMETERS, values, strict=True)
        }


class GraphTable(HyperparameterTable):
    """The table in variables, for tensorflow and jax."""

    def __init__(self, optimizer: keras.optimizers.Optimizer, spec: Spec) -> None:
        self._dtype = "float64" if keras.config.floatx() == "float64" else "float32"
        self._table: Any = None
        self._log: Any = None
        super().__init__(optimizer, spec)
        self._start = self._variable(np.zeros((), "int32"), "int32", "epoch_start")

    @property
    def variables(self) -> Sequence[Any]:
        return [v for v in (self._start, self._table, self._log) if v is not None]

    def set_precision(self, dtypes: Iterable[str]) -> None:
        if self._dtype != "float64" and "float64" in dtypes:
            self._dtype = "float64"
            self._make_table()
            self._make_log()

    def _set_groups(self, groups: list[Multipliers]) -> None:
        super()._set_groups(groups)
        self._make_table()
        self._make_log()

    def reserve(self, columns: int, recorded: int = 0) -> bool:
        grown = super().reserve(columns, recorded)
        if self._table.shape[2] != self.columns:
            self._make_table()
        self._make_log()
        return grown

    def _make_table(self) -> None:
        self._table = self._sized(self._table, self.rows(), "hyperparameters")

    def _make_log(self) -> None:
        shape = (len(self.groups), len(HYPERPARAMETERS), self.recorded_columns)
        made = self._log is not None and (tuple(self._log.shape), self._log.dtype) == (shape, self._dtype)
        # On tensorflow also one without columns, so that a step that is traced now can record later.
        if not made and (self.recorded_columns or keras.backend.backend() == "tensorflow"):
            self._log = self._sized(self._log, np.zeros(shape), "used_hyperparameters")

    def _sized(self, variable: Any, value: np.ndarray, name: str) -> Any:
        """A variable of this value: the one that there is, or a new one."""
        if variable is None:
            return self._variable(value, self._dtype, name)
        variable.resize(value, self._dtype)
        return variable

    def begin_epoch(self, sources: Mapping[str, Source]) -> None:
        super().begin_epoch(sources)
        self._start.assign(self.start)
        self._table.assign(self.rows())

    def held(self) -> tuple[np.ndarray, int]:
        return ops.convert_to_numpy(self._table), int(ops.convert_to_numpy(self._start))

    def column(self) -> Any:
        return ops.take(self._table, ops.clip(self._index(), 0, ops.shape(self._table.value)[2] - 1), axis=2)

    def record(self, column: Any) -> None:
        if self._log is None:
            return
        here = ops.equal(ops.arange(ops.shape(self._log.value)[2], dtype="int32"), self._index())
        used = ops.expand_dims(column[:, : len(HYPERPARAMETERS)], 2)
        self._log.assign(ops.where(here, used, self._log.value))

    def used(self) -> list[dict[str, float]]:
        log = ops.convert_to_numpy(self._log)[:, :, : self.made]
        return [self._named(log[:, :, update]) for update in range(log.shape[2])]

    def _index(self) -> Any:
        """The number of updates since the epoch began, in the graph."""
        return ops.cast(self._optimizer.iterations, "int32") - self._start

    def _variable(self, value: np.ndarray, dtype: str, name: str) -> Any:
        """A new variable of the optimizer, which stays in its place for good."""
        variable = Resizable(value, dtype=dtype, trainable=False, name=name, aggregation="only_first_replica")
        self._optimizer._track_variable(variable)
        return variable


class EagerTable(HyperparameterTable):
    """The table in Python, for the torch backend."""

    def __init__(self, optimizer: keras.optimizers.Optimizer, spec: Spec) -> None:
        super().__init__(optimizer, spec)
        self._log: list[dict[str, float]] = []

    @property
    def variables(self) -> Sequence[Any]:
        return ()

    def _set_groups(self, groups: list[Multipliers]) -> None:
        super()._set_groups(groups)
        self._held = self.rows()

    def reserve(self, columns: int, recorded: int = 0) -> bool:
        super().reserve(columns, recorded)
        self._held = self.rows()
        return False

    def begin_epoch(self, sources: Mapping[str, Source]) -> None:
        super().begin_epoch(sources)
        self._held = self.rows()
        self._log = []

    def held(self) -> tuple[np.ndarray, int]:
        return self._held, self.start

    def column(self) -> list[list[float]]:
        column: list[list[float]] = self._held[:, :, min(max(self.made, 0), self.columns - 1)].tolist()
        return column

    def record(self, column: list[list[float]]) -> None:
        if self.recorded_columns:
            self._log.append(self._named(np.array(column)[:, : len(HYPERPARAMETERS)]))

    def used(self) -> list[dict[str, float]]:
        return list(self._log)
