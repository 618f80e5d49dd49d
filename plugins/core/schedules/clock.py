"""Where a run is, how long it is, and the exact number of updates in a duration."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from ..arguments.check import ChecksArguments
from .durations import Duration, Unit


class Position(NamedTuple):
    """Where the training loop is: in epoch `epoch` (from 0), about to make update `update` (from 0) of that epoch."""

    epoch: int
    update: int = 0

    def __str__(self) -> str:
        return f"epoch {self.epoch}, update {self.update}"


@dataclass(frozen=True)
class Clock(ChecksArguments):
    """What is known of a run's length, and how durations become updates.

    A clock that does not know `updates_per_epoch` counts in epochs, and refuses durations in updates.

    Args:
        updates_per_epoch: Updates in each epoch, or None if the training data has no length.
        epochs: Epochs of the run, or None if unknown.
        max_updates: The run ends after this many updates even if `epochs` are not complete.

    Raises:
        ValueError: An argument is not a whole number of at least 1.

    >>> clock = Clock(updates_per_epoch=100, epochs=10, max_updates=950)
    >>> clock.length(), clock.exact(epochs("1.5")), clock.exact(percent(10)), clock.exact(updates(7))
    (Fraction(950, 1), Fraction(150, 1), Fraction(95, 1), Fraction(7, 1))
    """

    updates_per_epoch: int | None = None
    epochs: int | None = None
    max_updates: int | None = None

    def __post_init__(self) -> None:
        for name in ("updates_per_epoch", "epochs", "max_updates"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
                raise ValueError(
                    f"{name}: found {value!r}; expected a whole number of at least 1, or None if it is not known."
                )

    @property
    def unit(self) -> Unit:
        """What `exact` counts in: updates where their number in an epoch is known, epochs otherwise."""
        return "epochs" if self.updates_per_epoch is None else "updates"

    def length(self) -> Fraction | None:
        """The run's length in `unit`, or None if unknown."""
        lengths = []
        if self.epochs is not None:
            lengths.append(Fraction(self.epochs * (self.updates_per_epoch or 1)))
        if self.max_updates is not None:
            if self.updates_per_epoch is None:
                return None
            lengths.append(Fraction(self.max_updates))
        return min(lengths) if lengths else None

    def exact(self, duration: Duration) -> Fraction:
        """A duration in this clock's `unit`, without rounding.

        Raises:
            ValueError: The clock knows too little, or the duration is a negative difference.
        """
        exact = duration.epochs * (self.updates_per_epoch or 1)
        if duration.percent:
            exact += duration.percent / 100 * self._known_length(duration)
        if duration.updates:
            if self.updates_per_epoch is None:
                raise ValueError(
                    f"'{duration}' needs the number of updates in an epoch, which is unknown; give updates_per_epoch=, "
                    f"or write the duration in epochs."
                )
            exact += duration.updates
        if exact < 0:
            raise ValueError(
                f"'{duration}' is {exact} {self.unit} in this run, and cannot be used as a duration; make what is "
                f"subtracted shorter, or the run longer."
            )
        return exact

    def _known_length(self, duration: Duration) -> Fraction:
        length = self.length()
        if length is None and self.max_updates is not None:
            raise ValueError(
                f"'{duration}' of a run that ends after {self.max_updates} updates needs the number of updates in "
                f"an epoch, which is unknown; give updates_per_epoch=, or write the duration in epochs."
            )
        if length is None:
            raise ValueError(
                f"'{duration}' needs the length of the run, which is unknown; give the trainer a number of "
                f"epochs, or write the duration in epochs or updates."
            )
        return length
