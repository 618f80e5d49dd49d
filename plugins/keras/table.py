"""The hyperparameters of the current epoch, where a compiled train step can see them.

A compiled step keeps the Python floats of its first call for ever. So the values of an epoch's updates lie in a
variable, one row per value and one column per update, and the step reads the column `iterations - start`. On the torch
backend the step is ordinary Python, and the values stay Python floats, as torch's own optimizers have them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from ..core.optimizers import HYPERPARAMETERS, Spec


class HyperparameterTable(ABC):
    """The values of each update of an epoch; past the last column, the last one holds.

    optimizer: whose iterations count the updates.
    spec: the base values, which hold until a callback writes others.

    Below the rows of the hyperparameters lie those of what the update forms of them, computed in float64 and rounded
    once, as torch does it: formed in float32 it can be another float32, and then is in every update. They are
    `retention`, 1 - learning_rate * weight_decay, the factor of the weights in an update; `blend`, 1 - momentum, the
    share of the gradient in the moving average; and the logarithm of the momentum.
    """

    def __init__(self, optimizer: keras.optimizers.Optimizer, spec: Spec) -> None:
        self._optimizer = optimizer
        self._base = {name: [float(getattr(spec, name))] for name in HYPERPARAMETERS}
        self._values = dict(self._base)
        self.start = 0
        self.columns = 1
        self.recorded_columns = 0

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

    def begin_epoch(self, values: Mapping[str, Sequence[float]]) -> None:
        """The next update is the first of an epoch that uses these values; hyperparameters not named keep theirs.

        values: by hyperparameter, one for each update, or fewer, of which the last one holds.
        """
        self.start += self.made
        self._values.update({name: list(row) for name, row in values.items()})

    def reset(self) -> None:
        """The base values hold again."""
        self.begin_epoch(self._base)

    def rows(self) -> np.ndarray:
        """Shape (6, columns), float64: learning rate, weight decay, momentum, retention, blend, log(momentum)."""
        rates, decays, momenta = (self._row(self._values[name]) for name in HYPERPARAMETERS)
        with np.errstate(divide="ignore"):  # of no momentum it is minus infinity
            return np.stack([rates, decays, momenta, 1.0 - rates * decays, 1.0 - momenta, np.log(momenta)])

    def _row(self, values: Sequence[float]) -> np.ndarray:
        """The values of one hyperparameter in as many columns as there are."""
        return np.pad(values[: self.columns], (0, max(0, self.columns - len(values))), mode="edge")

    @property
    @abstractmethod
    def variables(self) -> Sequence[Any]:
        """The variables of the table, which are not part of a checkpoint."""

    @abstractmethod
    def column(self) -> Any:
        """The rows of the update that is next."""

    @abstractmethod
    def record(self, column: Any) -> None:
        """Write down the values that the present update uses."""

    @abstractmethod
    def used(self) -> list[dict[str, float]]:
        """The hyperparameters that each update of this epoch so far has used, as the updates recorded them."""


class GraphTable(HyperparameterTable):
    """The table in variables, for tensorflow and jax."""

    def __init__(self, optimizer: keras.optimizers.Optimizer, spec: Spec) -> None:
        super().__init__(optimizer, spec)
        self._dtype = "float64" if keras.config.floatx() == "float64" else "float32"
        self._start = self._variable(np.zeros((), "int32"), "int32", "epoch_start")
        self._table = self._variable(self.rows(), self._dtype, "hyperparameters")
        self._log: Any = None

    @property
    def variables(self) -> Sequence[Any]:
        return [v for v in (self._start, self._table, self._log) if v is not None]

    def reserve(self, columns: int, recorded: int = 0) -> bool:
        grown = super().reserve(columns, recorded)
        if self._table.shape[1] != self.columns:
            self._optimizer._untrack_variable(self._table)
            self._table = self._variable(self.rows(), self._dtype, "hyperparameters")
        if self.recorded_columns and (self._log is None or self._log.shape[1] != self.recorded_columns):
            if self._log is not None:
                self._optimizer._untrack_variable(self._log)
            shape = (len(HYPERPARAMETERS), self.recorded_columns)
            self._log = self._variable(np.zeros(shape), self._dtype, "used_hyperparameters")
        return grown

    def begin_epoch(self, values: Mapping[str, Sequence[float]]) -> None:
        super().begin_epoch(values)
        self._start.assign(self.start)
        self._table.assign(self.rows())

    def column(self) -> Any:
        return ops.take(self._table, ops.clip(self._index(), 0, self._table.shape[1] - 1), axis=1)

    def record(self, column: Any) -> None:
        if self._log is None:
            return
        here = ops.equal(ops.arange(self._log.shape[1], dtype="int32"), self._index())
        self._log.assign(ops.where(here, ops.expand_dims(column[: len(HYPERPARAMETERS)], 1), self._log.value))

    def used(self) -> list[dict[str, float]]:
        log = ops.convert_to_numpy(self._log)[:, : self.made]
        return [dict(zip(HYPERPARAMETERS, map(float, column), strict=True)) for column in log.T]

    def _index(self) -> Any:
        """The number of updates since the epoch began, in the graph."""
        return ops.cast(self._optimizer.iterations, "int32") - self._start

    def _variable(self, value: np.ndarray, dtype: str, name: str) -> Any:
        variable = keras.Variable(value, dtype=dtype, trainable=False, name=name, aggregation="only_first_replica")
        self._optimizer._track_variable(variable)
        return variable


class EagerTable(HyperparameterTable):
    """The table in Python, for the torch backend."""

    def __init__(self, optimizer: keras.optimizers.Optimizer, spec: Spec) -> None:
        super().__init__(optimizer, spec)
        self._rows = self.rows()
        self._log: list[dict[str, float]] = []

    @property
    def variables(self) -> Sequence[Any]:
        return ()

    def reserve(self, columns: int, recorded: int = 0) -> bool:
        super().reserve(columns, recorded)
        self._rows = self.rows()
        return False

    def begin_epoch(self, values: Mapping[str, Sequence[float]]) -> None:
        super().begin_epoch(values)
        self._rows = self.rows()
        self._log = []

    def column(self) -> tuple[float, ...]:
        return tuple(map(float, self._rows[:, min(max(self.made, 0), self.columns - 1)]))

    def record(self, column: tuple[float, ...]) -> None:
        if self.recorded_columns:
            self._log.append(dict(zip(HYPERPARAMETERS, column, strict=False)))

    def used(self) -> list[dict[str, float]]:
        return list(self._log)
