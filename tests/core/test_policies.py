"""The policy of a recipe: the values that it gives, and which clocks it cannot honour."""

from __future__ import annotations

from typing import Any

import pytest

from samestep import (
    AdamW,
    Clock,
    CosineDecay,
    InverseTimeDecay,
    LinearDecay,
    Position,
    Recipe,
    StepDecay,
    epochs,
    percent,
    updates,
)
from samestep.core.callbacks.start import clock_of
from samestep.core.policies.recipe_policy import RecipePolicy


def test_legacy_keras_decay_is_inverse_time_decay_per_update() -> None:
    recipe = Recipe(AdamW(learning_rate=0.1), learning_rate=InverseTimeDecay(0.01, every=updates(1)))
    policy = follow(recipe)
    policy.prepare(Clock(5, 3))
    used = [policy.value("learning_rate", 0.1, Position(epoch, update)) for epoch in range(3) for update in range(5)]
    # One rounding more than the closed form, of 1 / (1 + 0.01 * k): at most one unit in the last place.
    assert used == pytest.approx([0.1 / (1 + 0.01 * k) for k in range(15)], rel=1e-15, abs=0)


LINE = Recipe(AdamW(learning_rate=1.0), learning_rate=LinearDecay(over=epochs(2)))
STEPS = Recipe(learning_rate=StepDecay(0.5, every=epochs(1)))


def follow(recipe: Recipe, **options: Any) -> RecipePolicy:
    return RecipePolicy(recipe, who="HyperparameterScheduler", **options)


@pytest.mark.parametrize(
    ("resolution", "expected"),
    [("update", [1.0, 0.875, 0.75, 0.625, 0.5, 0.375]), ("epoch", [1.0, 1.0, 1.0, 1.0, 0.5, 0.5])],
)
def test_resolution_epoch_holds_the_first_updates_value(resolution: str, expected: list[float]) -> None:
    policy = follow(LINE, resolution=resolution)
    policy.prepare(Clock(4, 2))
    assert [policy.value("learning_rate", 1.0, Position(*divmod(i, 4))) for i in range(6)] == expected
    assert policy.varies_within_epochs() is (resolution == "update")


def test_epochs_of_unknown_length_are_refused_only_where_it_matters() -> None:
    words = r"^HyperparameterScheduler: found a learning_rate schedule that changes within an epoch, and training data"
    with pytest.raises(ValueError, match=words + ".*give updates_per_epoch=, or resolution='epoch'"):
        follow(LINE).prepare(Clock(None, 2))
    held = follow(LINE, resolution="epoch")
    held.prepare(Clock(None, 2))
    assert [held.value("learning_rate", 1.0, Position(epoch, 3)) for epoch in range(3)] == [1.0, 0.5, 0.0]
    steps = follow(STEPS)
    steps.prepare(Clock())
    assert [steps.value("learning_rate", 1.0, Position(1, update)) for update in (0, 7, 10**6)] == [0.5, 0.5, 0.5]


def test_a_run_of_unknown_length_is_refused_by_the_callback_for_a_percentage() -> None:
    policy = follow(Recipe(learning_rate=CosineDecay(over=percent(100))))
    with pytest.raises(ValueError, match=r"^HyperparameterScheduler: the learning_rate schedule: '100%' needs the l"):
        policy.prepare(Clock(5))


def test_what_the_trainer_knows_and_what_the_user_says_are_joined() -> None:
    policy = follow(LINE)
    assert clock_of(policy, 4, None, 3, None) == clock_of(policy, 4, 4, 3, None) == Clock(4, 3)
    assert clock_of(policy, None, 5, None, 9) == Clock(5, None, 9)
    words = r"^HyperparameterScheduler: found updates_per_epoch=4, but the trainer makes 5 updates in an epoch; leave"
    with pytest.raises(ValueError, match=words):
        clock_of(policy, 4, 5, 3, None)


def test_a_policy_drives_what_its_recipe_drives() -> None:
    with_spec, without = follow(LINE), follow(STEPS)
    assert (with_spec.driven, with_spec.spec) == (("learning_rate", "weight_decay", "momentum"), LINE.optimizer)
    assert (without.driven, without.spec) == (("learning_rate",), None)
