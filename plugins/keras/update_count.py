"""Counts the updates of a Keras optimizer."""

from __future__ import annotations

import keras
from keras import ops


class UpdateCount:
    """Counts the updates of an optimizer since an epoch began.

    Args:
        optimizer: The optimizer to count; its `iterations` is the number of all its updates.

    Attributes:
        start: The number of updates before the epoch.
    """

    def __init__(self, optimizer: keras.optimizers.Optimizer) -> None:
        self._optimizer = optimizer
        self.start: int = 0

    @property
    def total(self) -> int:
        """The number of all updates so far."""
        return int(ops.convert_to_numpy(self._optimizer.iterations))

    @property
    def made(self) -> int:
        """The number of updates since the epoch began."""
        return self.total - self.start

    def begin_epoch(self) -> None:
        """The next update is the first of an epoch."""
        self.start = self.total
