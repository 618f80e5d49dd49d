"""Records the values that the updates of a Keras optimizer really used."""

from __future__ import annotations

from abc import ABC, abstractmethod

import keras

from ...core.callbacks.trace_recorder import Interval
from ...core.checkpoints.trace import Trace
from ...core.schedules.clock import Position
from ..models import has_own_train_step
from ..optimizers.scheduled import ScheduledOptimizer
from ..update_count import UpdateCount
from .values import number, reserve

_COLUMNS = 65536  # for an epoch of unknown length
_IN_A_BATCH = 16  # updates per batch of a custom train_step


def record(
    optimizer: keras.optimizers.Optimizer,
    count: UpdateCount,
    model: keras.Model,
    batches: int | None,
    interval: Interval,
    who: str,
) -> Recording:
    """Start recording an optimizer of a model about to be trained.

    Args:
        optimizer: The optimizer to record.
        count: Its update count.
        model: The model it trains.
        batches: The number of batches in an epoch; None if unknown.
        interval: Which updates to record.
        who: The recorder's name in messages.

    Returns:
        The recording.

    Raises:
        ValueError: The updates cannot be seen one by one.
    """
    if isinstance(optimizer, ScheduledOptimizer):
        return _TableRecording(optimizer, model, batches, interval, who)
    return _StockRecording(optimizer, count, model, interval, who)


class Recording(ABC):
    """A recording of an optimizer's updates.

    Attributes:
        each_batch: Whether it reads the optimizer after each batch.
        trace: The recorded values.
    """

    each_batch = False

    def __init__(self, interval: Interval) -> None:
        self.trace: Trace = Trace()
        self._interval = interval

    @abstractmethod
    def begin_epoch(self, epoch: int) -> None:
        """The next update is the first of an epoch."""

    def after_batch(self) -> None:
        """Read the values that the update of a batch used, before anything can change them."""
        return

    def end_epoch(self) -> None:
        """Record an epoch's updates."""
        return


class _TableRecording(Recording):
    def __init__(
        self, optimizer: ScheduledOptimizer, model: keras.Model, batches: int | None, interval: Interval, who: str
    ) -> None:
        super().__init__(interval)
        self._table, self._count, self._who = optimizer.table, optimizer.count, who
        self._length = "an epoch of unknown length" if batches is None else f"an epoch of {batches} batches"
        reserve(model, optimizer, 1, self._columns(model, batches))

    def _columns(self, model: keras.Model, batches: int | None) -> int:
        """The most updates of an epoch that are recorded."""
        if self._interval.updates is None:
            return 1
        if batches is None:
            return _COLUMNS
        # A train step of the user's own may make several updates of a batch, or fewer than one.
        return max(batches, min(_COLUMNS, _IN_A_BATCH * batches)) if has_own_train_step(model) else batches

    def begin_epoch(self, epoch: int) -> None:
        self._epoch = epoch
        self._table.begin_epoch({})

    def end_epoch(self) -> None:
        made, most = self._count.made, self._table.recorded_columns
        if made > most and self._interval.updates is not None:
            raise ValueError(
                f"{self._who}: found {made} updates in {self._length}, of which at most {most} are recorded; give "
                f"fit(steps_per_epoch=...), or write every='1 epoch' to record the first of each epoch."
            )
        updates = [update for update in range(min(made, most)) if self._interval.includes(self._epoch, update)]
        for update, values in zip(updates, self._table.used(updates), strict=True):
            self.trace.record(Position(self._epoch, update), values)


class _StockRecording(Recording):
    """A stock optimizer's learning rate is a variable that the update reads.

    Its weight decay is not recorded: the attribute may hold a value that the compiled step has never seen.
    """

    each_batch = True

    def __init__(
        self,
        optimizer: keras.optimizers.Optimizer,
        count: UpdateCount,
        model: keras.Model,
        interval: Interval,
        who: str,
    ) -> None:
        super().__init__(interval)
        self._optimizer, self._count = optimizer, count
        if model.steps_per_execution != 1:
            raise ValueError(
                f"{who}: found steps_per_execution={model.steps_per_execution} and Keras' own "
                f"{type(optimizer).__name__}, whose updates cannot be seen one by one; build the optimizer with "
                f"build_optimizer(spec, model), or set steps_per_execution=1."
            )

    def begin_epoch(self, epoch: int) -> None:
        self._epoch = epoch
        self._count.begin_epoch()
        self._seen = 0

    def after_batch(self) -> None:
        made = self._count.made
        if made > self._seen:
            if self._interval.includes(self._epoch, self._seen):
                values = {"learning_rate": number(self._optimizer.learning_rate)}
                self.trace.record(Position(self._epoch, self._seen), values)
            self._seen = made
