"""The state of the run in an optimizer's checkpoint, besides its variables."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np

from ...core.checkpoints.saved import Driver, Saved
from ...core.schedules.clock import Position
from ..update_count import UpdateCount


class RunState:
    """An optimizer's position in a run, and what drives it.

    Args:
        count: Of its updates.

    Attributes:
        before: What drove it up to where the present training begins.
        loaded: Whether it comes from a checkpoint, and no epoch has ended since.
    """

    def __init__(self, count: UpdateCount) -> None:
        self._count = count
        self.forget()

    def forget(self) -> None:
        """There was no run."""
        self.before: Sequence[Driver] = ()
        self.loaded: bool = False
        self._driving: dict[Hashable, Callable[[], Sequence[Driver]]] = {}
        self._epoch: int | None = None
        self._has_ended = False  # the epoch
        self._has_trained = False  # whether an epoch of the present training has ended
        self._before_loading = 0  # updates of the epoch, before a checkpoint that was loaded within it

    def begin(self) -> None:
        """Training begins."""
        if not self.loaded:
            self.end()
        self._driving, self._has_trained = {}, False

    def end(self) -> None:
        """Training has ended: what drove it has seen what it has, whatever it sees in other trainings."""
        self.before, self._driving = self._drivers() or self.before, {}

    def driven_by(self, key: Hashable, drivers: Callable[[], Sequence[Driver]]) -> None:
        """In this training these drive it, besides those of other keys.

        Args:
            key: Of what gives them.
            drivers: Gives them, where a checkpoint is made.
        """
        self._driving[key] = drivers

    @property
    def is_driven(self) -> bool:
        """Whether something drives it in this training, and no checkpoint has been loaded since."""
        return bool(self._driving)

    def goes_on(self, made: int) -> bool:
        """Whether a training that has made updates, `made` of them in this epoch, drives it: its own position holds."""
        return self.is_driven and (self._has_trained or made > 0)

    def begin_epoch(self, epoch: int) -> None:
        """The next update is the first of an epoch."""
        self._epoch, self._has_ended, self._before_loading = epoch, False, 0

    def end_epoch(self, epoch: int) -> None:
        """An epoch has ended."""
        self._epoch, self._has_ended, self._has_trained, self.loaded = epoch + 1, True, True, False

    @property
    def position(self) -> Position:
        """Where it is."""
        update = 0 if self._has_ended else max(self._before_loading + self._count.made, 0)
        return Position(self._epoch or 0, update)

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
        """Continue with what a checkpoint had; the optimizer's number of updates is loaded already."""
        progress = saved.optimizers[0]
        self.forget()
        self._count.begin_epoch()
        self.before, self.loaded = progress.drivers, True
        self._epoch, self._before_loading = saved.epoch, progress.update

    def _drivers(self) -> Sequence[Driver]:
        return [driver for drivers in self._driving.values() for driver in drivers()]


def read(array: Any) -> Saved:
    """What `RunState.saved` gave; raises ValueError for what it did not give."""
    found = np.asarray(array)
    saved = Saved.from_text(found.tobytes() if found.dtype == "uint8" and found.ndim == 1 else b"")
    if set(saved.optimizers) != {0}:
        raise ValueError(f"found a samestep state of the optimizers {list(saved.optimizers)}; expected number 0.")
    return saved
