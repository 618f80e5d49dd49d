"""Starts an optimizer following a policy: the run's length, what drove it before, what continues, what reduces it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..checkpoints.resuming import Bases, ResumedPolicy, resumed, resumed_bases
from ..checkpoints.saved import Driver
from ..policies.plateau_policy import PlateauPolicy
from ..policies.policy import Policy
from ..schedules.clock import Clock, Position


class StartedPolicy(NamedTuple):
    """What an optimizer follows.

    Attributes:
        policy: The policy, prepared.
        clock: The run length that its percentages refer to.
        training: The run length of this training, which can be longer.
        bases: The base values of the parameter groups; empty if the optimizer is not built yet.
    """

    policy: Policy
    clock: Clock
    training: Clock
    bases: Bases


def clock_of(policy: Policy, given: int | None, updates: int | None, epochs: int | None, most: int | None) -> Clock:
    """The run's length, as far as it is known.

    Args:
        policy: The policy to follow.
        given: `updates_per_epoch=` of the callback.
        updates: The number of updates in an epoch, if the trainer knows it.
        epochs: The number of epochs, likewise.
        most: The number of updates in the run, likewise.

    Returns:
        The clock of the run.

    Raises:
        ValueError: `updates_per_epoch=` is not what the trainer does.
    """
    if given is not None and updates is not None and given != updates:
        raise policy.error(
            f"updates_per_epoch={given}, but the trainer makes {updates} updates in an epoch",
            "leave updates_per_epoch= out, or end the trainer's epoch after that many",
        )
    return Clock(given if updates is None else updates, epochs, most)


def start(
    policy: Policy,
    clock: Clock,
    saved: Driver | None,
    where: Position,
    on_change: str | None,
    rewrite: Callable[[Policy], None],
    reducers: Sequence[PlateauPolicy],
    bases: Callable[[Policy], Bases],
) -> StartedPolicy:
    """Decide what an optimizer follows from a position on, and prepare it for the run.

    Args:
        policy: The callback's policy.
        clock: The clock of this run.
        saved: What drove the optimizer in the run that it continues; None for a new run.
        where: The position from which it continues.
        on_change: Which settings to continue with if the saved ones differ.
        rewrite: Writes the numbers of a policy's spec into the optimizer.
        reducers: The policies that reduce the values.
        bases: Gives the base values that this run configured, of what a policy drives.

    Returns:
        The policy to follow.

    Raises:
        ValueError: The run cannot continue like this (see `resumed`), or the policy cannot follow this clock.
    """
    found = ResumedPolicy(policy, clock)
    if saved is not None and not policy.reduces:
        found = resumed(policy, saved, clock, where, on_change)
        if on_change in ("use_new", "use_saved") and found.policy.spec is not None:
            rewrite(found.policy)
    found.policy.reduced_by = [reducer for reducer in reducers if reducer is not found.policy]
    found.policy.first_epoch = where.epoch
    found.policy.prepare(found.clock)
    if found.policy.streams:
        found.policy.begun = _made_before(found.policy, saved, where)
    elif saved is not None and not policy.reduces and on_change != "use_new" and found.policy.counts_updates():
        _check_streamed(found.policy, found.clock, saved, where)
    own = bases(found.policy)
    if saved is not None:
        own = resumed_bases(found.policy, saved, own, where, on_change)
    return StartedPolicy(*found, clock, own)


def _check_streamed(policy: Policy, clock: Clock, saved: Driver, where: Position) -> None:
    """Raise ValueError if a run that went by its number of updates had another at a position than one of this clock."""
    expected = where.epoch * (clock.updates_per_epoch or 0) + where.update
    if saved.state and saved.state[0] != expected:
        raise policy.error(
            f"a run of {saved.state[0]} updates up to {where}, and epochs of {clock.updates_per_epoch}, which make "
            f"{expected}",
            "leave the length of the training data unknown, write the schedule in epochs, or on_change='use_new'",
        )


def _made_before(policy: Policy, saved: Driver | None, where: Position) -> int:
    """The updates that a run made before the epoch in which it continues."""
    if saved is None or where == Position(0):
        counted, length = where.epoch == 0, 0
    elif saved.state:  # it went by their number
        return int(saved.state[0]) - where.update
    else:
        counted, length = (
            where.epoch == 0 or saved.clock.updates_per_epoch is not None,
            saved.clock.updates_per_epoch or 0,
        )
    if not counted:
        raise policy.error(
            f"a run that continues in epoch {where.epoch}, the updates before which were not counted",
            "give updates_per_epoch=, or write the schedule in epochs",
        )
    return where.epoch * length
