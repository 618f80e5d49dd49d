"""What followers and recordings share: numbers of variables, room in the table, the error for a wrong value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from ...core.callbacks.errors import other_value_error
from ...core.policies.policy import Policy
from ...core.recipes.float32 import shortest_decimal
from ...core.schedules.clock import Position
from ..optimizers.scheduled import ScheduledOptimizer


def reserve(model: keras.Model, optimizer: ScheduledOptimizer, columns: int, recorded: int = 0) -> None:
    """Make room in an optimizer's table, and retrace the train step if it grew."""
    if optimizer.table.reserve(columns, recorded):
        # A train step traced with the smaller variables would keep using them.
        model.make_train_function(force=True)


def number(variable: Any) -> float:
    """A variable's number as the decimal it was written as: 0.001, not 0.0010000000474974513."""
    value = ops.convert_to_numpy(variable)
    return shortest_decimal(float(value)) if value.dtype == "float32" else float(value)


def other_value(
    policy: Policy, name: str, found: float, planned: float, where: Position, others: Sequence[str]
) -> ValueError:
    """The error for an optimizer that holds another value; see `core.callbacks.errors.other_value_error`."""
    return other_value_error(policy, name, found, planned, where, others or ["the model's own code"])
