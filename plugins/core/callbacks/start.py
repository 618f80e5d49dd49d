"""How an optimizer starts to follow a policy: the run's length, what was before, what continues, what reduces."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..checkpoints.resuming import ResumedPolicy, resumed
from ..checkpoints.saved import Driver
from ..policies.plateau_policy import PlateauPolicy
from ..policies.policy import Policy
from ..schedules.durations import Clock, Position


def clock_of(policy: Policy, given: int | None, updates: int | None, epochs: int | None, most: int | None) -> Clock:
    """What is known of a run's length.

    Args:
        policy: What is to be followed.
        given: `updates_per_epoch=` of the callback.
        updates: The number of updates in an epoch, as far as the trainer knows it.
        epochs: The number of epochs, likewise.
        most: The number of updates in the run, likewise.

    Raises:
        ValueError: The trainer makes another number of updates in an epoch than was given.
    """
    if given is not None and updates is not None and given != updates:
        raise policy.error(
            f"updates_per_epoch={given}, but the trainer makes {updates} updates in an epoch",
            "leave updates_per_epoch= out",
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
) -> ResumedPolicy:
    """What an optimizer follows from a position on, prepared for its run.

    Args:
        policy: What the callback gives it.
        clock: Of this run.
        saved: What drove it in the run that it continues; None where it begins one.
        where: The position from which it continues.
        on_change: What holds where the saved settings are others.
        rewrite: Writes the numbers of a policy's spec into the optimizer, if they are other ones.
        reducers: What reduces the values besides.

    Raises:
        ValueError: The run cannot continue like this, see `resumed`, or the policy cannot follow this clock.
    """
    found = ResumedPolicy(policy, clock)
    if saved is not None and not policy.reduces:
        found = resumed(policy, saved, clock, where, on_change)
        if on_change in ("use_new", "use_saved") and found.policy.spec is not None:
            rewrite(found.policy)
    found.policy.reduced_by = [reducer for reducer in reducers if reducer is not found.policy]
    found.policy.prepare(found.clock)
    return found
