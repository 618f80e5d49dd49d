"""The learning rate that an optimizer of Keras' own had before any decay."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import keras
from keras.optimizers import Optimizer

from ...core.recipes.float32 import float32
from ..update_count import UpdateCount
from .values import number

# Of optimizers that are not samestep's: the learning rate before any decay, and the one that was written last.
_KNOWN: WeakKeyDictionary[Optimizer, tuple[float | None, float]] = WeakKeyDictionary()


def base_rate(optimizer: Optimizer, count: UpdateCount) -> float | None:
    """The learning rate before any decay, of an optimizer that is about to be trained; None where it is unknown.

    It is to be asked for before a callback such as BackupAndRestore gives the optimizer another run's learning rate.
    """
    rate = optimizer._learning_rate
    if not isinstance(rate, keras.Variable):
        return None
    found = number(rate)
    base, written = _KNOWN.get(optimizer, (None, None))
    if written is None or float32(written) != float32(found):
        # Nobody decayed it yet, or somebody set it since: a fresh optimizer's own is its base value.
        return found if count.total == 0 else None
    return base


def write_rate(optimizer: Optimizer, base: float | None, rate: float) -> None:
    """Write a learning rate into an optimizer that had this one before any decay."""
    optimizer.learning_rate = rate
    _KNOWN[optimizer] = (base, rate)
