"""The callback that multiplies a scheduled hyperparameter when a metric stops improving."""

from __future__ import annotations

from typing import Any, Literal, Self

from ..arguments.check import checks_arguments
from ..checkpoints.resuming import resumed
from ..checkpoints.saved import Driver
from ..policies.plateau import Mode, Plateau, ThresholdMode, at_least_0, whole
from ..policies.plateau_policy import PlateauPolicy, Reducible
from ..schedules.clock import Clock, Position
from .memory import Memory
from .schedule_callback import Argument, OnChange, Options, ScheduleCallback, checked_on_change, checked_verbose


class ReduceOnPlateau(ScheduleCallback):
    """Multiply the learning rate, or the weight decay, by `factor` when a metric has stopped improving.

    The value in epoch e is::

        max(scheduled * factor ** n, min(scheduled, floor))

    where n is the number of reductions due to the scores of epochs before e, and scheduled is the value of another
    callback's schedule, or the base value if there is none. Scores are kept by epoch, and n depends only on them: a
    score reported twice counts once, retraining an epoch replaces its score, and a resumed run has the same values.

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
        start_epoch: Scores of earlier epochs are ignored.
        base: The learning rate before any reduction; the optimizer's own by default.
        verbose: 1 prints each reduction, counting epochs from 1 as Keras does; 0 prints nothing.
        on_change: What happens if the checkpoint was made with other arguments. "raise" is an error. "use_new" applies
            the new arguments, to the checkpoint's scores too; "use_saved" the checkpoint's.

    Raises:
        TypeError: An argument is not a number.
        ValueError: An argument is out of range.

    >>> reduce = ReduceOnPlateau("val_loss", factor=0.5, patience=0)
    >>> for epoch, loss in enumerate([1.0, 0.8, 0.8, 0.9]):
    ...     reduce.observe(epoch, loss)
    >>> reduce.plateau.reductions(reduce.scores, epoch=4)
    2
    """

    on_change: Argument[OnChange] = Argument()
    _told = -1  # the last epoch whose reduction was printed
    _prints = True  # whether this process is the one that prints

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
        verbose: int = 0,
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
        checked_verbose(self._who, verbose)
        told = {"monitor": monitor, **arguments, "on_change": on_change, "verbose": verbose}
        super().__init__(self._policy, told)
        self._given = self._policy.settings()
        self._memory = Memory[PlateauPolicy]()
        self._former: PlateauPolicy | None = None  # before the present training

    @classmethod
    @checks_arguments
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
        """With the arguments and defaults of `torch.optim.lr_scheduler.ReduceLROnPlateau`.

        It reduces in the same epochs as torch, to the same learning rates except for rounding: torch multiplies its own
        result each time. Two things differ. torch skips reductions of no more than eps=1e-8 and so stays at about 1e-8,
        or slightly above min_lr; here reductions continue. And a threshold of 1 or more for "min" and "rel", for which
        torch treats every score as bad, is an error.

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
    @checks_arguments
    def like_keras(
        cls,
        monitor: str = "val_loss",
        *,
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
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
            verbose=verbose,
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
        """The rule that decides when to reduce."""
        return self._policy.plateau

    @property
    def base(self) -> float | None:
        """The learning rate before any reduction, or None for the optimizer's own."""
        return self._policy.base

    @property
    def scores(self) -> dict[int, float]:
        """The score of each epoch that has one, in the order of epochs."""
        return self._policy.scores

    def observe(self, epoch: int, score: Any) -> None:
        """Record the score of an epoch, replacing an earlier one of the same epoch.

        Args:
            epoch: Counted from 0.
            score: Any number, including scalars of NumPy or a framework, NaN and infinities.

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
        reduced = self._policy.reductions(epoch + 1) > self._policy.reductions(epoch)
        if self._arguments["verbose"] and self._prints and reduced and epoch != self._told:
            self._told, (name,) = epoch, self._policy.driven
            multiplier = self._policy.multiplier(epoch + 1)
            told = f"reducing {name.replace('_', ' ')} to {multiplier:.10g} of its schedule"
            print(f"\nEpoch {epoch + 1}: {self._who} {told}.")

    def _enter(self, training: object) -> None:
        """Continue with the scores of this training: those of another one stay with that."""
        self._former = self._policy
        self._policy = self._memory.enter(training, self._policy, self._policy.from_settings(self._given or {}))

    def _was_refused(self) -> None:
        """A training that began was refused: nothing of its checkpoint stays."""
        if self._former is not None:
            self._policy, self._policies = self._former, {None: self._former}
            self._former = None
            self._memory.undo()

    def _begin_scores(self, epoch: int, saved: Driver | None, clock: Clock, anew: bool) -> None:
        """Start a training.

        Args:
            epoch: Its first epoch.
            saved: The saved state of this kind of callback in the run that it continues, or None.
            clock: The clock of this run.
            anew: Whether the epoch is trained from its beginning, so that its score is still to come.

        Raises:
            ValueError: The saved scores are damaged, or `resumed` raises.
        """
        policy: Any = self._policy.from_settings(self._given)
        policy.load_state(self._policy.state())
        if saved is not None:
            policy = resumed(policy, saved, clock, Position(epoch), self._options.on_change).policy
            policy.load_state(saved.state)
        policy.forget(epoch if anew else epoch + 1)
        self._policy, self._policies = policy, {None: policy}
