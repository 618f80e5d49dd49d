"""One training of a model, shared by all of samestep's callbacks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from ..core.callbacks.errors import other_driver_error, other_optimizer_error, warn_of_first_epoch
from ..core.callbacks.follower import Follower
from ..core.callbacks.optimizer_matching import Matching, labels
from ..core.callbacks.reduce_on_plateau import ReduceOnPlateau
from ..core.callbacks.schedule_callback import ScheduleCallback
from ..core.callbacks.start import clock_of
from ..core.checkpoints.resuming import driver_of
from ..core.checkpoints.saved import Driver
from ..core.policies.plateau_policy import PlateauPolicy
from ..core.policies.policy import Policy
from ..core.schedules.clock import Clock
from .activity import STATELESS, Activity
from .callback_list import Ahead, TrainedTogether
from .followers.base_rates import Rate
from .models import has_own_train_step, inner_optimizers, optimizers_of, set_aside
from .optimizers.run_state import RunState
from .optimizers.scheduled import ScheduledOptimizer
from .supported import check_training
from .update_count import UpdateCount

# Keras' own callbacks that set the learning rate, and what to write instead.
_OTHER_DRIVERS = {
    keras.callbacks.LearningRateScheduler: "write its function as samestep.keras.LearningRateScheduler(function)",
    keras.callbacks.ReduceLROnPlateau: "write it as samestep.keras.ReduceOnPlateau.like_keras(...)",
}


class Training:
    """What samestep's callbacks share in one training; the first of them to begin makes it.

    Args:
        who: The name, in messages, of the callback that makes it.
        model: The model to train.
        params: Keras' parameters of the run.
        together: All callbacks of this training.

    Attributes:
        optimizers: The optimizers that update the model.
        counts: The update count of each optimizer.
        rates: The learning rate of each optimizer as training begins.
        labels: Each optimizer's name in logs.
        batches: The number of batches in an epoch; None if unknown.
        drivers: samestep's scheduling callbacks.
        reducers: The drivers that reduce values.
        matching: Which policy drives which optimizer.
        ahead: Calls samestep before all callbacks of the list; None if the user's own code calls the hooks.

    Raises:
        ValueError: The optimizers are unknown, it is unclear which ones are meant, or another callback drives the same
            hyperparameter.
    """

    def __init__(self, who: str, model: keras.Model, params: dict[str, Any], together: TrainedTogether) -> None:
        self.model: Any = model
        self.together: TrainedTogether = together
        found = optimizers_of(model, who)
        check_training(who, model, together.callbacks)
        self.optimizers: list[Any] = [each.optimizer for each in found]
        self.counts: list[UpdateCount] = [
            each.count if isinstance(each, ScheduledOptimizer) else UpdateCount(each) for each in self.optimizers
        ]
        self.rates: list[Rate] = [Rate(*pair) for pair in zip(self.optimizers, self.counts, strict=True)]
        self._all_optimizers = inner_optimizers(model)
        paths = [each.paths for each in found]
        self.labels: list[str] = labels(paths)
        self._epochs = params.get("epochs")
        self.batches: int | None = params.get("steps")
        self.drivers: list[Any] = [each for each in together.callbacks if isinstance(each, ScheduleCallback)]
        self.reducers: list[Any] = [each for each in self.drivers if isinstance(each, ReduceOnPlateau)]
        self.matching: Matching = Matching(self.drivers, paths)
        self._refuse_other_drivers()
        aside = set_aside(model)
        self._aside = None if aside is None else UpdateCount(aside)
        if self._aside is not None:
            self._aside.begin_epoch()
        self._activity = Activity(model, self.optimizers, together.in_fit)
        self.ahead: Ahead | None = None
        self._started: int | None = None
        self._has_warned, self._epoch = False, 0
        self._driven: Sequence[RunState] = ()
        for optimizer in self.scheduled:
            optimizer.check_groups()
            optimizer.table.reset()  # a failed fit leaves its values behind
            optimizer.run.begin()

    @property
    def scheduled(self) -> list[ScheduledOptimizer]:
        """The optimizers made by `build_optimizer`."""
        return [each for each in self.optimizers if isinstance(each, ScheduledOptimizer)]

    @property
    def reducing(self) -> list[PlateauPolicy]:
        """The policies that reduce values in this training."""
        return [reducer._policy for reducer in self.reducers]

    def clock(self, policy: Policy, given: int | None, number: int) -> Clock:
        """The run length of an optimizer, as far as known; see `core.callbacks.start.clock_of`."""
        return clock_of(policy, given, self._updates(policy, given, number), self._epochs, None)

    def drivers_of(self, follower: Follower) -> list[Driver]:
        """The records, for a checkpoint, of what drives an optimizer and of what reduces its values."""
        for reducer in self.reducers:
            reducer._take_score()
        others = [policy for policy in self.reducing if policy is not follower.policy]
        return [follower.driver(), *(driver_of(each, follower.clock) for each in others)]

    @property
    def may_be_short(self) -> bool:
        """Whether an epoch may make fewer updates than planned: training was stopped, or loss scaling skips some."""
        return bool(self.model.stop_training) or hasattr(self.model.optimizer, "inner_optimizer")

    def check_optimizers(self, who: str, epoch: int | None = None) -> None:
        """Raise ValueError if the model has other optimizers, in this epoch, than those that training began with."""
        self._epoch = self._epoch if epoch is None else epoch
        if list(map(id, inner_optimizers(self.model))) != list(map(id, self._all_optimizers)):
            raise other_optimizer_error(who, self._epoch)

    def warn_of_first_epoch(self, policy: Policy, trained: int) -> None:
        """Warn, once, of a training that starts at epoch 0 with an optimizer loaded after some epochs."""
        if not self._has_warned:
            self._has_warned = True
            warn_of_first_epoch(policy, trained)

    def check_updates(self, who: str, epoch: int) -> None:
        """Raise ValueError at the end of an epoch if its updates were made by other optimizers, or with other values.

        Args:
            who: The callback's name in messages.
            epoch: The epoch.
        """
        if self._aside is not None and self._aside.made:
            raise ValueError(
                f"{who}: found updates by {self.model.optimizer.name!r}, the optimizer of compile(), which seemed "
                f"unused beside those that the model keeps as attributes; keep it as an attribute too, as in "
                f"model.main_optimizer = model.optimizer."
            )
        self._activity.check(who, epoch)
        if not self.together.in_fit and any(each.table.is_of_another_epoch() for each in self.scheduled):
            raise ValueError(f"{who}: found optimizer.variables from before epoch {epoch}; {STATELESS}.")

    @property
    def first_epoch(self) -> int:
        """The epoch at which the followers have started."""
        return self._started or 0

    def is_to_start(self, epoch: int) -> bool:
        """Whether to start the followers at this epoch: the first one, or again if an optimizer was loaded in it."""
        return self._started is None or (self._started == epoch and self.was_loaded)

    @property
    def was_loaded(self) -> bool:
        """Whether an optimizer was loaded since the followers started, before any update."""
        return not all(run.is_driven for run in self._driven)

    def check_started(self, who: str) -> None:
        """Raise ValueError if no epoch has begun before the first batch, as in a loop of the user's own."""
        if self._started is None:
            raise ValueError(
                f"{who}: found on_train_batch_begin before on_epoch_begin; in a loop of your own, call on_epoch_begin "
                f"at the start of each epoch, and on_epoch_end at its end."
            )

    def has_started(self, epoch: int) -> None:
        """Note that the followers start at this epoch."""
        self._started, self._driven = epoch, [each.run for each in self.scheduled if each.run.is_driven]

    def end(self) -> None:
        """End the training; the base values apply again."""
        if self.ahead is not None:
            self.ahead.remove()
        for optimizer in self.scheduled:
            optimizer.run.end()
            optimizer.table.reset()

    def _refuse_other_drivers(self) -> None:
        for driver in self.drivers:
            if all("learning_rate" not in policy.driven for policy in driver._policies.values()):
                continue
            for each in self.together.callbacks:
                for kind, remedy in _OTHER_DRIVERS.items():
                    if isinstance(each, kind):
                        other = f"Keras' own {type(each).__name__}"
                        raise other_driver_error(driver._who, "learning_rate", other, remedy)

    def _updates(self, policy: Policy, given: int | None, number: int) -> int | None:
        """The number of updates in an epoch; None if Keras does not know it."""
        if given is not None and has_own_train_step(self.model):
            return None  # it may make any number of updates per batch
        accumulated = self.optimizers[number].gradient_accumulation_steps or 1
        strategy = getattr(self.model, "distribute_strategy", None)  # only on tensorflow
        if accumulated > 1 and strategy is not None and strategy.num_replicas_in_sync > 1:
            raise policy.error(
                f"gradient_accumulation_steps={accumulated} under {type(strategy).__name__}, where Keras cannot "
                f"accumulate",
                "leave it out, and use larger batches",
            )
        if self.batches is None or self.batches % accumulated == 0:
            return None if self.batches is None else self.batches // accumulated
        raise policy.error(
            f"{self.batches} batches in an epoch and gradient_accumulation_steps={accumulated}, which does not divide "
            f"them",
            "choose one that does: Keras would carry the rest over into the next epoch, where Lightning makes an "
            "update of it",
        )
