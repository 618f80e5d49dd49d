"""How an optimizer begins to follow a schedule: by what is asked of it, and by what its run goes on from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from ..core.callbacks.hyperparameter_scheduler import Reducer, ScheduleMixin
from ..core.checkpoints.resuming import Continued, continued, driver_before
from ..core.schedules.durations import Clock, Position
from .followers import Follower, TableFollower
from .models import Optimizer, has_own_train_step
from .parameters import parameters
from .scheduled import ScheduledOptimizer
from .stock import StockFollower


def follow(
    part: ScheduleMixin,
    label: str,
    optimizer: Optimizer,
    model: keras.Model,
    params: dict[str, Any],
    reducers: Sequence[Reducer],
    epoch: int | None = None,
) -> Follower:
    """A follower for an optimizer of a model that is about to be trained, by what Keras knows of the run in `params`.

    part, label: as `which.followed` has them. reducers: what reduces the values besides. epoch: the first one of this
        training, where it is known.
    Raises ValueError for what the part cannot drive, and for what the optimizer's run cannot go on by.
    """
    clock = clock_of(part, optimizer, model, params)
    going_on = Continued(part, clock)
    if not isinstance(optimizer, ScheduledOptimizer):
        part.reduced_by = reducers
        part.prepare(clock)
        return StockFollower(going_on, label, optimizer, model)
    run = optimizer.run
    saved = driver_before(part, run.before)
    if saved is not None and not part.reduces and (run.loaded or epoch):
        going_on = continued(part, saved, clock, run.position if epoch is None else Position(epoch))
    spec = going_on.part.spec
    if saved is not None and part.on_change in ("use_new", "use_saved") and spec not in (None, optimizer.spec):
        optimizer.rewrite(going_on.part, lambda: parameters(model))
        model.make_train_function(force=True)
    going_on.part.reduced_by = reducers
    going_on.part.prepare(going_on.clock)
    return TableFollower(going_on, label, optimizer, model)


def clock_of(part: ScheduleMixin, optimizer: Optimizer, model: keras.Model, params: dict[str, Any]) -> Clock:
    """What Keras knows in `params` of the length of a run."""
    return part.clock(_updates_per_epoch(part, params.get("steps"), optimizer, model), params.get("epochs"))


def _updates_per_epoch(
    part: ScheduleMixin, batches: int | None, optimizer: Optimizer, model: keras.Model
) -> int | None:
    if part.updates_per_epoch is not None and has_own_train_step(model):
        return None  # it may make any number of updates of a batch
    accumulated = optimizer.gradient_accumulation_steps or 1
    strategy = getattr(model, "distribute_strategy", None)  # tensorflow has one
    if accumulated > 1 and strategy is not None and strategy.num_replicas_in_sync > 1:
        raise part.refuse(
            f"gradient_accumulation_steps={accumulated} under {type(strategy).__name__}, where Keras cannot accumulate",
            "leave it out, and make the batches larger",
        )
    if batches is None or batches % accumulated == 0:
        return None if batches is None else batches // accumulated
    raise part.refuse(
        f"{batches} batches in an epoch and gradient_accumulation_steps={accumulated}, which does not divide them",
        "make it divide: Keras would carry the rest over into the next epoch, where Lightning makes an update of it",
    )
