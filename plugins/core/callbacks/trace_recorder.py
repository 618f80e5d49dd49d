"""What the TraceRecorders of both frameworks share."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..arguments.check import ChecksArguments
from ..arguments.given import hook_error
from ..checkpoints.trace import Trace
from ..schedules.durations import Duration, DurationLike, as_duration


class Interval(NamedTuple):
    """Which updates are recorded, by their position alone."""

    epochs: int
    updates: int | None  # None for the first update of an epoch alone

    def includes(self, epoch: int, update: int) -> bool:
        """Whether an update of an epoch is recorded."""
        return epoch % self.epochs == 0 and (update % self.updates if self.updates else update) == 0


class TraceRecorder(ChecksArguments):
    """Record the values that the optimizer really uses into `trace`: of every update, or of some.

    Args:
        every: Which updates to record. "100 updates": the updates 0, 100, 200 ... of each epoch. "2 epochs": the first
            update of the epochs 0, 2, 4 ... An update's position alone decides, so that a resumed run records the same
            ones.

    Attributes:
        traces: The traces of the latest training run, by the submodel that each optimizer trains; "" for a single
            optimizer.

    Raises:
        TypeError: `every` is a bare number.
        ValueError: `every` is not a whole number of updates or of epochs.

    >>> TraceRecorder(every="1 epoch").every
    epochs(1)
    """

    def __init__(self, *, every: DurationLike = "1 update") -> None:
        super().__init__()
        self._every = as_duration(every, f"{type(self).__name__}: every")
        amounts = {unit: getattr(self._every, unit) for unit in self._every.units}
        if list(amounts) not in (["updates"], ["epochs"]) or any(each.denominator != 1 for each in amounts.values()):
            raise ValueError(
                f"{type(self).__name__}: found every='{self._every}'; write a whole number of updates or of epochs, "
                f"such as '100 updates' or '1 epoch'."
            )
        updates = int(self._every.updates)
        self._interval = Interval(1, updates) if updates else Interval(int(self._every.epochs), None)
        self.traces: dict[str, Trace] = {"": Trace()}

    @property
    def every(self) -> Duration:
        """Which updates are recorded."""
        return self._every

    @property
    def trace(self) -> Trace:
        """The `Trace` of the latest training run; raises ValueError if there are several optimizers."""
        if len(self.traces) > 1:
            raise ValueError(
                f"{type(self).__name__}: found the traces of {len(self.traces)} optimizers; write one of "
                f"{', '.join(f'traces[{name!r}]' for name in self.traces)}."
            )
        (trace,) = self.traces.values()
        return trace

    def __getattr__(self, name: str) -> Any:
        error = hook_error(self, name)
        if error is not None:
            raise error
        return object.__getattribute__(self, name)  # raises
