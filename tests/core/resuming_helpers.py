"""Runs that continue in core alone, without a framework."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from samestep import AdamW, Clock, Position, Recipe, StepDecay, epochs
from samestep.core.checkpoints.resuming import ResumedPolicy, driver_of, resumed
from samestep.core.checkpoints.saved import Driver
from samestep.core.policies.function_policy import FunctionPolicy
from samestep.core.policies.gated_decay import GatedDecayPolicy
from samestep.core.policies.policy import Policy
from samestep.core.policies.recipe_policy import RecipePolicy

CLOCK, WHERE = Clock(4, 3), Position(1, 2)
SPEC = AdamW(0.5, 0.25)
HALVED, TENTH = (Recipe(SPEC, StepDecay(factor, every=epochs(1))) for factor in (0.5, 0.1))
FOUND = "HyperparameterScheduler: found a checkpoint (epoch 1, update 2) that was trained with different settings"
REMEDY = "pass the settings it was trained with, or write on_change='use_new' or 'use_saved'."


def follow(recipe: Recipe, **options: Any) -> RecipePolicy:
    return RecipePolicy(recipe, who="HyperparameterScheduler", **options)


def gated(factor: float, **options: Any) -> GatedDecayPolicy:
    return GatedDecayPolicy(factor, who="EpochGatedDecay", **options)


def function(function: Any) -> FunctionPolicy:
    return FunctionPolicy(function, who="LearningRateScheduler")


def halving(epoch: int) -> float:
    return 0.5**epoch


def slower(epoch: int) -> float:
    return 0.75**epoch


def saved(policy: Policy | Recipe, clock: Clock = CLOCK) -> Driver:
    """What a checkpoint has of a run by this policy, or recipe, once it was written and read."""
    policy = follow(policy) if isinstance(policy, Recipe) else policy
    return Driver.from_dict(driver_of(policy, clock).to_dict())


def continues(
    before: Policy | Recipe,
    now: Policy | Recipe,
    clock: Clock = CLOCK,
    its: Clock = CLOCK,
    where: Position = WHERE,
    on_change: str | None = "raise",
) -> ResumedPolicy:
    """What a run continues with, without a word said."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return resumed(follow(now) if isinstance(now, Recipe) else now, saved(before, its), clock, where, on_change)


def refused(*arguments: Any, **options: Any) -> str:
    """The sentence in which it is refused to continue."""
    with pytest.raises(ValueError, match=r"^[^\n]*[^.]\.$") as caught:
        continues(*arguments, **options)
    message = str(caught.value)
    assert ". " not in message, "one sentence"
    return message
