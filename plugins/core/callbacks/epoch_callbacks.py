"""The callbacks that set the learning rate per epoch: the gated decay, and the user's own function."""

from __future__ import annotations

from collections.abc import Sequence

from ..policies.function_policy import FunctionPolicy
from ..policies.gated_decay import GatedDecayPolicy
from ..schedules.epoch_function import EpochCallable
from .follower import Follower
from .schedule_callback import Argument, ScheduleCallback, checked_verbose


class EpochGatedDecay(ScheduleCallback):
    """Multiply the learning rate by `factor` every `every_epochs` epochs, the first time at `start_epoch`.

    The learning rate in epoch e is::

        base                                                                   for e < start_epoch
        max(base * factor ** (1 + (e - start_epoch) // every_epochs), floor)   from there on

    Args:
        factor: Multiplier of each drop, at least 0.
        start_epoch: The first decayed epoch, counted from 0; 0 already decays the first epoch.
        every_epochs: Whole number of epochs between drops, at least 1.
        floor: The lowest learning rate that the decay reaches: a learning rate, not a fraction.
        base: The learning rate before any decay; the optimizer's own by default.

    Raises:
        TypeError: An argument is not a number.
        ValueError: An argument is out of range; at the start of training, a floor above the base.

    >>> EpochGatedDecay(0.1, start_epoch=5, every_epochs=5)  # x0.1 at epochs 5, 10, 15 ...
    EpochGatedDecay(factor=0.1, start_epoch=5, every_epochs=5, floor=0.0, base=None)
    """

    factor: Argument[float] = Argument()
    start_epoch: Argument[int] = Argument()
    every_epochs: Argument[int] = Argument()
    floor: Argument[float] = Argument()
    base: Argument[float | None] = Argument()

    def __init__(
        self,
        factor: float,
        *,
        start_epoch: int,
        every_epochs: int = 1,
        floor: float = 0.0,
        base: float | None = None,
    ) -> None:
        arguments = {
            "factor": factor,
            "start_epoch": start_epoch,
            "every_epochs": every_epochs,
            "floor": floor,
            "base": base,
        }
        policy = GatedDecayPolicy(
            factor, start_epoch=start_epoch, every_epochs=every_epochs, floor=floor, base=base, who=self._who
        )
        super().__init__(policy, arguments)


class LearningRateScheduler(ScheduleCallback):
    """Set the learning rate of each epoch by your own function, as Keras' LearningRateScheduler does.

    The learning rate in epoch e is::

        schedule(e)                                      for a function of one argument
        schedule(e, learning rate in epoch e - 1)        for one of two, starting from the base value

    Args:
        schedule: f(epoch) or f(epoch, learning_rate), without side effects, returning a learning rate. The two-argument
            form is applied to epochs 0 to e in turn, starting from the base value. The result depends only on the
            epoch: a second fit, an initial epoch above 0 and a resumed run get the value of an uninterrupted run.
        verbose: 1 prints the learning rate of each epoch as Keras does, counting epochs from 1; 0 prints nothing.
        base: The learning rate before any decay; the optimizer's own by default.

    Raises:
        TypeError: `schedule` is not such a function.
        ValueError: At the start of training: the function raises for an epoch of the run, or parameter groups
            of different learning rates under a one-argument function, which would make them all the same.

    >>> LearningRateScheduler(lambda epoch, lr: lr * 0.1 if epoch % 5 == 0 and epoch != 0 else lr).base is None
    True
    """

    schedule: Argument[EpochCallable] = Argument()
    verbose: Argument[int] = Argument()
    base: Argument[float | None] = Argument()

    def __init__(self, schedule: EpochCallable, verbose: int = 0, *, base: float | None = None) -> None:
        policy = FunctionPolicy(schedule, base=base, who=self._who)
        checked_verbose(self._who, verbose)
        super().__init__(policy, {"schedule": schedule, "verbose": verbose, "base": base})

    def _tell(self, epoch: int, followers: Sequence[Follower]) -> None:
        """Print the learning rates of an epoch, if the user wants it."""
        if self.verbose:
            rates = [rate for each in followers for rate in each.first_values("learning_rate", epoch)]
            told = ", ".join(dict.fromkeys(f"{rate:.10g}" for rate in rates)) or "what it is built with"
            print(f"\nEpoch {epoch + 1}: {self._who} setting learning rate to {told}.")
