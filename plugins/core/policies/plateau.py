"""The metric-driven multiplier: the number of reductions as a pure function of the scores."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

from ..schedules.serializable import Value, real

Mode = Literal["min", "max"]
ThresholdMode = Literal["rel", "abs"]


class PlateauState(NamedTuple):
    """The result of the scores so far: the best, bad ones in a row, the cooldown left, reductions."""

    best: float
    bad: int = 0
    cooldown: int = 0
    reductions: int = 0


@dataclass(frozen=True, repr=False)
class Reaction(Value, family=True):
    """Base class of rules that react to scores."""

    _example: ClassVar[str] = "Plateau(patience=5)"


@dataclass(frozen=True, repr=False)
class Plateau(Reaction):
    """Reduce a value when a score stops improving, in the conventions of PyTorch's ReduceLROnPlateau.

    The value in epoch e is::

        max(scheduled * factor ** n, min(scheduled, floor))

    where n is the number of reductions due to the scores of epochs before e. Before the first score, the best is inf
    for "min" and -inf for "max". A score improves on the best so far if it is::

        less than best * (1 - threshold)        for "min" and "rel"
        less than best - threshold              for "min" and "abs"
        greater than best * (1 + threshold)     for "max" and "rel"
        greater than best + threshold           for "max" and "abs"

    Otherwise, or if it is NaN, it is bad. More than `patience` bad scores in a row reduce the value.

    Args:
        mode: Whether lower ("min") or higher ("max") scores are better.
        factor: Multiplier of each reduction, in [0, 1).
        patience: The number of bad scores in a row that are tolerated before a reduction, at least 0.
        threshold: By how much a score must improve, at least 0; below 1 for "min" and "rel".
        threshold_mode: "rel" is a fraction of the best score and "abs" a difference. For scores below 0 use "abs":
            "rel" would count slightly worse scores as improvements.
        cooldown: The number of scores after a reduction that never count as bad, at least 0.
        floor: The lowest value that reductions reach: a value, not a fraction. It never raises a value: one scheduled
            below it, as in a warmup, stays as it is.
        start_epoch: Scores of earlier epochs are ignored.

    Raises:
        TypeError: An argument is not a number.
        ValueError: An argument is out of range.

    >>> plateau, scores = Plateau(factor=0.5, patience=1), {0: 1.0, 1: 0.9, 2: 0.9, 3: 0.95, 4: 0.8}
    >>> [plateau.reductions(scores, epoch) for epoch in range(6)]
    [0, 0, 0, 0, 1, 1]
    """

    mode: Mode = "min"
    factor: float = 0.1
    patience: int = 10
    threshold: float = 1e-4
    threshold_mode: ThresholdMode = "rel"
    cooldown: int = 0
    floor: float = 0.0
    start_epoch: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require(0 <= self.factor < 1, "factor", "a multiplier in [0, 1)")
        for name in ("patience", "cooldown", "start_epoch"):
            whole(getattr(self, name), f"Plateau.{name}")
        for name in ("threshold", "floor"):
            at_least_0(getattr(self, name), f"Plateau.{name}")
        self._require(
            self.threshold < 1 or (self.mode, self.threshold_mode) != ("min", "rel"),
            "threshold",
            "a fraction below 1, as no score can improve by more, or threshold_mode='abs'",
        )

    @property
    def begin(self) -> PlateauState:
        """The state before the first score."""
        return PlateauState(math.inf if self.mode == "min" else -math.inf)

    def after(self, progress: PlateauState, epoch: int, score: float) -> PlateauState:
        """The state after the score of the next epoch.

        >>> plateau = Plateau(patience=0, cooldown=2)
        >>> plateau.after(PlateauState(best=0.5), 7, 0.6)
        PlateauState(best=0.5, bad=0, cooldown=2, reductions=1)
        """
        if epoch < self.start_epoch:
            return progress
        best, bad, cooldown, reductions = progress
        if self._better(score, best):
            best, bad = score, 0
        else:
            bad += 1
        if cooldown:
            bad, cooldown = 0, cooldown - 1
        if bad > self.patience:
            bad, cooldown, reductions = 0, self.cooldown, reductions + 1
        return PlateauState(best, bad, cooldown, reductions)

    def _better(self, score: float, best: float) -> bool:
        margin = -self.threshold if self.mode == "min" else self.threshold
        bound = best * (1.0 + margin) if self.threshold_mode == "rel" else best + margin
        return score < bound if self.mode == "min" else score > bound

    def reductions(self, scores: Mapping[int, float], epoch: int) -> int:
        """The number of reductions when an epoch begins, from the scores of the epochs before it.

        Args:
            scores: The score of each epoch that has one, in any order.
            epoch: Counted from 0.

        >>> Plateau(patience=0).reductions({2: 0.6, 0: 0.5, 1: 0.5}, epoch=3)
        2
        """
        progress = self.begin
        for each in sorted(scores):
            if each < epoch:
                progress = self.after(progress, each, scores[each])
        return progress.reductions

    def multiplier(self, reductions: int) -> float:
        """factor ** reductions, as in `StepDecay`: 1.0 before the first reduction.

        >>> [Plateau(factor=0.5).multiplier(n) for n in (0, 1, 2)]
        [1.0, 0.5, 0.25]
        """
        return float(self.factor**reductions)

    def reduced(self, values: Sequence[float], reductions: int) -> list[float]:
        """The scheduled values of an epoch after the reductions, not below the floor unless the schedule is.

        >>> Plateau(factor=0.5, floor=0.25).reduced([0.125, 0.375, 1.0], reductions=1)
        [0.125, 0.25, 0.5]
        """
        multiplier, floor = self.multiplier(reductions), self.floor
        return [max(value * multiplier, min(value, floor)) for value in values]


def whole(found: object, name: str) -> int:
    """A whole number of at least 0; otherwise raises ValueError that names the argument."""
    if not isinstance(found, int) or isinstance(found, bool) or found < 0:
        raise ValueError(f"{name}: found {found!r}; expected a whole number of at least 0.")
    return found


def at_least_0(found: object, name: str) -> float:
    """A finite number of at least 0; otherwise raises TypeError or ValueError that names the argument."""
    number = real(found, name)
    if number < 0:
        raise ValueError(f"{name}: found {found!r}; expected a number of at least 0.")
    return number
