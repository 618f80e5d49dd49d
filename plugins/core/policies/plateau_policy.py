"""The policy of a plateau: a multiplier per epoch, as a function of a metric's earlier scores."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from reprlib import repr as shortened
from typing import Any, ClassVar, Literal, Self, get_args

from ..schedules.clock import Clock, Position
from .plateau import Plateau, whole
from .policy import Policy

Reducible = Literal["learning_rate", "weight_decay"]


class PlateauPolicy(Policy):
    """Multiplies what is scheduled by factor ** n, where n is the number of reductions due to earlier epochs' scores.

    Scores are kept by epoch, and n depends only on them: a score reported twice counts once, retraining an epoch
    replaces its score, and a resumed run has the same values.

    Args:
        monitor: The name of the metric.
        hyperparameter: "learning_rate" or "weight_decay".
        base: The learning rate before any reduction, or None for each group's own.
        who: Its name in messages.
        **plateau: The arguments of `Plateau`.
    """

    kind: ClassVar[str] = "plateau"
    reduces: ClassVar[bool] = True

    def __init__(
        self,
        monitor: str,
        *,
        hyperparameter: Reducible = "learning_rate",
        base: float | None = None,
        who: str,
        **plateau: Any,
    ) -> None:
        super().__init__(who)
        if not isinstance(monitor, str) or not monitor:
            raise self.error(f"monitor={monitor!r}", "write the name of a metric, such as monitor='val_loss'")
        if hyperparameter not in get_args(Reducible):
            raise self.error(
                f"hyperparameter={hyperparameter!r}",
                "write hyperparameter='learning_rate' or 'weight_decay': a momentum is not a step size, and one "
                "reduction would all but remove it",
            )
        if base is not None and hyperparameter != "learning_rate":
            raise self.error(f"base={base!r} for the {hyperparameter}", "leave base= out: it is a learning rate")
        try:
            self.plateau: Plateau = Plateau(**plateau)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{who}: {str(error).removeprefix('Plateau.')}") from None
        self.monitor: str = monitor
        self.driven: tuple[str, ...] = (hyperparameter,)
        self.base: float | None = self._checked_base(base)
        self._set_log([], [])

    def prepare(self, clock: Clock) -> None:
        """Do nothing: a multiplier per epoch does not depend on the run's length."""

    def value(self, hyperparameter: str, base: float, position: Position) -> float:
        """The value if no other policy schedules it: the base value, reduced."""
        return self.reduced([base], position.epoch)[0]

    def settings(self) -> dict[str, Any]:
        plateau = {name: value for name, value in self.plateau.to_dict().items() if name != "type"}
        return {"monitor": self.monitor, "hyperparameter": self.driven[0], **plateau, "base": self.base}

    def from_settings(self, settings: Mapping[str, Any]) -> Self:
        return type(self)(**settings, who=self.who)

    def observe(self, epoch: int, score: Any) -> None:
        """Record the score of an epoch, replacing an earlier one of the same epoch.

        Args:
            epoch: Counted from 0.
            score: Any number, including scalars of NumPy or a framework, NaN and infinities.

        Raises:
            TypeError: The score is not a number.
            ValueError: The epoch is not a whole number of at least 0.
        """
        whole(epoch, f"{self.who}: epoch")
        number = self._number(score)
        at = bisect_left(self._epochs, epoch)
        there = slice(at, at + (epoch in self._epochs[at : at + 1]))
        self._epochs[there], self._scores[there] = [epoch], [number]
        del self._folded[at + 1 :]

    def forget(self, epoch: int) -> None:
        """Drop the scores from `epoch` on: training begins there.

        >>> policy = PlateauPolicy("loss", who="ReduceOnPlateau")
        >>> policy.load_state([[0, 0.5], [1, 0.25], [2, 0.125]])
        >>> policy.forget(1)
        >>> policy.scores
        {0: 0.5}
        """
        at = bisect_left(self._epochs, whole(epoch, f"{self.who}: epoch"))
        del self._epochs[at:], self._scores[at:], self._folded[at + 1 :]

    @property
    def scores(self) -> dict[int, float]:
        """The score of each epoch that has one, in the order of epochs."""
        return dict(zip(self._epochs, self._scores, strict=True))

    def state(self) -> list[list[Any]]:
        """The scores as JSON-ready data: [epoch, score] pairs in the order of epochs.

        >>> policy = PlateauPolicy("loss", who="ReduceOnPlateau")
        >>> policy.observe(3, float("nan"))
        >>> policy.state()
        [[3, nan]]
        """
        return [[epoch, score] for epoch, score in zip(self._epochs, self._scores, strict=True)]

    def load_state(self, state: Sequence[Any]) -> None:
        """Replace the scores by those that `state` wrote.

        Raises:
            ValueError: They are damaged; the present scores are then kept.

        >>> policy = PlateauPolicy("loss", patience=0, who="ReduceOnPlateau")
        >>> policy.load_state([[0, 0.5], [1, 0.75]])
        >>> policy.reductions(2)
        1
        """
        if not isinstance(state, (list, tuple)):
            raise self._damaged(state)
        epochs: list[int] = []
        scores: list[float] = []
        for entry in state:
            if not isinstance(entry, list) or [type(item) for item in entry] != [int, float]:
                raise self._damaged(entry)
            epoch, score = entry
            if epoch <= (epochs[-1] if epochs else -1):
                raise self._damaged(entry)
            epochs.append(epoch)
            scores.append(score)
        self._set_log(epochs, scores)

    def reductions(self, epoch: int) -> int:
        """The number of reductions when `epoch` begins."""
        count, folded = bisect_left(self._epochs, epoch), self._folded
        for at in range(len(folded) - 1, count):
            folded.append(self.plateau.after(folded[-1], self._epochs[at], self._scores[at]))
        return folded[count].reductions

    def multiplier(self, epoch: int) -> float:
        """factor ** the number of reductions when `epoch` begins, the same for all its updates."""
        return self.plateau.multiplier(self.reductions(epoch))

    def reduced(self, values: Sequence[float], epoch: int) -> list[float]:
        """The scheduled values of an epoch after the reductions; see `Plateau.reduced`."""
        return self.plateau.reduced(values, self.reductions(epoch))

    def _set_log(self, epochs: list[int], scores: list[float]) -> None:
        self._epochs, self._scores = epochs, scores
        self._folded = [self.plateau.begin]  # item n is the state after n scores, computed on demand

    def _number(self, score: Any) -> float:
        try:
            if isinstance(score, (bool, str, bytes, bytearray)):
                raise TypeError
            return float(score)
        except (TypeError, ValueError, OverflowError, RuntimeError):  # RuntimeError: torch, of several numbers
            raise TypeError(
                f"{self.who}: found the score {shortened(score)} ({type(score).__name__}) of {self.monitor!r}; "
                f"expected a number."
            ) from None

    def _damaged(self, found: object) -> ValueError:
        return self.error(
            f"{shortened(found)} in a log of scores",
            "expected [epoch, score] pairs in the order of epochs, as in a checkpoint",
        )
