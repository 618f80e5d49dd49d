"""The hyperparameters of the current epoch, where a compiled train step can see them.

A compiled step keeps the Python floats of its first call forever. The values of an epoch's updates are therefore in a
variable, with a row per value and a column per update for each parameter group, and the step reads the column
`iterations - start`. On the torch backend the step is ordinary Python, and the values stay Python floats, as in torch's
own optimizers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops

from ...core.callbacks.optimizer_matching import log_name
from ...core.specs.parameter_rules import Multipliers, by_multipliers
from ...core.specs.spec import HYPERPARAMETERS, Spec
from ..versions import asks_for_shardings
from .current_value import CurrentValue
from .resizable import Guarded, Resizable
from .rows import Rows
from .settable import refuse

Source = Callable[[Sequence[float]], Sequence[Sequence[float]]]
"""Maps the groups' base values to each group's values, one per update; the last one applies from there on."""


def _constant(bases: Sequence[float]) -> list[list[float]]:
    return [[base] for base in bases]


class HyperparameterTable(ABC):
    """The values of each update of an epoch, for each parameter group; the last column also applies after it.

    Args:
        optimizer: The optimizer; its count says which update is next.
        spec: The spec, whose base values apply until a callback writes others.

    Attributes:
        current: Each hyperparameter's value in the next update, for the first group.
    """

    def __init__(self, optimizer: keras.optimizers.Optimizer, spec: Spec) -> None:
        self._optimizer, self._count = optimizer, optimizer.count
        self._spec = spec
        self._sources: dict[str, Source] = dict.fromkeys(HYPERPARAMETERS, _constant)
        self.groups: list[Multipliers] = []
        self._group_of: list[int] = []
        self.columns: int = 1
        self.recorded_columns: int = 0
        self._set_groups([Multipliers(l1_ratio=spec.l1_ratio)])
        self.current: dict[str, CurrentValue] = {
            name: CurrentValue(name, partial(self._next, row), refuse) for row, name in enumerate(HYPERPARAMETERS)
        }

    def _next(self, row: int) -> Any:
        return self.column()[0][row]

    def set_groups(self, of_variables: Sequence[Multipliers]) -> None:
        """Make one group per distinct multipliers, which are given for each of the optimizer's variables."""
        numbered = by_multipliers(of_variables)
        of = {index: number for number, indices in enumerate(numbered.values()) for index in indices}
        self._group_of = [of[index] for index in range(len(of))]
        self._set_groups(list(numbered))

    def set_spec(self, spec: Spec) -> None:
        """Use another spec's base values."""
        self._spec = spec
        self._set_groups(self.groups)

    def set_precision(self, dtypes: Iterable[str]) -> None:
        """Hold the values in the precision of the most precise of the optimizer's variables, given their dtypes."""
        return

    def group(self, index: int) -> int:
        """The group number of the optimizer's variable `index`; without rules there is a single group."""
        return self._group_of[index] if self._group_of else 0

    def _set_groups(self, groups: list[Multipliers]) -> None:
        self.groups = groups
        self.base: dict[str, list[Any]] = {
            name: [float(getattr(self._spec, name)) * getattr(multipliers, name, 1.0) for multipliers in groups]
            for name in HYPERPARAMETERS
        }
        # A model built by its first batch gets its groups after the epoch has begun.
        self._values = {name: source(self.base[name]) for name, source in self._sources.items()}

    def reserve(self, columns: int, recorded: int = 0) -> bool:
        """Make room for an epoch of `columns` updates and for recording `recorded` of them.

        Returns:
            Whether the table grew, so that the train step must be retraced.
        """
        grown = columns > self.columns or recorded > self.recorded_columns
        self.columns = max(columns, self.columns)
        self.recorded_columns = max(recorded, self.recorded_columns)
        return grown

    def begin_epoch(self, sources: Mapping[str, Source]) -> None:
        """Begin an epoch that uses these values; other hyperparameters keep theirs.

        Args:
            sources: The source of the values, by hyperparameter.
        """
        self._count.begin_epoch()
        self._sources.update(sources)
        self._values.update({name: source(self.base[name]) for name, source in sources.items()})

    def reset(self) -> None:
        """Return to the base values."""
        self.begin_epoch(dict.fromkeys(HYPERPARAMETERS, _constant))

    def count_anew(self) -> None:
        """The optimizer's count has changed: the next update's position within the epoch has not."""
        return

    def rows(self) -> np.ndarray:
        """The `Rows` of each group and column: shape (groups, 7, columns), float64."""
        return np.stack([self._rows(number, multipliers) for number, multipliers in enumerate(self.groups)])

    def _rows(self, group: int, multipliers: Multipliers) -> np.ndarray:
        rates, decays, momenta = (self._row(self._values[name][group]) for name in HYPERPARAMETERS)
        shrink: Any = self._spec.shrink(rates, decays, self.base["learning_rate"][group])
        retention, towards_zero = 1 - shrink * (1 - multipliers.l1_ratio), shrink * multipliers.l1_ratio
        with np.errstate(divide="ignore"):  # log(0) is -inf without momentum
            return np.stack(Rows(rates, decays, momenta, retention, towards_zero, 1.0 - momenta, np.log(momenta)))

    def _row(self, values: Sequence[float]) -> Any:
        """The values of one hyperparameter, padded to the number of columns."""
        return np.pad(values[: self.columns], (0, max(0, self.columns - len(values))), mode="edge")

    @property
    @abstractmethod
    def variables(self) -> Sequence[Any]:
        """The table's variables, which are not saved."""

    def is_of_another_epoch(self) -> bool:
        """Whether updates were made with the values of another epoch, as far as what was assigned since tells."""
        return False

    @abstractmethod
    def held(self) -> tuple[np.ndarray, int]:
        """The values that this epoch's updates read, in the table's precision, and the number of updates before it."""

    @abstractmethod
    def column(self) -> Any:
        """The rows of the next update, shape (groups, 7)."""

    @abstractmethod
    def record(self, column: Any) -> None:
        """Record the values that the current update uses."""

    @abstractmethod
    def used(self, updates: Sequence[int]) -> Iterator[dict[str, float]]:
        """The hyperparameters that these updates of this epoch have used, as they recorded them.

        Group i > 0 adds `/i` to the names.
        """

    def _named(self, column: np.ndarray) -> dict[str, float]:
        """The entry of `used` for a recorded column, shape (groups, 3)."""
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
        self._start = self._variable(Guarded, np.zeros((), "int32"), "int32", "epoch_start")

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
        self._table = self._sized(self._table, Guarded, self.rows(), "hyperparameters")

    def _make_log(self) -> None:
        # Savers such as Orbax refuse an array without elements.
        shape = (len(self.groups), len(HYPERPARAMETERS), max(self.recorded_columns, 1))
        made = self._log is not None and (tuple(self._log.shape), self._log.dtype) == (shape, self._dtype)
        # On tensorflow always, so that a step traced now can record later.
        always = keras.backend.backend() == "tensorflow" or asks_for_shardings()
        if not made and (self.recorded_columns or always):
            self._log = self._sized(self._log, Resizable, np.zeros(shape), "used_hyperparameters")

    def _sized(self, variable: Any, kind: type[Resizable], value: np.ndarray, name: str) -> Any:
        """A variable with this value: the given one, or a new one."""
        if variable is None:
            return self._variable(kind, value, self._dtype, name)
        variable.resize(value, self._dtype)
        return variable

    def begin_epoch(self, sources: Mapping[str, Source]) -> None:
        super().begin_epoch(sources)
        self.count_anew()
        self._table.write(self.rows())

    def count_anew(self) -> None:
        self._start.write(np.array(self._count.start))

    def is_of_another_epoch(self) -> bool:
        return self._start.was_other or self._table.was_other

    def held(self) -> tuple[np.ndarray, int]:
        found = ops.convert_to_numpy(self._table)  # float64 with NumPy 1, where a variable keeps an array of NumPy
        return found.astype(self._dtype, copy=False), int(ops.convert_to_numpy(self._start))

    def column(self) -> Any:
        return ops.take(self._table, ops.clip(self._index(), 0, ops.shape(self._table.value)[2] - 1), axis=2)

    def record(self, column: Any) -> None:
        if self._log is None:
            return
        here = ops.equal(ops.arange(ops.shape(self._log.value)[2], dtype="int32"), self._index())
        used = ops.expand_dims(column[:, : len(HYPERPARAMETERS)], 2)
        self._log.assign(ops.where(here, used, self._log.value))

    def used(self, updates: Sequence[int]) -> Iterator[dict[str, float]]:
        log = ops.convert_to_numpy(self._log)
        return (self._named(log[:, :, update]) for update in updates)

    def _index(self) -> Any:
        """The number of updates since the epoch began, in the graph."""
        return ops.cast(self._optimizer.iterations, "int32") - self._start

    def _variable(self, kind: type[Resizable], value: np.ndarray, dtype: str, name: str) -> Any:
        """A new variable of the optimizer, which keeps its place for good."""
        with keras.name_scope(self._optimizer.name, caller=self._optimizer):
            variable = kind(value, dtype=dtype, trainable=False, name=name, aggregation="only_first_replica")
        self._optimizer._track_variable(variable)
        return variable


class EagerTable(HyperparameterTable):
    """The table in Python, for the torch backend."""

    def __init__(self, optimizer: keras.optimizers.Optimizer, spec: Spec) -> None:
        super().__init__(optimizer, spec)
        self._log: list[np.ndarray] = []

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
        return self._held, self._count.start

    def column(self) -> list[list[float]]:
        column: list[list[float]] = self._held[:, :, min(max(self._count.made, 0), self.columns - 1)].tolist()
        return column

    def record(self, column: list[list[float]]) -> None:
        if len(self._log) < self.recorded_columns:
            self._log.append(np.array(column)[:, : len(HYPERPARAMETERS)])

    def used(self, updates: Sequence[int]) -> Iterator[dict[str, float]]:
        return (self._named(self._log[update]) for update in updates)
