"""Makes one of Keras' own optimizers follow a learning rate schedule, as far as its train step can see the values.

The learning rate is a variable, which is written at the start of each epoch, and before each batch if it changes within
the epoch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras
import numpy as np
from keras import ops
from keras.optimizers import Optimizer

from ...core.callbacks.errors import other_driver_error, other_spec_error
from ...core.callbacks.follower import Follower
from ...core.callbacks.optimizer_matching import log_name
from ...core.callbacks.start import StartedPolicy
from ...core.checkpoints.resuming import Bases
from ...core.schedules.clock import Position
from ..update_count import UpdateCount
from .base_rates import Rate, write_rate
from .values import number, other_value


class StockFollower(Follower):
    """A follower for an optimizer that build_optimizer did not make.

    Args:
        started: The policy, prepared for its clock.
        label: The optimizer's name in logs; "" if it is the only one.
        optimizer: The optimizer to drive.
        model: The model it trains.
        count: The optimizer's update count.
        began: The optimizer's learning rate when training began.
        others: The class names of the other callbacks that could write values.

    Attributes:
        each_batch: Whether values are written before each batch.

    Raises:
        ValueError: The train step would not see some values, or the base value is unknown.
    """

    def __init__(
        self,
        started: StartedPolicy,
        label: str,
        optimizer: Optimizer,
        model: keras.Model,
        count: UpdateCount,
        began: Rate,
        others: Sequence[str],
    ) -> None:
        super().__init__(started, label)
        self._optimizer, self._count, self._others = optimizer, count, others
        policy, kind = self.policy, type(optimizer).__name__
        if policy.spec is not None:
            raise other_spec_error(policy, f"the optimizer is Keras' own {kind}")
        for name in policy.driven:
            if name != "learning_rate":
                raise policy.error(
                    f"a {name} schedule for Keras' own {kind}, whose compiled train step would not see it",
                    "build the optimizer with build_optimizer(spec, model)",
                )
        rate = optimizer._learning_rate
        if not isinstance(rate, keras.Variable):
            raise other_driver_error(
                policy.who,
                "learning_rate",
                f"an optimizer built with the schedule {type(rate).__name__}",
                "build the optimizer with a number as its learning rate",
            )
        if self._varies and model.steps_per_execution != 1:
            raise policy.error(
                f"a learning_rate schedule that changes within an epoch, and Keras' own {kind} with "
                f"steps_per_execution={model.steps_per_execution}",
                "build the optimizer with build_optimizer(spec, model), set steps_per_execution=1, or give "
                "resolution='epoch'",
            )
        if policy.streams and keras.backend.backend() == "tensorflow":
            raise policy.error(
                f"a learning_rate schedule in updates, training data of unknown length, and Keras' own {kind}, whose "
                f"updates tensorflow counts one too many of in each epoch",
                "build the optimizer with build_optimizer(spec, model), or give updates_per_epoch=",
            )
        self.each_batch: bool = self._varies
        self._columns = (self.clock.updates_per_epoch or 1) if self._varies else 1
        self._own_base, self._written, self._update = began.base, number(rate), 0
        if began.held is not None and began.updates == count.total:
            self._written = began.held  # nothing has been loaded since, and nothing else may have written it
        base = began.base if policy.base is None else policy.base
        if base is None:
            raise policy.error(
                f"an optimizer that has already made {count.total} updates, whose learning rate before any decay is "
                f"unknown",
                "build a fresh optimizer" if policy.kind == "recipe" else "give base=, or build a fresh optimizer",
            )
        self._base = base
        self._start_from({"learning_rate": [self._base]})
        self._seen = count.total  # the number of updates at the last check

    @property
    def bases(self) -> Bases:
        return {"learning_rate": [self._base]}

    @property
    def made(self) -> int:
        return self._count.made

    def begin_epoch(self, epoch: int) -> None:
        # Otherwise a callback such as BackupAndRestore has restored it with its learning rate.
        if self._count.total == self._seen:
            self.check()
        self._epoch = epoch
        self._count.begin_epoch()
        if not self.policy.streams:
            (self._values,) = self.policy.reduced_columns("learning_rate", [self._base], Position(epoch), self._columns)
        self._seen = self._count.total
        self._write(0)

    def before_batch(self) -> None:
        self.check()
        self._check_batch()
        self._write(self.made)

    def end_epoch(self, may_be_short: bool) -> dict[str, float]:
        self._check_batch()
        if self.policy.streams and self._update >= self.made > 0:
            self._write(self.made - 1)  # Keras had begun a batch, and then found that there was none
        used = super().end_epoch(may_be_short)
        if self.policy.streams:
            self.policy.begun += self.made
        return used

    def check(self) -> None:
        variable = ops.convert_to_numpy(self._optimizer.learning_rate)
        if variable != np.asarray(self._written, variable.dtype):
            name, where = log_name("learning_rate", self._label), Position(self._epoch, self._update)
            raise other_value(self.policy, name, number(variable), self._written, where, self._others)

    def _check_batch(self) -> None:
        """Raise ValueError for a batch of several updates: all but the first used the wrong value."""
        made = self._count.total
        if self.each_batch and made > self._seen + 1:
            raise self.policy.error(
                f"{made - self._seen} updates of one batch, by Keras' own {type(self._optimizer).__name__}, whose "
                f"learning_rate can only be set once per batch",
                "build the optimizer with build_optimizer(spec, model), or give resolution='epoch'",
            )
        self._seen = made

    def _used(self) -> Mapping[str, Sequence[float]]:
        return {"learning_rate": [self._value(max(self.made - 1, 0))]}

    def _value(self, update: int) -> float:
        if self.policy.streams:
            position = Position(self._epoch, update)
            return self.policy.reduced_columns("learning_rate", [self._base], position, 1)[0][0]
        return self._values[min(update, self._columns - 1)]

    def _write(self, update: int) -> None:
        self._update, self._written = update, self._value(update)
        write_rate(self._optimizer, self._own_base, self._written)
