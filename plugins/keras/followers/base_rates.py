"""The learning rate of Keras' own optimizers before any decay."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import keras
from keras.optimizers import Optimizer

from ...core.recipes.float32 import float32
from ..update_count import UpdateCount
from .values import number

# For Keras' own optimizers: the learning rate before any decay, and the one written last.
_KNOWN: WeakKeyDictionary[Optimizer, tuple[float | None, float]] = WeakKeyDictionary()


def base_rate(optimizer: Optimizer, count: UpdateCount) -> float | None:
    """The learning rate before any decay of an optimizer about to be trained; None if unknown.

    Call this before a callback such as BackupAndRestore restores another run's learning rate.
    """
    rate = optimizer._learning_rate
    if not isinstance(rate, keras.Variable):
        return None
    found = number(rate)
    base, written = _KNOWN.get(optimizer, (None, None))
    if written is None or float32(written) != float32(found):
        # Not decayed yet, or set since: a fresh optimizer's own learning rate is its base value.
        return found if count.total == 0 else None
    return base


def write_rate(optimizer: Optimizer, base: float | None, rate: float) -> None:
    """Write a learning rate into an optimizer, and remember its base value."""
    optimizer.learning_rate = rate
    _KNOWN[optimizer] = (base, rate)
