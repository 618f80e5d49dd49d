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


class Rate:
    """The learning rate of an optimizer about to be trained, before BackupAndRestore or the like restores another one.

    Args:
        optimizer: The optimizer.
        count: Its update count.

    Attributes:
        base: The learning rate before any decay; None if unknown.
        held: The one that it holds; None if it is not a variable, as with build_optimizer.
        updates: The number of all its updates so far.
    """

    def __init__(self, optimizer: Optimizer, count: UpdateCount) -> None:
        self.base: float | None = None
        self.held: float | None = None
        self.updates: int = count.total
        if not isinstance(optimizer._learning_rate, keras.Variable):
            return
        self.held = number(optimizer._learning_rate)
        self.base, written = _KNOWN.get(optimizer, (None, None))
        if written is None or float32(written) != float32(self.held):
            # Not decayed yet, or set since: a fresh optimizer's own learning rate is its base value.
            self.base = None if self.updates else self.held


def write_rate(optimizer: Optimizer, base: float | None, rate: float) -> None:
    """Write a learning rate into an optimizer, and remember its base value."""
    optimizer.learning_rate = rate
    _KNOWN[optimizer] = (base, rate)
