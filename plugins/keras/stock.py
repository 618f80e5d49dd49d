"""An optimizer of Keras' own that follows a schedule by its learning rate, as far as its train step can see it."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import keras
import numpy as np
from keras import ops

from ..core.callbacks.errors import other_driver_error, other_spec_error
from ..core.checkpoints.resuming import Continued
from ..core.recipes.float32 import float32
from ..core.schedules.durations import Position
from .followers import Follower, number
from .models import Optimizer, iterations

# Of optimizers that are not ours: the learning rate before any decay, and the one that was written last.
_KNOWN: WeakKeyDictionary[Optimizer, tuple[float | None, float]] = WeakKeyDictionary()


class StockFollower(Follower):
    """An optimizer of Keras' own, or of somebody else's."""

    def __init__(self, going_on: Continued, label: str, optimizer: Optimizer, model: keras.Model) -> None:
        super().__init__(going_on, label, optimizer, model)
        part = going_on.part
        kind = type(optimizer).__name__
        if part.spec is not None:
            raise other_spec_error(part, f"the optimizer is Keras' own {kind}")
        for name in part.driven:
            if name != "learning_rate":
                raise part.refuse(
                    f"a {name} schedule for Keras' own {kind}, whose compiled train step would not see it",
                    "build the optimizer with build_optimizer(spec, model)",
                )
        rate = optimizer._learning_rate
        if not isinstance(rate, keras.Variable):
            raise other_driver_error(
                part,
                "learning_rate",
                f"an optimizer built with the schedule {type(rate).__name__}",
                "build the optimizer with a number as its learning rate",
            )
        if self._varies and model.steps_per_execution != 1:
            raise part.refuse(
                f"a learning_rate schedule that changes within an epoch, and Keras' own {kind} with "
                f"steps_per_execution={model.steps_per_execution}",
                "build the optimizer with build_optimizer(spec, model), set steps_per_execution=1, or give "
                "resolution='epoch'",
            )
        self.each_batch = self._varies
        self._base = self._base_value(rate)
        part.check_bases({"learning_rate": [self._base]})

    def bases(self, name: str) -> list[float]:
        return [self._base]

    def begin_epoch(self, epoch: int) -> None:
        # Otherwise it was restored, by a callback such as BackupAndRestore, with its learning rate.
        if iterations(self.optimizer) == self._seen:
            self.check()
        super().begin_epoch(epoch)
        (self._values,) = self.part.used_columns("learning_rate", [self._base], Position(epoch), self._columns)
        self._seen = self._start
        self._write(0)

    def before_batch(self) -> None:
        self.check()
        self._check_batch()
        self._write(self._seen - self._start)

    def end_epoch(self) -> dict[str, float]:
        self._check_batch()
        return super().end_epoch()

    def check(self) -> None:
        variable = ops.convert_to_numpy(self.optimizer.learning_rate)
        if variable != np.asarray(self._written, variable.dtype):
            raise self._refuse_value("learning_rate", number(variable), self._written, self._update)

    def _check_batch(self) -> None:
        """Refuse a batch of several updates, all but the first of which used a value that was not theirs."""
        made = iterations(self.optimizer)
        if self.each_batch and made > self._seen + 1:
            raise self.part.refuse(
                f"{made - self._seen} updates of one batch, by Keras' own {type(self.optimizer).__name__}, whose "
                f"learning_rate can be set once for a batch",
                "build the optimizer with build_optimizer(spec, model), or give resolution='epoch'",
            )
        self._seen = made

    def _write(self, update: int) -> None:
        self._update, self._written = update, self._values[min(update, self._columns - 1)]
        self.optimizer.learning_rate = self._written
        _KNOWN[self.optimizer] = (self._own_base, self._written)

    def _base_value(self, rate: keras.Variable) -> float:
        """The learning rate before any decay."""
        made = iterations(self.optimizer)
        self._written, self._update = number(rate), 0
        written: float | None
        self._own_base: float | None
        self._own_base, written = _KNOWN.get(self.optimizer, (None, None))
        if written is None or float32(written) != float32(self._written):
            # Nobody decayed it yet, or somebody set it since: a fresh optimizer's own is its base value.
            self._own_base = self._written if made == 0 else None
        base = self._own_base if self.part.base is None else self.part.base
        if base is None:
            raise self.part.refuse(
                f"an optimizer that has made {made} updates already, whose learning rate before any decay is not known",
                "give base=, or build a fresh optimizer",
            )
        return base
