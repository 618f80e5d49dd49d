"""The errors and warnings of a training, in the same words in both frameworks: `..._error` returns one."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from ..policies.policy import Policy
from ..schedules.durations import Position
from ..specs.spec import Spec


def second_driver_error(first: str, second: str, hyperparameter: str) -> ValueError:
    """Two callbacks of samestep, in words, drive the same hyperparameter of the same optimizer."""
    return ValueError(
        f"found two callbacks that drive {hyperparameter}: {first} and {second}; keep one of them, or multiply their "
        f"schedules in one recipe."
    )


def other_driver_error(who: str, hyperparameter: str, other: str, remedy: str) -> ValueError:
    """Something else drives a hyperparameter already, such as a framework's own scheduler."""
    return ValueError(f"{who}: found {other}, which already drives {hyperparameter}; {remedy}.")


def longer_epoch_error(policy: Policy, epoch: int, updates: int) -> ValueError:
    """An epoch continues after the number of updates that the plan was resolved for."""
    return policy.error(
        f"more than {updates} updates in epoch {epoch}, but updates_per_epoch is {updates}",
        "set it to the number of updates that an epoch makes",
    )


def warn_of_shorter_epoch(policy: Policy, epoch: int, made: int, updates: int) -> None:
    """Warn of an epoch that ended before the updates that the plan was resolved for: the next epoch continues."""
    warnings.warn(
        f"{policy.who}: found {made} updates in epoch {epoch}, but updates_per_epoch is {updates}; the next epoch "
        f"starts with its own values: set it to the number of updates that an epoch makes.",
        stacklevel=2,
    )


def warn_of_first_epoch(policy: Policy, trained: int) -> None:
    """Warn of a training that begins at epoch 0 with an optimizer that was loaded after some epochs."""
    warnings.warn(
        f"{policy.who}: found an optimizer loaded after {trained} epochs, but training starts at epoch 0 and "
        f"repeats its values; give initial_epoch={trained} to continue.",
        stacklevel=2,
    )


def metric_error(policy: Policy, monitor: str, epoch: int, found: Sequence[str]) -> ValueError:
    """A metric is not among those of an epoch."""
    return policy.error(
        f"no metric {monitor!r} at the end of epoch {epoch}",
        f"log it, or set monitor= to one of {', '.join(found)}" if found else "log it",
    )


def warn_of_no_metric(policy: Policy, monitor: str) -> None:
    """Warn of a training in which there was no score of a metric at all."""
    warnings.warn(
        f"{policy.who}: found no metric {monitor!r} in this training, so nothing was reduced; log it, or set monitor= "
        f"to a metric that is logged.",
        stacklevel=2,
    )


def warn_of_missing_score(policy: Policy, monitor: str, epoch: int) -> None:
    """Warn of an epoch whose score, or what it was to be made of, was lost with the process that trained it."""
    warnings.warn(
        f"{policy.who}: found no score of {monitor!r} that is sure to cover all of epoch {epoch}, in which the run was "
        f"resumed; resume from a checkpoint of an epoch's end to reduce as an uninterrupted run does.",
        stacklevel=2,
    )


def other_spec_error(policy: Policy, difference: str) -> ValueError:
    """The numbers of an optimizer are not those of the recipe's spec."""
    return policy.error(
        f"an optimizer that was not built from this recipe's spec: {difference}",
        "build it with build_optimizer(recipe.optimizer, model), or leave the optimizer out of the recipe to drive "
        "any optimizer by the schedules alone",
    )


def other_moments_error(policy: Policy, built: Spec) -> ValueError:
    """An optimizer, built from a spec, cannot continue with the numbers of the recipe's."""
    return policy.error(
        f"an optimizer built from {built!r}, which cannot continue with {policy.spec!r}",
        f"build it with build_optimizer({policy.spec!r}, model)",
    )


def other_value_error(
    policy: Policy, name: str, found: float, planned: float, where: Position, others: Sequence[str]
) -> ValueError:
    """An optimizer does not hold the value of the plan.

    Args:
        policy: What gave the value.
        name: The hyperparameter, as a log has it.
        found: What the optimizer holds.
        planned: What it should hold.
        where: The update.
        others: What else could have written.
    """
    return policy.error(
        f"{name} = {found!r} at {where}, but the plan has {planned!r}, written last by {policy.who}",
        f"remove whatever has changed it since, possibly one of {', '.join(others)}",
    )


def hand_over_error(who: str, reason: str, remedy: str) -> ValueError:
    """A run cannot be written to a file, or read from one, by the function `who`."""
    return ValueError(f"{who}: found {reason}; {remedy}.")
