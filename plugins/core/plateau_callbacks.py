"""The mirrored callback that multiplies a scheduled hyperparameter when a metric has stopped improving."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from reprlib import repr as shortened
from typing import Any, Literal, Self, get_args

from .callbacks import OnChange, ScheduleMixin, checked_on_change
from .durations import Clock, Position
from .epoch_callbacks import checked_base
from .plateau import Mode, Plateau, ThresholdMode, at_least_0, whole
from .resuming import continued
from .saved import Driver

Reducible = Literal["learning_rate", "weight_decay"]


class ReduceOnPlateauMixin(ScheduleMixin):
    """Multiply the learning rate, or the weight decay, by `factor` when a metric has stopped improving.

    value in epoch e = max(scheduled * factor ** n, min(scheduled, floor)),
    where n is the number of reductions by the scores of the epochs before e

    scheduled is the value that another callback's schedule has there, or the base value where there is none. Scores
    are logged by epoch, and n is a function of the log alone: a score that comes twice decides once, the score of an
    epoch that is trained again replaces the first one, and a resumed run that has the log has the same values.

    monitor: the name of the metric.
    hyperparameter: "learning_rate" or "weight_decay".
    mode, factor, patience, threshold, threshold_mode, cooldown, floor, start_epoch: see `Plateau`.
    base: the learning rate before any reduction, where the optimizer's own is not to be used.
    on_change: what holds where a checkpoint was made under other arguments than these. "raise": neither, it is an
        error. "use_new": these, for the scores of the checkpoint too. "use_saved": those of the checkpoint.

    Raises ValueError or TypeError for arguments out of range.

    >>> reduce = ReduceOnPlateauMixin(factor=0.5, patience=0)
    >>> for epoch, loss in enumerate([1.0, 0.8, 0.8, 0.9]):
    ...     reduce.observe(epoch, loss)
    >>> [reduce.reduced([0.1], epoch) for epoch in range(5)]
    [[0.1], [0.1], [0.1], [0.05], [0.025]]
    """

    reduces = True
    on_change: OnChange

    def __init__(
        self,
        monitor: str = "val_loss",
        *,
        hyperparameter: Reducible = "learning_rate",
        mode: Mode = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: ThresholdMode = "rel",
        cooldown: int = 0,
        floor: float = 0.0,
        start_epoch: int = 0,
        base: float | None = None,
        on_change: OnChange = "raise",
    ) -> None:
        fields: dict[str, Any] = {
            "mode": mode,
            "factor": factor,
            "patience": patience,
            "threshold": threshold,
            "threshold_mode": threshold_mode,
            "cooldown": cooldown,
            "floor": floor,
            "start_epoch": start_epoch,
        }
        super().__init__(monitor=monitor, hyperparameter=hyperparameter, **fields, base=base, on_change=on_change)
        if not isinstance(monitor, str) or not monitor:
            raise self.refuse(f"monitor={monitor!r}", "write the name of a metric, such as monitor='val_loss'")
        if hyperparameter not in get_args(Reducible):
            raise self.refuse(
                f"hyperparameter={hyperparameter!r}",
                "write hyperparameter='learning_rate' or 'weight_decay': a momentum is a memory and not the size of "
                "a step, and would be all but gone after one reduction",
            )
        if base is not None and hyperparameter != "learning_rate":
            raise self.refuse(f"base={base!r} for the {hyperparameter}", "leave base= out: it is a learning rate")
        self.on_change = checked_on_change(self, on_change)
        try:
            self.plateau = Plateau(**fields)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{type(self).__name__}: {str(error).removeprefix('Plateau.')}") from None
        self.monitor, self.driven = monitor, (hyperparameter,)
        self.base = checked_base(self, base)
        self._given = self.settings()
        self._log([], [])

    @classmethod
    def like_torch(
        cls,
        monitor: str = "val_loss",
        *,
        mode: Mode = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: ThresholdMode = "rel",
        cooldown: int = 0,
        min_lr: float = 0.0,
        hyperparameter: Reducible = "learning_rate",
        start_epoch: int = 0,
        base: float | None = None,
        on_change: OnChange = "raise",
    ) -> Self:
        """By the arguments and defaults of `torch.optim.lr_scheduler.ReduceLROnPlateau`.

        The epochs of the reductions are torch's, and so are the learning rates but for rounding: torch multiplies its
        own result each time. Two things it does have no like here. It leaves out a reduction by no more than
        eps=1e-8, so that it stays at about 1e-8, or a little above min_lr, where these go on. And a threshold of 1 or
        more for "min" and "rel", under which it takes every score as bad, is refused.

        >>> ReduceOnPlateauMixin.like_torch("val_accuracy", mode="max", min_lr=1e-5).plateau
        Plateau(mode='max', floor=1e-05)
        """
        return cls(
            monitor,
            hyperparameter=hyperparameter,
            mode=mode,
            factor=factor,
            patience=patience,
            threshold=threshold,
            threshold_mode=threshold_mode,
            cooldown=cooldown,
            floor=at_least_0(min_lr, f"{cls.__name__}: min_lr"),
            start_epoch=start_epoch,
            base=base,
            on_change=on_change,
        )

    @classmethod
    def like_keras(
        cls,
        monitor: str = "val_loss",
        *,
        factor: float = 0.1,
        patience: int = 10,
        mode: Mode | Literal["auto"] = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
        hyperparameter: Reducible = "learning_rate",
        start_epoch: int = 0,
        base: float | None = None,
        on_change: OnChange = "raise",
    ) -> Self:
        """By the arguments and defaults of `keras.callbacks.ReduceLROnPlateau`.

        Keras reduces at the bad score number `patience`, and not at the one after it, and its cooldown ends one score
        earlier: both are one less here, and at least 0. mode="auto" is "min" for the losses; of other metrics Keras
        asks the model, and here the mode must be given.

        The epochs of the reductions are Keras', and so are the learning rates but for rounding: Keras rounds each to
        float32 and multiplies that. What it does besides has no like here. It takes the first score as the best even
        if it is infinite, or NaN, which no other is better than. It compares scores in float32, where a score that is
        better by a few units of the last place more than min_delta may not be. At min_lr it counts no more reductions,
        `old_lr > min_lr` in float32, which is the same for the constant learning rate that it needs.

        >>> ReduceOnPlateauMixin.like_keras(patience=5, cooldown=3).plateau
        Plateau(patience=4, threshold_mode='abs', cooldown=2)
        """
        if mode == "auto":
            if isinstance(monitor, str) and monitor.removeprefix("val_") != "loss":
                raise ValueError(
                    f"{cls.__name__}: found mode='auto' for {monitor!r}; write mode='min' or mode='max', since its "
                    f"name does not tell which is better."
                )
            mode = "min"
        return cls(
            monitor,
            hyperparameter=hyperparameter,
            mode=mode,
            factor=factor,
            patience=max(whole(patience, f"{cls.__name__}: patience") - 1, 0),
            threshold=at_least_0(min_delta, f"{cls.__name__}: min_delta"),
            threshold_mode="abs",
            cooldown=max(whole(cooldown, f"{cls.__name__}: cooldown") - 1, 0),
            floor=at_least_0(min_lr, f"{cls.__name__}: min_lr"),
            start_epoch=start_epoch,
            base=base,
            on_change=on_change,
        )

    def prepare(self, clock: Clock) -> None:
        """A multiplier of whole epochs needs to know nothing of the run's length."""

    def value(self, hyperparameter: str, base: float, position: Position) -> float:
        """The value where no other callback schedules it: the base value, reduced."""
        return self.reduced([base], position.epoch)[0]

    def settings(self) -> dict[str, Any]:
        plateau = {name: value for name, value in self.plateau.to_dict().items() if name != "type"}
        return {"monitor": self.monitor, "hyperparameter": self.driven[0], **plateau, "base": self.base}

    def of_settings(self, settings: Mapping[str, Any]) -> Self:
        return type(self)(**settings)

    def begin(self, epoch: int, saved: Driver | None, clock: Clock, anew: bool) -> None:
        """Training begins at `epoch`, in a run of this clock.

        saved: what the run that it goes on with had of a callback like this. anew: whether the epoch is to be trained
        from its beginning, and its score to come.
        Raises ValueError for a saved log that is none, and as `resuming.continued` does.
        """
        self._take(self.of_settings(self._given))
        if saved is not None:
            self._take(continued(self, saved, clock, Position(epoch)).part)
            self.recall(saved.memory)
        self.forget(epoch if anew else epoch + 1)

    def _take(self, other: Any) -> None:
        self.plateau, self.monitor, self.base = other.plateau, other.monitor, other.base
        self._log(self._epochs, self._scores)

    def observe(self, epoch: int, score: Any) -> None:
        """Log the score of an epoch, in place of one that it has already; those of other epochs stay.

        score: any number, also a scalar of NumPy or a framework; NaN and infinities too.
        Raises TypeError for what is not a number; ValueError for what is not an epoch.

        >>> reduce = ReduceOnPlateauMixin()
        >>> reduce.observe(0, 0.5)
        >>> reduce.observe(0, 0.25)
        >>> reduce.scores
        {0: 0.25}
        """
        whole(epoch, f"{type(self).__name__}: epoch")
        number = self._number(score)
        at = bisect_left(self._epochs, epoch)
        there = slice(at, at + (epoch in self._epochs[at : at + 1]))
        self._epochs[there], self._scores[there] = [epoch], [number]
        del self._folded[at + 1 :]

    def forget(self, epoch: int) -> None:
        """Drop the scores of `epoch` and of those after it: training begins there.

        >>> reduce = ReduceOnPlateauMixin()
        >>> reduce.remember([[0, 0.5], [1, 0.25], [2, 0.125]])
        >>> reduce.forget(1)
        >>> reduce.scores
        {0: 0.5}
        """
        at = bisect_left(self._epochs, whole(epoch, f"{type(self).__name__}: epoch"))
        del self._epochs[at:], self._scores[at:], self._folded[at + 1 :]

    @property
    def scores(self) -> dict[int, float]:
        """The log: the score of each epoch that has one, in the order of epochs."""
        return dict(zip(self._epochs, self._scores, strict=True))

    def memory(self) -> list[list[Any]]:
        """The log as JSON-ready data for `remember`: [epoch, score] of each epoch that has one, in their order.

        >>> reduce = ReduceOnPlateauMixin()
        >>> reduce.observe(3, float("nan"))
        >>> reduce.memory()
        [[3, nan]]
        """
        return [[epoch, score] for epoch, score in zip(self._epochs, self._scores, strict=True)]

    def recall(self, memory: Sequence[Any]) -> None:
        self.remember(list(memory))

    def remember(self, memory: Any) -> None:
        """Take the log that `memory` wrote in place of the present one.

        Raises ValueError for anything else, and then leaves the present log as it is.

        >>> reduce = ReduceOnPlateauMixin(patience=0)
        >>> reduce.remember([[0, 0.5], [1, 0.75]])
        >>> reduce.reductions(2)
        1
        """
        if not isinstance(memory, list):
            raise self._damaged(memory)
        epochs: list[int] = []
        scores: list[float] = []
        for entry in memory:
            if not isinstance(entry, list) or [type(item) for item in entry] != [int, float]:
                raise self._damaged(entry)
            epoch, score = entry
            if epoch <= (epochs[-1] if epochs else -1):
                raise self._damaged(entry)
            epochs.append(epoch)
            scores.append(score)
        self._log(epochs, scores)

    def reductions(self, epoch: int) -> int:
        """How often the value has been reduced when `epoch` begins."""
        count, folded = bisect_left(self._epochs, epoch), self._folded
        for at in range(len(folded) - 1, count):
            folded.append(self.plateau.after(folded[-1], self._epochs[at], self._scores[at]))
        return folded[count].reductions

    def multiplier(self, epoch: int) -> float:
        """factor ** the number of reductions when `epoch` begins: of all its updates the same."""
        return self.plateau.multiplier(self.reductions(epoch))

    def reduced(self, values: Sequence[float], epoch: int) -> list[float]:
        """What scheduled values of an epoch become; see `Plateau.reduced`."""
        return self.plateau.reduced(values, self.reductions(epoch))

    def _log(self, epochs: list[int], scores: list[float]) -> None:
        self._epochs, self._scores = epochs, scores
        self._folded = [self.plateau.begin]  # item n is that of the first n scores, as far as it was asked for

    def _number(self, score: Any) -> float:
        try:
            if isinstance(score, (bool, str, bytes, bytearray)):
                raise TypeError
            return float(score)
        except (TypeError, ValueError, OverflowError, RuntimeError):  # RuntimeError: torch, of several numbers
            raise TypeError(
                f"{type(self).__name__}: found the score {shortened(score)} ({type(score).__name__}) of "
                f"{self.monitor!r}; expected a number."
            ) from None

    def _damaged(self, found: object) -> ValueError:
        return self.refuse(
            f"{shortened(found)} in a log of scores",
            "expected [epoch, score] of one epoch after the other, as memory() writes them",
        )
