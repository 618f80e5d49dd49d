"""Makes an optimizer of `build_optimizer` follow a policy: fills its table at the start of each epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import keras
import numpy as np

from ...core.callbacks.errors import other_spec_error
from ...core.callbacks.follower import Follower
from ...core.callbacks.optimizer_matching import log_name
from ...core.callbacks.start import StartedPolicy
from ...core.checkpoints.resuming import Bases
from ...core.policies.policy import Policy
from ...core.schedules.clock import Position
from ...core.specs.spec import HYPERPARAMETERS
from ..models import has_own_train_step
from ..optimizers.rows import Rows
from ..optimizers.scheduled import ScheduledOptimizer
from .unused import warn_of_unused
from .values import other_value, reserve

_STREAMED = 65536  # updates of an epoch of unknown length that are prepared


def bases_of(policy: Policy, optimizer: ScheduledOptimizer) -> Bases:
    """The base values of what a policy drives; empty if the optimizer is not built."""
    driven = policy.driven if optimizer.built else ()
    return {name: resolved(policy, name, optimizer.table.base[name]) for name in driven}


def resolved(policy: Policy, name: str, found: Sequence[float]) -> list[float]:
    """The base values from which a policy starts where an optimizer has these."""
    return policy.resolve_bases(found) if name == "learning_rate" else list(found)


class TableFollower(Follower):
    """A follower for an optimizer made by `build_optimizer`.

    Args:
        started: The policy, prepared for its clock, and the base values.
        label: The optimizer's name in logs; "" if it is the only one.
        optimizer: The optimizer to drive.
        model: The model it trains.
        others: The class names of the other callbacks that could write values.
        verify: Whether `check` compares what the optimizer holds with the plan.

    Raises:
        ValueError: The optimizer was not built from the policy's spec, or the policy cannot start from its base values.
    """

    each_batch = False  # nothing is written before a batch

    def __init__(
        self,
        started: StartedPolicy,
        label: str,
        optimizer: ScheduledOptimizer,
        model: keras.Model,
        others: Sequence[str],
        verify: bool,
    ) -> None:
        super().__init__(started, label)
        self._optimizer, self._model, self._others, self._verify = optimizer, model, others, verify
        policy, updates = self.policy, self.clock.updates_per_epoch
        difference = None if policy.spec is None else policy.spec.difference(optimizer.spec)
        if difference is not None:
            raise other_spec_error(policy, difference)
        optimizer.due.driven(policy.driven)
        self._columns = (updates or (_STREAMED if policy.streams else 1)) if self._varies else 1
        reserve(model, optimizer, self._columns)
        # The number of updates in an epoch, if only a change of the optimizer's variables explains another one: a
        # custom train_step may make any number.
        self._sure_updates = None if has_own_train_step(model) else updates
        self._may_be_short = False
        self._written: dict[str, list[list[float]]] = {}
        self._unchecked = keras.backend.backend() == "jax"  # where a parameter without a gradient has one of zeros
        self._checked = optimizer.built
        # Those of a checkpoint, in place of the optimizer's own.
        self._kept = {name: its for name, its in started.bases.items() if its != bases_of(policy, optimizer)[name]}
        if self._checked:
            self._start_from(self.bases)
        else:  # the spec's; its rules are applied when the model is built
            base = optimizer.table.base
            self._warn_of_possible_mistakes({name: resolved(policy, name, base[name]) for name in policy.driven})

    @property
    def bases(self) -> Bases:
        return {**bases_of(self.policy, self._optimizer), **self._kept}

    @property
    def made(self) -> int:
        return self._optimizer.count.made

    def begin_epoch(self, epoch: int) -> None:
        self._epoch = epoch
        self._optimizer.run.begin_epoch(epoch)
        self._optimizer.table.begin_epoch({name: partial(self._rows, name) for name in self.policy.driven})

    def _rows(self, name: str, found: Sequence[float]) -> list[list[float]]:
        """The values of an epoch for each base value."""
        bases = self._kept.get(name, resolved(self.policy, name, found))
        if not self._checked:
            self.policy.check_bases({name: bases})
        self._written[name] = self.policy.reduced_columns(name, bases, Position(self._epoch), self._columns)
        return self._written[name]

    def _used(self) -> Mapping[str, Sequence[float]]:
        last = min(max(self.made - 1, 0), self._columns - 1)
        return {name: [values[last] for values in self._written[name]] for name in self.policy.driven}

    def end_epoch(self, may_be_short: bool) -> dict[str, float]:
        self._may_be_short = may_be_short
        if self.made < 1 and self._model.trainable_variables:
            # The count was set back, and the updates have not used the values of this epoch.
            self._check_count()
        if self._unchecked:
            warn_of_unused(self.policy.who, self._optimizer, self._model)
            self._unchecked = False
        used = super().end_epoch(may_be_short)
        if self.policy.streams:
            self._check_prepared()
            self.policy.begun += self.made
        self._optimizer.run.end_epoch(self._epoch)
        return used

    def _check_prepared(self) -> None:
        """Raise ValueError if an epoch of unknown length went beyond the table while a schedule still changed."""
        last = Position(self._epoch, self.made - 1)
        for name in self.policy.driven if self.made > self._columns > 1 else ():
            bases = self.bases[name]
            if self.policy.reduced_columns(name, bases, last, 1) != [values[-1:] for values in self._written[name]]:
                raise self.policy.error(
                    f"{self.made} updates in an epoch of unknown length, of which the first {self._columns} can have "
                    f"values of their own",
                    "give fit(steps_per_epoch=...)",
                )

    def check(self) -> None:
        if not self._verify:
            return
        self._check_count()
        table = self._optimizer.table
        held, start = table.held()
        if start != self._optimizer.count.start:
            raise self._other_value("the number of updates before the epoch", start, self._optimizer.count.start, 0)
        for name in self.policy.driven:
            planned = np.array(self._written[name])
            found = held[:, HYPERPARAMETERS.index(name), : planned.shape[1]]
            for group, update in np.argwhere(found != planned.astype(found.dtype))[:1]:
                value = float(found[group, update]), float(planned[group, update])
                raise self._other_value(log_name(name, self._label, group), *value, int(update))
        formed = table.rows().astype(held.dtype)
        for group, row, update in np.argwhere((held != formed) & ~(np.isnan(held) & np.isnan(formed)))[:1]:
            value = float(held[group, row, update]), float(formed[group, row, update])
            name = Rows._fields[row]
            named = log_name(name, self._label) if name in HYPERPARAMETERS else name
            raise self._other_value(named, *value, int(update))

    def _check_count(self) -> None:
        """Raise ValueError for a number of updates that only a change of the optimizer's variables explains."""
        made, planned = self.made, self._sure_updates
        if made < 0 or (not self._may_be_short and planned is not None and made != planned):
            raise self.policy.error(
                f"{made} updates in epoch {self._epoch} by the count of the optimizer; expected "
                f"{'at least 0' if planned is None else planned}",
                f"give the number of updates that an epoch makes, or remove whatever has changed the optimizer's "
                f"variables, possibly one of {', '.join(self._others)}",
            )

    def _other_value(self, name: str, found: float, planned: float, update: int) -> ValueError:
        return other_value(self.policy, name, found, planned, Position(self._epoch, update), self._others)
