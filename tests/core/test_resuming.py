"""With which of two recipes a run continues, and in which words that is refused or told."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from samestep import (
    SGDW,
    AdamW,
    Clock,
    CosineDecay,
    EpochFunction,
    LinearDecay,
    ParameterRule,
    Position,
    Recipe,
    Schedule,
    StepDecay,
    epochs,
    percent,
)
from samestep.core.checkpoints.resuming import check_loaded, differences, resumed
from samestep.core.policies.recipe_policy import RecipePolicy

from .resuming_helpers import (
    CLOCK,
    FOUND,
    HALVED,
    REMEDY,
    SPEC,
    TENTH,
    WHERE,
    continues,
    follow,
    function,
    gated,
    halving,
    refused,
    saved,
    slower,
)

HALF_OF_IT = CosineDecay(over=percent(100))


def test_the_same_recipe_continues_without_a_word() -> None:
    again = follow(Recipe(AdamW(0.5, 0.25), StepDecay(0.5, every="1 epoch")))
    for on_change in (None, "raise", "use_new", "use_saved"):
        assert continues(HALVED, again, on_change=on_change) == (again, CLOCK)


def test_a_difference_is_told_field_by_field_with_the_position_and_both_values() -> None:
    assert refused(HALVED, TENTH) == (
        f"{FOUND}: recipe.learning_rate.factor was 0.5 and is 0.1; there the saved and the new give learning_rate 0.25 "
        f"and 0.05, weight_decay 0.25 and 0.25, momentum 0.9 and 0.9; {REMEDY}"
    )


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (
            Recipe(AdamW(0.5), HALVED.learning_rate),
            Recipe(AdamW(0.25, betas=(0.8, 0.9), epsilon=1e-6), HALVED.learning_rate),
            ": recipe.optimizer.learning_rate was 0.5 and is 0.25, recipe.optimizer.betas was [0.9, 0.999] and is "
            "[0.8, 0.9], recipe.optimizer.epsilon was 1e-08 and is 1e-06; there the saved and the new give "
            "learning_rate 0.25 and 0.125, ",
        ),
        (
            HALVED,
            Recipe(SPEC, LinearDecay(over=epochs(2))),
            ": recipe.learning_rate was StepDecay(factor=0.5, every=epochs(1)) and is "
            "LinearDecay(over=epochs(2)); there the saved and the new give learning_rate 0.25 "
            "and 0.125, ",
        ),
        (
            Recipe(learning_rate=HALVED.learning_rate),
            Recipe(learning_rate=TENTH.learning_rate),
            ": recipe.learning_rate.factor was 0.5 and is 0.1; there the saved and the new give learning_rate 0.5 "
            "times its base value and 0.1 times its base value; ",
        ),
        (
            HALVED,
            Recipe(learning_rate=HALVED.learning_rate),
            ": recipe.optimizer was AdamW(learning_rate=0.5, weight_decay=0.25) and is None; there the saved and the "
            "new give learning_rate 0.25 and 0.5 times its base value; ",
        ),
        (
            Recipe(learning_rate=EpochFunction(halving)),
            Recipe(learning_rate=EpochFunction(slower)),
            ": recipe.learning_rate.function was 'tests.core.resuming_helpers:halving' and is ",
        ),
        (HALVED, Recipe(SPEC, 0.5 * HALVED.learning_rate), ": recipe.learning_rate was StepDecay(factor=0.5, every="),
    ],
    ids=["spec", "shape", "without a spec", "spec left out", "function", "combination"],
)
def test_whatever_differs_is_told(before: Recipe, now: Recipe, expected: str) -> None:
    assert f"{FOUND}{expected}" in refused(before, now)


def test_another_resolution_is_another_setting() -> None:
    ramp = Recipe(learning_rate=LinearDecay(over=epochs(3)))
    now = follow(ramp, resolution="epoch")
    message = refused(ramp, now)
    assert message.startswith(f"{FOUND}: resolution was 'update' and is 'epoch'; there the saved and the new give ")
    assert "give learning_rate 0.5 times its base value and 0.66666666666666" in message
    found = continues(ramp, now, on_change="use_saved").policy
    assert isinstance(found, RecipePolicy)
    assert found.resolution == "update"


def test_use_new_continues_with_the_new_recipe_and_the_length_of_this_run() -> None:
    policy = follow(TENTH)
    assert continues(HALVED, policy, Clock(2, 6), on_change="use_new") == (policy, Clock(2, 6))


def test_use_saved_continues_with_the_saved_recipe_and_the_length_that_it_had() -> None:
    before = Recipe(SPEC, HALF_OF_IT)
    policy = follow(TENTH)
    with pytest.warns(UserWarning, match="percentages still refer to 3 epochs"):
        found, clock = resumed(policy, saved(before), Clock(4, 6), WHERE, "use_saved")
    assert isinstance(found, RecipePolicy)
    assert (found.recipe, clock) == (before, CLOCK)
    assert policy.recipe == TENTH, "the one that was given stays as it is"


def test_a_named_function_is_read_by_the_name_that_the_new_recipe_has_it_under() -> None:
    before = Recipe(learning_rate=EpochFunction(halving))
    assert continues(before, Recipe(learning_rate=EpochFunction(halving))).clock == CLOCK
    now = Recipe(learning_rate=EpochFunction(halving) * StepDecay(0.5, every=epochs(1)))
    found = continues(before, now, on_change="use_saved").policy
    assert isinstance(found, RecipePolicy)
    assert found.recipe == before


def test_a_saved_function_that_the_new_recipe_lacks_cannot_be_used() -> None:
    before, now = Recipe(learning_rate=EpochFunction(halving)), Recipe(learning_rate=EpochFunction(slower))
    message = refused(before, now, on_change="use_saved")
    assert message.startswith(f"{FOUND}: recipe.learning_rate.function was '")
    assert message.endswith(
        ", and those of the checkpoint cannot be read here; import the classes of its schedules, pass a recipe "
        "that has the functions it names, or write on_change='use_new'."
    )
    assert continues(before, now, on_change="use_new").policy.settings() == follow(now).settings()
    assert "; there" not in refused(before, now), "the values of what cannot be read are not known"


def test_a_function_without_a_name_cannot_be_compared() -> None:
    class Halving:
        def __call__(self, epoch: int) -> float:
            return 0.5**epoch

    nameless = Recipe(learning_rate=EpochFunction(Halving()))
    assert saved(nameless).settings is None
    for before, now in ((nameless, HALVED), (HALVED, nameless)):
        assert continues(before, now).clock == CLOCK


def test_a_schedule_of_the_user_s_own_is_compared_and_read_where_its_class_is_known() -> None:
    @dataclass(frozen=True, repr=False)
    class ResumedHalving(Schedule):
        rate: float

        def curve(self, ticks: Any) -> Callable[[int], float]:
            return lambda t: self.rate

    def recipe(rate: float) -> Recipe:
        return Recipe(learning_rate=ResumedHalving(rate))

    assert (
        f"{FOUND}: recipe.learning_rate.rate was 0.5 and is 0.25; there the saved and the new give learning_rate 0.5 "
        in refused(recipe(0.5), recipe(0.25))
    )
    found = continues(recipe(0.5), HALVED, on_change="use_saved").policy
    assert isinstance(found, RecipePolicy)
    assert found.recipe == recipe(0.5)
    del Schedule._registry[f"{__name__}:{ResumedHalving.__qualname__}"]  # as in a process that has not imported it
    message = refused(recipe(0.5), HALVED, on_change="use_saved")
    assert f"{FOUND}: recipe.optimizer was None and is AdamW(" in message
    assert ", and those of the checkpoint cannot be read here; " in message
    assert "recipe.learning_rate was ResumedHalving(rate=0.5) and is StepDecay(" in refused(
        recipe(0.5), Recipe(learning_rate=HALVED.learning_rate)
    )


def test_a_gated_decay_that_was_changed_holds_with_a_warning() -> None:
    before, now = gated(0.5, start_epoch=1), gated(0.1, start_epoch=1, base=0.5)
    with pytest.warns(UserWarning, match=": found ") as warned:
        assert resumed(now, saved(before), CLOCK, WHERE, None) == (now, CLOCK)
    assert [str(each.message) for each in warned] == [
        "EpochGatedDecay: found a checkpoint (epoch 1, update 2) that was trained with different settings: "
        "factor was 0.5 and is 0.1, base was None and is 0.5; there the saved and the new give learning_rate 0.5 "
        "times its base value and 0.1 times its base value; the new settings are used."
    ]
    again = gated(0.5, start_epoch=1)
    assert continues(before, again, Clock(2, 9), on_change=None) == (again, Clock(2, 9))


def test_the_user_s_function_is_not_compared() -> None:
    now = function(slower)
    assert continues(function(halving), now, on_change=None) == (now, CLOCK)


def test_a_policy_of_another_kind_is_a_change() -> None:
    gate, own = gated(0.5, start_epoch=1), function(halving)
    assert refused(gate, HALVED) == f"{FOUND}: it followed a gated decay and now follows a recipe; {REMEDY}"
    assert "it followed a function and now follows a recipe" in refused(own, HALVED)
    assert ", and those of the checkpoint cannot be read here; import" in refused(gate, HALVED, on_change="use_saved")
    assert isinstance(continues(gate, HALVED, on_change="use_new").policy, RecipePolicy)
    for before, now in ((follow(HALVED), gate), (own, gate), (gate, own)):
        with pytest.warns(
            UserWarning, match=f"it followed a {before.kind} and now follows a {now.kind}; the new settings are used"
        ):
            assert resumed(now, saved(before), CLOCK, WHERE, None).policy == now


def test_what_drove_a_run_of_a_kind_that_is_unknown_is_compared_by_its_settings() -> None:
    before = dataclasses.replace(saved(HALVED), kind="")
    assert resumed(follow(HALVED), before, CLOCK, WHERE, "raise").clock == CLOCK
    with pytest.raises(ValueError, match=r"settings: recipe.learning_rate.factor was 0.5 and is 0.1; there"):
        resumed(follow(TENTH), before, CLOCK, WHERE, "raise")


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (Recipe(SGDW(0.5)), "type was 'AdamW' and is 'SGDW'; build"),
        (
            Recipe(AdamW(0.5, 0.25, amsgrad=True)),
            "amsgrad was False and is True; build the one that it was trained with",
        ),
    ],
    ids=["kind", "amsgrad"],
)
@pytest.mark.parametrize("on_change", ["use_new", "use_saved"])
def test_moments_of_another_optimizer_are_refused_before_they_are_loaded(
    now: Recipe, expected: str, on_change: Any
) -> None:
    with pytest.raises(ValueError, match=r"^HyperparameterScheduler: found an optimizer that [^\n]*[^.]\.$") as caught:
        check_loaded(follow(now), saved(Recipe(SPEC)), WHERE, on_change)
    assert f"cannot continue with the moments of the run up to epoch 1, update 2: {expected}" in str(caught.value)


def test_before_an_optimizer_is_loaded_another_recipe_is_refused_as_it_is_afterwards() -> None:
    with pytest.raises(ValueError, match=r"^HyperparameterScheduler: found a checkpoint") as caught:
        check_loaded(follow(TENTH), saved(HALVED), WHERE, "raise")
    assert str(caught.value) == refused(HALVED, TENTH)
    with pytest.raises(ValueError, match=r"\(epoch 2, update 0\) that was trained with different settings: recipe"):
        check_loaded(follow(TENTH), saved(HALVED), Position(1, 4), "raise")


@pytest.mark.parametrize(
    ("now", "on_change"),
    [(HALVED, "raise"), (TENTH, "use_new"), (TENTH, "use_saved"), (Recipe(AdamW(0.1, betas=(0.5, 0.5))), "use_new")],
)
def test_what_can_continue_is_loaded(now: Recipe, on_change: Any) -> None:
    check_loaded(follow(now), saved(HALVED), WHERE, on_change)


def test_a_recipe_without_a_spec_says_nothing_of_moments() -> None:
    without = Recipe(learning_rate=HALVED.learning_rate)
    for before, now in ((without, HALVED), (HALVED, without), (function(halving), HALVED)):
        check_loaded(follow(now), saved(before), WHERE, "use_new")


def test_parameter_rules_are_compared_where_a_framework_has_moments_by_their_groups() -> None:
    ruled = Recipe(AdamW(0.5, 0.25, parameters=[ParameterRule(role="bias", weight_decay=0)]))
    check_loaded(follow(ruled), saved(Recipe(SPEC)), WHERE, "use_new")
    with pytest.raises(
        ValueError, match=r"parameters was \[\] and is \[ParameterRule\(role=\('bias',\), weight_decay=0.0\)\]; build "
    ):
        check_loaded(follow(ruled), saved(Recipe(SPEC)), WHERE, "use_new", ("parameters",))


def test_differences_go_as_deep_as_both_are_of_the_same_type() -> None:
    found = list(differences({"a": {"type": "X", "b": 1}, "c": 2}, {"a": {"type": "X", "b": 2}, "c": 3}))
    assert found == ["a.b was 1 and is 2", "c was 2 and is 3"]
    assert list(differences({"a": {"type": "X"}}, {"a": {"type": "Y"}})) == ["a was X() and is Y()"]
    assert not list(differences({"a": float("nan")}, {"a": float("nan")}))
