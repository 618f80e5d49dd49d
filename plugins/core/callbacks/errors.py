"""The errors and warnings of a training, worded alike in both frameworks: `..._error` returns an error."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from ..policies.policy import Policy
from ..schedules.clock import Position
from ..specs.spec import Spec


def second_driver_error(first: str, second: str, hyperparameter: str) -> ValueError:
    """Two samestep callbacks (their reprs) drive the same hyperparameter of the same optimizer."""
    return ValueError(
        f"found two callbacks that drive {hyperparameter}: {first} and {second}; keep one of them, or multiply their "
        f"schedules in one recipe."
    )


def other_driver_error(who: str, hyperparameter: str, other: str, remedy: str) -> ValueError:
    """Something else already drives a hyperparameter, such as a framework's own scheduler."""
    return ValueError(f"{who}: found {other}, which already drives {hyperparameter}; {remedy}.")


def super_error(who: str, hook: str) -> ValueError:
    """A subclass overrides a hook without calling samestep's."""
    return ValueError(f"{who}: found {hook} without a call of super().{hook}(...); call it first.")


def second_training_error(who: str) -> ValueError:
    """A callback is given to a training while another one that it drives has not ended."""
    return ValueError(
        f"{who}: found another training with this callback, which already drives one that has not ended; give each "
        f"training callbacks of its own."
    )


def other_optimizer_error(who: str, epoch: int) -> ValueError:
    """An optimizer was replaced during training."""
    return ValueError(
        f"{who}: found another optimizer in epoch {epoch} than the one that training started with; end the training, "
        f"and start a new one with the other optimizer."
    )


def longer_epoch_error(policy: Policy, epoch: int, updates: int) -> ValueError:
    """An epoch makes more updates than the plan was resolved for."""
    return policy.error(
        f"more than {updates} updates in epoch {epoch}, but updates_per_epoch is {updates}",
        "set it to the number of updates that an epoch makes",
    )


def shorter_epoch_error(policy: Policy, where: Position, before: int, now: int) -> ValueError:
    """A run is resumed within an epoch after more updates than such an epoch makes now."""
    return policy.error(
        f"a run resumed after {where.update} of the {before} updates of epoch {where.epoch}, and epochs of {now} now",
        "resume from a checkpoint of an epoch's end, or with as many batches as before",
    )


def warn_of_shorter_epoch(policy: Policy, epoch: int, made: int, updates: int) -> None:
    """Warn of an epoch that made fewer updates than the plan was resolved for; training continues."""
    warnings.warn(
        f"{policy.who}: found {made} updates in epoch {epoch}, but updates_per_epoch is {updates}; the next epoch "
        f"starts with its own values: set it to the number of updates that an epoch makes.",
        stacklevel=2,
    )


def warn_of_possible_mistakes(policy: Policy, mistakes: Sequence[str]) -> None:
    """Warn, when training starts, of what is legal and probably not meant; training continues."""
    warnings.warn(f"{policy.who}: possible mistakes: {'; '.join(mistakes)}.", stacklevel=2)


def warn_of_first_epoch(policy: Policy, trained: int) -> None:
    """Warn of a training that starts at epoch 0 with an optimizer loaded after some epochs."""
    warnings.warn(
        f"{policy.who}: found an optimizer loaded after {trained} epochs, but training starts at epoch 0 and "
        f"repeats its values; give initial_epoch={trained} to continue.",
        stacklevel=2,
    )


def metric_error(policy: Policy, monitor: str, epoch: int, found: Sequence[str]) -> ValueError:
    """The monitored metric was not logged in an epoch."""
    return policy.error(
        f"no metric {monitor!r} at the end of epoch {epoch}",
        f"log it, or set monitor= to one of {', '.join(found)}" if found else "log it",
    )


def warn_of_no_metric(policy: Policy, monitor: str) -> None:
    """Warn of a training in which the monitored metric was never logged."""
    warnings.warn(
        f"{policy.who}: found no metric {monitor!r} in this training, so nothing was reduced; log it, or set monitor= "
        f"to a metric that is logged.",
        stacklevel=2,
    )


def warn_of_missing_score(policy: Policy, monitor: str, epoch: int) -> None:
    """Warn of an epoch whose score, or part of what it is computed from, was lost when the run was interrupted."""
    warnings.warn(
        f"{policy.who}: found no score of {monitor!r} that is sure to cover all of epoch {epoch}, in which the run was "
        f"resumed; resume from a checkpoint of an epoch's end to reduce as an uninterrupted run does.",
        stacklevel=2,
    )


def other_spec_error(policy: Policy, difference: str) -> ValueError:
    """An optimizer's numbers differ from the recipe's spec, in these lines."""
    return policy.error(
        f"an optimizer that was not built from this recipe's spec: {', '.join(difference.splitlines())}",
        "build it with build_optimizer(recipe, model), or leave the optimizer out of the recipe to drive "
        "any optimizer by the schedules alone",
    )


def other_moments_error(policy: Policy, built: Spec) -> ValueError:
    """An optimizer built from one spec cannot continue with the recipe's spec."""
    return policy.error(
        f"an optimizer built from {built!r}, which cannot continue with {policy.spec!r}",
        f"build it with build_optimizer({policy.spec!r}, model)",
    )


def other_value_error(
    policy: Policy, name: str, found: float, planned: float, where: Position, others: Sequence[str]
) -> ValueError:
    """An optimizer does not hold the value of the plan.

    Args:
        policy: The policy that gave the value.
        name: The hyperparameter, named as in logs.
        found: The value that the optimizer holds.
        planned: The value that it should hold.
        where: The update.
        others: Names of everything else that could have written it.
    """
    return policy.error(
        f"{name} = {found!r} at {where}, but the plan has {planned!r}, written last by {policy.who}",
        f"remove whatever has changed it since, possibly one of {', '.join(others)}",
    )


def unseen_update_error(policy: Policy, optimizer: str) -> ValueError:
    """The weights of an optimizer (the name of its class) were updated by no step that could be counted."""
    return policy.error(
        f"weights of the optimizer {optimizer} that were updated without a call of its step",
        "make each update by its step(), or have its other methods call the step() of an optimizer that it keeps as an "
        "attribute",
    )


def unreached_error(policy: Policy, outer: str, inner: str, hyperparameter: str) -> ValueError:
    """An optimizer keeps another inside with parameter groups of its own, which have other values."""
    return policy.error(
        f"the optimizer {outer} with another {hyperparameter} than the {inner} inside it, as each has its own "
        f"param_groups",
        f"let the {outer} use the param_groups of its {inner}, also after load_state_dict",
    )


def late_group_error(policy: Policy) -> ValueError:
    """A parameter group was added while a batch was trained, after the values of its update had been written."""
    return policy.error(
        "a parameter group that was added while an update was being made, and had a part in it by the values it came "
        "with",
        "add it before the batch's forward pass, as in on_train_epoch_start or on_train_batch_start",
    )


def hand_over_error(who: str, reason: str, remedy: str) -> ValueError:
    """The function `who` cannot write a run to a file, or read one."""
    return ValueError(f"{who}: found {reason}; {remedy}.")
