"""The numbers of an update that its table has."""

from __future__ import annotations

from typing import Any, NamedTuple


class Rows(NamedTuple):
    """The table's values for an update, each of shape (groups,).

    The last four are derived from the hyperparameters in float64 and rounded once, as torch does. Derived in float32,
    they could be a different float32, in every update.

    Attributes:
        learning_rate: A hyperparameter.
        weight_decay: A hyperparameter.
        momentum: A hyperparameter.
        retention: The factor that the weight decay multiplies a weight by.
        towards_zero: What L1 decay subtracts as well.
        blend: 1 - momentum, the share of the gradient in the moving average.
        log_momentum: The momentum's logarithm.
    """

    learning_rate: Any
    weight_decay: Any
    momentum: Any
    retention: Any
    towards_zero: Any
    blend: Any
    log_momentum: Any
