"""The mirrored callback that multiplies a scheduled hyperparameter when a metric has stopped improving."""

from __future__ import annotations

from typing import Any, Literal, Self

from ..checkpoints.resuming import resumed
from ..checkpoints.saved import Driver
from ..policies.plateau import Mode, Plateau, ThresholdMode, at_least_0, whole
from ..policies.plateau_policy import PlateauPolicy, Reducible
from ..schedules.durations import Clock, Position
from .schedule_callback import Argument, OnChange, Options, ScheduleCallback, checked_on_change


class ReduceOnPlateau(ScheduleCallback):
    """Multiply the learning rate, or the weight decay, by `factor` when a metric has stopped improving.

    The value in epoch e is::

        max(scheduled * factor ** n, min(scheduled, floor))

    where n is the number of reductions by the scores of the epochs before e, and scheduled is the value that another
    callback's schedule has there, or the base value if there is none. Scores are logged by epoch, and n is a function
    of the log alone: a score that comes twice decides once, the score of an epoch that is trained again replaces the
    first one, and a resumed run that has the log has the same values.

    Args:
        monitor: The name of the metric.
        hyperparameter: "learning_rate" or "weight_decay".
        mode: See `Plateau`, as for the six arguments below.
        factor: Multiplier of each reduction, in [0, 1).
        patience: The number of bad scores in a row that do not reduce the value yet.
        threshold: By how much a score must be better.
        threshold_mode: "rel" is a fraction of the best score and "abs" a difference.
        cooldown: The number of scores after a reduction of which none counts as bad.
        floor: The value below which no reduction goes.
        start_epoch: Scores of the epochs before it are not looked at.
        base: The learning rate before any reduction, if the optimizer's own is not to be used.
        on_change: What happens if a checkpoint was made under other arguments than these. "raise" is an error.
            "use_new" takes these, for the scores of the checkpoint too; "use_saved" those of the checkpoint.

    Raises:
        TypeError: An argument is not a number.
        ValueError: An argument is out of range.

    >>> reduce = ReduceOnPlateau("val_loss", factor=0.5, patience=0)
    >>> for epoch, loss in enumerate([1.0, 0.8, 0.8, 0.9]):
    ...     reduce.observe(epoch, loss)
    >>> reduce.plateau.reductions(reduce.scores, epoch=4)
    2
    """

    on_change = Argument()

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
        arguments: dict[str, Any] = {
            "hyperparameter": hyperparameter,
            "mode": mode,
            "factor": factor,
            "patience": patience,
            "threshold": threshold,
            "threshold_mode": threshold_mode,
            "cooldown": cooldown,
            "floor": floor,
            "start_epoch": start_epoch,
            "base": base,
        }
        self._options = Options(checked_on_change(self._who, on_change))
        self._policy = PlateauPolicy(monitor, **arguments, who=self._who)
        super().__init__(self._policy, {"monitor": monitor, **arguments, "on_change": on_change})
        self._given = self._policy.settings()

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

        >>> ReduceOnPlateau.like_torch("val_accuracy", mode="max", min_lr=1e-5).plateau
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

        >>> ReduceOnPlateau.like_keras(patience=5, cooldown=3).plateau
        Plateau(patience=4, threshold_mode='abs', cooldown=2)
        """
        if mode == "auto":
            if isinstance(monitor, str) and monitor.removeprefix("val_") != "loss":
                raise ValueError(
                    f"{cls.__name__}: found mode='auto' for {monitor!r}; its name does not tell which is better: write "
                    f"mode='min' or mode='max'."
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

    @property
    def monitor(self) -> str:
        """The name of the metric."""
        return self._policy.monitor

    @property
    def plateau(self) -> Plateau:
        """What reacts to the scores."""
        return self._policy.plateau

    @property
    def base(self) -> float | None:
        """The learning rate before any reduction, or None for the optimizer's own."""
        return self._policy.base

    @property
    def scores(self) -> dict[int, float]:
        """The log: the score of each epoch that has one, in the order of epochs."""
        return self._policy.scores

    def observe(self, epoch: int, score: Any) -> None:
        """Log the score of an epoch, in place of one that it has already; those of other epochs stay.

        Args:
            epoch: Counted from 0.
            score: Any number, also a scalar of NumPy or a framework; NaN and infinities too.

        Raises:
            TypeError: The score is not a number.
            ValueError: The epoch is not a whole number of at least 0.

        >>> reduce = ReduceOnPlateau()
        >>> reduce.observe(0, 0.5)
        >>> reduce.observe(0, 0.25)
        >>> reduce.scores
        {0: 0.25}
        """
        self._policy.observe(epoch, score)

    def _begin_scores(self, epoch: int, saved: Driver | None, clock: Clock, anew: bool) -> None:
        """Training begins at `epoch`, in a run of this clock.

        Args:
            epoch: The first one of this training.
            saved: What the run that it continues had of a callback like this.
            clock: Of this run.
            anew: Whether the epoch is trained from its beginning, and its score is still to come.

        Raises:
            ValueError: The saved log is damaged; and as `resumed` does.
        """
        policy: Any = self._policy.from_settings(self._given)
        policy.load_state(self._policy.state())
        if saved is not None:
            policy = resumed(policy, saved, clock, Position(epoch), self._options.on_change).policy
            policy.load_state(saved.state)
        policy.forget(epoch if anew else epoch + 1)
        self._policy, self._policies = policy, {None: policy}
