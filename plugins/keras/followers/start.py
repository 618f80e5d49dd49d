"""Starts an optimizer of a Keras model following a policy."""

from __future__ import annotations

from ...core.callbacks.optimizer_matching import Followed
from ...core.callbacks.schedule_callback import Options
from ...core.callbacks.start import start
from ...core.checkpoints.resuming import driver_before
from ...core.checkpoints.saved import Driver
from ...core.policies.policy import Policy
from ...core.schedules.clock import Position
from ..optimizers.scheduled import ScheduledOptimizer
from ..parameters import parameters
from ..training import Training
from .stock_follower import StockFollower
from .table_follower import TableFollower, bases_of

KerasFollower = StockFollower | TableFollower


def follow(training: Training, meant: Followed, options: Options, others: list[str], epoch: int) -> KerasFollower:
    """Make a follower for an optimizer of a model about to be trained.

    Args:
        training: The training; its reducers already have their scores.
        meant: The optimizer and its policy.
        options: The callback's options.
        others: The class names of the other callbacks that could write values.
        epoch: The training's first epoch.

    Returns:
        The follower.

    Raises:
        ValueError: The policy cannot drive the optimizer, or cannot continue its run.
    """
    policy, number, on_change = meant.policy, meant.number, options.on_change
    optimizer, count, model = training.optimizers[number], training.counts[number], training.model
    clock = training.clock(policy, meant.updates_per_epoch, number)

    def rewrite(new: Policy) -> None:
        if new.spec != optimizer.spec:
            optimizer.rewrite(new, lambda: parameters(model))
            model.make_train_function(force=True)

    if not isinstance(optimizer, ScheduledOptimizer):
        started = start(policy, clock, None, Position(epoch), on_change, rewrite, training.reducing, lambda _: {})
        return StockFollower(started, meant.label, optimizer, model, count, training.rates[number], others)
    run = optimizer.run
    saved = driver_before(policy, run.before)
    if not run.loaded and not epoch:
        # A new run: nothing saved before applies. A changed spec is rewritten here where a continued run would do so.
        saved, on_change = (saved if on_change in ("use_new", "use_saved") else None), "use_new"
    where = run.position if run.loaded else Position(epoch)
    started = start(
        policy, clock, saved, where, on_change, rewrite, training.reducing, lambda policy: bases_of(policy, optimizer)
    )
    if run.loaded and where.epoch and not epoch and on_change != "use_new":
        training.warn_of_first_epoch(policy, where.epoch)
    follower = TableFollower(started, meant.label, optimizer, model, others, options.verify)

    def drivers() -> list[Driver]:
        follower.policy.made = run.position.update
        return training.drivers_of(follower)

    run.driven_by(id(meant.callback), drivers)
    return follower
