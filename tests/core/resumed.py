"""Runs that go on in core alone, without a framework."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from samestep import AdamW, Clock, Position, Recipe, StepDecay, epochs
from samestep.core.callbacks.epoch_callbacks import EpochGatedDecayMixin, LearningRateSchedulerMixin
from samestep.core.callbacks.hyperparameter_scheduler import HyperparameterSchedulerMixin, ScheduleMixin
from samestep.core.checkpoints.resuming import Continued, continued, driver_of
from samestep.core.checkpoints.saved import Driver

CLOCK, WHERE = Clock(4, 3), Position(1, 2)
SPEC = AdamW(0.5, 0.25)
HALVED, TENTH = (Recipe(SPEC, StepDecay(factor, every=epochs(1))) for factor in (0.5, 0.1))
FOUND = "HyperparameterScheduler: found other settings than those that the run was trained with up to epoch 1, update 2"


class HyperparameterScheduler(HyperparameterSchedulerMixin):
    """Core's part of the callback, without a framework."""


class EpochGatedDecay(EpochGatedDecayMixin):
    """Likewise."""


class LearningRateScheduler(LearningRateSchedulerMixin):
    """Likewise."""


def halving(epoch: int) -> float:
    return 0.5**epoch


def slower(epoch: int) -> float:
    return 0.75**epoch


def saved(recipe: Any, clock: Clock = CLOCK, **options: Any) -> Driver:
    """What a checkpoint has of a run by this recipe, once it was written and read."""
    part = recipe if isinstance(recipe, ScheduleMixin) else HyperparameterScheduler(recipe, **options)
    return Driver.from_dict(driver_of(part, clock).to_dict())


def goes_on(
    before: Any, now: Any, clock: Clock = CLOCK, its: Clock = CLOCK, where: Position = WHERE, **options: Any
) -> Continued:
    part = now if isinstance(now, ScheduleMixin) else HyperparameterScheduler(now, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return continued(part, saved(before, its), clock, where)


def refused(*arguments: Any, **options: Any) -> str:
    with pytest.raises(ValueError, match=r"^[^\n]*[^.]\.$") as caught:
        goes_on(*arguments, **options)
    message = str(caught.value)
    assert ". " not in message, "one sentence"
    return message
