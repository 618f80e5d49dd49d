"""What a training run has and a callback cannot honour: the errors, and a warning, in the same words for both."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from .callbacks import ScheduleMixin
from .durations import Position
from .optimizers import Spec


def refuse_second_driver(first: ScheduleMixin, second: ScheduleMixin, hyperparameter: str) -> ValueError:
    """The error for two callbacks of ours that drive the same hyperparameter of the same optimizer."""
    return ValueError(
        f"found two callbacks that drive {hyperparameter}: {first!r} and {second!r}; keep one of them, or multiply "
        f"their schedules in one recipe."
    )


def refuse_other_driver(callback: ScheduleMixin, hyperparameter: str, other: str, remedy: str) -> ValueError:
    """The error for a hyperparameter that something else drives already, such as a framework's own scheduler."""
    return callback.refuse(f"{other}, which drives {hyperparameter} already", remedy)


def refuse_longer_epoch(callback: ScheduleMixin, epoch: int, updates: int) -> ValueError:
    """The error for an epoch that goes on after the number of updates that the plan was resolved for."""
    return callback.refuse(
        f"more than {updates} updates in epoch {epoch}, where updates_per_epoch is {updates}",
        "give the number of updates that an epoch makes",
    )


def warn_of_shorter_epoch(callback: ScheduleMixin, epoch: int, made: int, updates: int) -> None:
    """Warn of an epoch that ended before the updates that the plan was resolved for: it goes on with the next epoch."""
    warnings.warn(
        f"{callback.who}: found {made} updates in epoch {epoch}, where updates_per_epoch is {updates}; the next epoch "
        f"begins with its own values: give the number of updates that an epoch makes.",
        stacklevel=2,
    )


def warn_of_first_epoch(callback: ScheduleMixin, trained: int) -> None:
    """Warn of a training that begins at epoch 0 with an optimizer that was loaded after some epochs."""
    warnings.warn(
        f"{callback.who}: found an optimizer that was loaded after {trained} epochs, and a training that begins at "
        f"epoch 0, whose values it has again; give initial_epoch={trained} to go on.",
        stacklevel=2,
    )


def refuse_metric(callback: ScheduleMixin, monitor: str, epoch: int, found: Sequence[str]) -> ValueError:
    """The error for a metric that is not among those of an epoch."""
    return callback.refuse(
        f"no metric {monitor!r} at the end of epoch {epoch}, among {', '.join(found) or 'none'}",
        "write one that there is",
    )


def warn_of_no_metric(callback: ScheduleMixin, monitor: str) -> None:
    """Warn of a training in which there was no score of a metric at all."""
    warnings.warn(f"{callback.who}: found no metric {monitor!r} in this training; it reduced nothing.", stacklevel=2)


def warn_of_missing_score(callback: ScheduleMixin, monitor: str, epoch: int) -> None:
    """Warn of an epoch whose score, or what it was to be made of, went with the process that trained it."""
    warnings.warn(
        f"{callback.who}: found no score of {monitor!r} that is sure to be of the whole of epoch {epoch}, in which the "
        f"run was resumed; resume from a checkpoint of the end of an epoch to reduce as an uninterrupted run does.",
        stacklevel=2,
    )


def refuse_to_hand_over(who: str, reason: str, remedy: str) -> ValueError:
    """The error for a run that cannot be written to a file, or read from one, by the function `who`."""
    return ValueError(f"{who}: found {reason}; {remedy}.")


def refuse_other_spec(callback: ScheduleMixin, difference: str) -> ValueError:
    """The error for an optimizer whose numbers are not those of the recipe's spec."""
    return callback.refuse(
        f"an optimizer that is not the recipe's: {difference}",
        "build it with build_optimizer(recipe.optimizer, model), or leave the optimizer out of the recipe to drive "
        "any optimizer by the schedules alone",
    )


def refuse_other_moments(callback: ScheduleMixin, built: Spec) -> ValueError:
    """The error for an optimizer, built from a spec, that cannot go on by the numbers of the recipe's."""
    return callback.refuse(
        f"an optimizer of {built!r}, which cannot go on as one of {callback.spec!r}",
        f"build it with build_optimizer({callback.spec!r}, model)",
    )


def refuse_other_value(
    callback: ScheduleMixin, name: str, found: float, planned: float, where: Position, others: Sequence[str]
) -> ValueError:
    """The error for an optimizer that does not hold the value of the plan.

    name: the hyperparameter, as a log has it. where: the update. others: what else could have written.
    """
    return callback.refuse(
        f"{name} = {found!r} at {where}, where the plan has {planned!r}, which {callback!r} is the last known to have "
        f"written",
        f"remove what has changed it since, perhaps one of {', '.join(others)}",
    )
