"""What the checkpoint of an optimizer has of its run, beside its variables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..core.checkpoints.resuming import Continued, driver_of
from ..core.checkpoints.saved import Driver, Saved
from ..core.schedules.durations import Position


class Run:
    """How far an optimizer is in a run, and what drives it there.

    made: gives the number of updates that the optimizer has made.
    before: what drove it up to where the present training begins. going_on: what drives it now.
    loaded: whether it comes from a checkpoint, and no epoch has ended since.
    """

    def __init__(self, made: Callable[[], int]) -> None:
        self._made = made
        self.forget()

    def forget(self) -> None:
        """There was no run."""
        self.before: Sequence[Driver] = ()
        self.going_on: list[Continued] = []
        self.loaded = False
        self._epoch: int | None = None
        self._start = 0

    def begin(self) -> None:
        """Training begins."""
        if not self.loaded:
            self.end()
        self.going_on = []

    def end(self) -> None:
        """Training has ended: what drove it has seen what it has, whatever it sees in other trainings."""
        self.before, self.going_on = self._drivers() or self.before, []

    def begin_epoch(self, epoch: int) -> None:
        """An epoch begins, or the one before it has ended."""
        self._epoch, self._start = epoch, self._made()

    def end_epoch(self, epoch: int) -> None:
        """An epoch has ended."""
        self.loaded = False
        self.begin_epoch(epoch + 1)

    @property
    def position(self) -> Position:
        """Where it is."""
        return Position(self._epoch or 0, max(self._made() - self._start, 0))

    def progress(self) -> Saved | None:
        """What a checkpoint has of this run, or None where nothing has driven the optimizer."""
        drivers = self._drivers() or self.before
        if self._epoch is None or not drivers:
            return None
        return Saved(self._epoch).with_progress(0, self.position.update, *drivers)

    def saved(self) -> np.ndarray | None:
        """`progress` as an array of shape (bytes,)."""
        progress = self.progress()
        return None if progress is None else np.frombuffer(progress.to_text().encode(), "uint8")

    def load(self, saved: Saved) -> None:
        """Go on from what a checkpoint had; the optimizer's number of updates is loaded already."""
        progress = saved.optimizers[0]
        self.before, self.going_on, self.loaded = progress.drivers, [], True
        self._epoch, self._start = saved.epoch, self._made() - progress.update

    def _drivers(self) -> Sequence[Driver]:
        return [driver_of(*each) for each in self.going_on]


def read(array: Any) -> Saved:
    """What `Run.saved` gave; raises ValueError for what it did not give."""
    found = np.asarray(array)
    saved = Saved.from_text(found.tobytes() if found.dtype == "uint8" and found.ndim == 1 else b"")
    if set(saved.optimizers) != {0}:
        raise ValueError(f"found a state of samestep of the optimizers {list(saved.optimizers)}; expected number 0.")
    return saved
