"""A plan: exact values at positions, of an epoch, of a stretch and of the whole run."""

from __future__ import annotations

import pickle
import re
from itertools import product
from random import Random
from typing import Any

import pytest

from samestep import (
    AdamW,
    Constant,
    CosineDecay,
    ExponentialDecay,
    LinearDecay,
    Plan,
    Recipe,
    StepDecay,
    Table,
    Warmup,
    epochs,
    percent,
    updates,
)

RECIPE = Recipe(
    AdamW(learning_rate=0.5, weight_decay=0.25),
    learning_rate=StepDecay(0.5, every=epochs("1.5")),
    weight_decay=LinearDecay(over=updates(4), end=0.5),
)
PLAN = RECIPE.plan(updates_per_epoch=3, epochs=4)
SCHEDULES = Recipe(learning_rate=StepDecay(0.5, every=epochs(2)).after("1 epoch") * Warmup(over=epochs(2)))


def test_values_are_base_times_schedule_at_every_update() -> None:
    assert [PLAN.values("learning_rate", epoch) for epoch in range(4)] == [
        [0.5, 0.5, 0.5],
        [0.5, 0.5, 0.25],
        [0.25, 0.25, 0.25],
        [0.125, 0.125, 0.125],
    ]
    assert [PLAN.values("weight_decay", epoch) for epoch in range(3)] == [
        [0.25, 0.21875, 0.1875],
        [0.15625, 0.125, 0.125],
        [0.125, 0.125, 0.125],
    ]


def test_value_values_and_multiplier_agree() -> None:
    for name, epoch, update in product(RECIPE.driven, range(6), range(3)):
        value = PLAN.value(name, epoch, update)
        assert PLAN.values(name, epoch)[update] == value
        assert PLAN.multiplier(name, epoch, update) * (RECIPE.base(name) or 0.0) == value


def test_values_without_an_epoch_are_those_of_the_whole_run() -> None:
    assert PLAN.values("learning_rate") == [0.5] * 5 + [0.25] * 4 + [0.125] * 3
    assert PLAN.values("weight_decay") == [0.25, 0.21875, 0.1875, 0.15625] + [0.125] * 8
    assert PLAN.values("momentum") == [0.9] * 12
    shorter = RECIPE.plan(updates_per_epoch=3, epochs=4, max_updates=7)
    assert shorter.values("learning_rate") == [0.5] * 5 + [0.25] * 2
    assert shorter.values("learning_rate", base=2.0) == [2.0] * 5 + [1.0] * 2


def test_values_of_a_run_whose_epochs_have_an_unknown_length_are_one_for_each_epoch() -> None:
    plan = Recipe(AdamW(learning_rate=1.0), StepDecay(0.5, every=epochs(2))).plan(epochs=5)
    assert plan.values("learning_rate") == [1.0, 1.0, 0.5, 0.5, 0.25]


def test_values_of_a_run_of_unknown_length_are_refused() -> None:
    words = r"^values\(\) needs the number of epochs, which is unknown; give plan\(epochs=\.\.\.\)"
    for plan in (RECIPE.plan(updates_per_epoch=3), Recipe(AdamW()).plan()):
        with pytest.raises(ValueError, match=words):
            plan.values("learning_rate")


def test_between_is_a_stretch_of_the_run_and_may_go_past_its_end() -> None:
    assert PLAN.between("weight_decay", 1, 4) == [0.21875, 0.1875, 0.15625]
    assert PLAN.between("weight_decay", 3, 6, base=8.0) == [5.0, 4.0, 4.0]
    assert PLAN.between("learning_rate", 12, 16) == [0.125, 0.125, 0.0625, 0.0625]
    assert PLAN.between("learning_rate", 5, 5) == []
    assert PLAN.between("learning_rate", 0, 12) == PLAN.values("learning_rate")
    assert PLAN.between("learning_rate", 0, 12, every=4) == PLAN.values("learning_rate")[::4]


def test_the_momentum_is_the_first_beta_and_its_schedule_multiplies_it() -> None:
    recipe = Recipe(AdamW(betas=(0.5, 0.999)), momentum=Table([1.0, 0.5, 1.5], every=updates(2)))
    plan = recipe.plan(updates_per_epoch=3, epochs=2)
    assert plan.values("momentum") == [0.5, 0.5, 0.25, 0.25, 0.75, 0.75]
    assert plan.values("learning_rate") == [1e-3] * 6
    assert plan.value("momentum", 1, 2, base=0.25) == 0.375
    assert plan.multiplier("momentum", 1, 2) == 1.5


def test_a_momentum_of_one_or_more_is_refused_at_its_first_update() -> None:
    recipe = Recipe(AdamW(betas=(0.5, 0.999)), momentum=Table([1.0, 2.0, 1.0], every=updates(2)))
    plan = recipe.plan(updates_per_epoch=3, epochs=2)
    assert plan.between("momentum", 0, 2) == [0.5, 0.5]
    assert plan.value("momentum", 1, 1) == 0.5
    words = r"^the momentum at epoch {}, update {} is 1.0; expected a value of at least 0 and below 1\."
    with pytest.raises(ValueError, match=words.format(1, 0)):
        plan.value("momentum", 1, 0)
    for ask in (lambda: plan.values("momentum"), lambda: plan.values("momentum", 0), lambda: plan.check("momentum")):
        with pytest.raises(ValueError, match=words.format(0, 2)):
            ask()
    plan.check("momentum", base=0.25)
    # The same factor of a learning rate is nothing to refuse.
    assert Recipe(AdamW(0.5), learning_rate=recipe.momentum).plan(3, 2).values("learning_rate")[2] == 1.0


def test_the_same_position_has_the_same_value_in_any_order() -> None:
    positions = list(product(("learning_rate", "weight_decay"), range(12), range(7)))
    recipe = Recipe(AdamW(), CosineDecay(over=percent(90)), ExponentialDecay(0.9, every=epochs("1/3")))
    expected = {p: recipe.plan(7, 11).value(*p) for p in positions}
    plan = recipe.plan(7, 11)
    Random(0).shuffle(positions)
    assert {p: plan.value(*p) for p in positions} == expected


def test_updates_past_the_end_of_an_epoch_reach_the_next_one() -> None:
    assert [PLAN.value("weight_decay", 0, update) for update in range(5)] == [0.25, 0.21875, 0.1875, 0.15625, 0.125]


def test_positions_past_the_end_of_the_run_follow_the_same_schedule() -> None:
    assert PLAN.value("learning_rate", 6) == 0.03125  # drops at 4.5, 9, 13.5 and 18
    assert PLAN.value("weight_decay", 1_000_000, 2) == 0.125


def test_a_percentage_ends_with_the_run_however_it_ends() -> None:
    recipe = Recipe(AdamW(learning_rate=1.0), LinearDecay(over=percent(100)))
    by_updates = recipe.plan(updates_per_epoch=5, epochs=3, max_updates=8)
    assert by_updates.values("learning_rate", 0) == [1.0, 0.875, 0.75, 0.625, 0.5]
    assert by_updates.values("learning_rate", 1) == [0.375, 0.25, 0.125, 0.0, 0.0]
    assert recipe.plan(updates_per_epoch=5, max_updates=8).values("learning_rate", 1) == [0.375, 0.25, 0.125, 0.0, 0.0]


def test_a_base_that_is_given_takes_the_place_of_the_specs() -> None:
    assert PLAN.value("learning_rate", 3, base=8.0) == 2.0
    assert PLAN.values("learning_rate", 1, base=8.0) == [8.0, 8.0, 4.0]
    assert SCHEDULES.plan(3, 6).value("learning_rate", 3, base=2.0) == 1.0


def test_epochs_of_unknown_length_have_the_value_of_their_start() -> None:
    plan = SCHEDULES.plan(epochs=6)
    assert [plan.multiplier("learning_rate", epoch) for epoch in range(6)] == [0.0, 0.5, 1.0, 0.5, 0.5, 0.25]
    with pytest.raises(
        ValueError, match=r"^the learning_rate schedule changes within an epoch, so its value at update 1"
    ):
        plan.multiplier("learning_rate", 0, 1)
    with pytest.raises(
        ValueError, match=r"^the learning_rate schedule changes within an epoch, so its values need upda"
    ):
        plan.values("learning_rate", 0, base=1.0)


def test_epochs_of_unknown_length_and_one_value_have_it_at_every_update() -> None:
    plan = Recipe(AdamW(learning_rate=1.0), StepDecay(0.5, every=epochs(2))).plan()
    assert [plan.value("learning_rate", 2, update) for update in (0, 1, 10**9)] == [0.5, 0.5, 0.5]
    assert plan.values("learning_rate", 4) == [0.25]


@pytest.mark.parametrize(
    ("schedule", "clock", "words"),
    [
        (
            CosineDecay(over=percent(100)),
            {},
            "the learning_rate schedule: '100%' needs the length of the run, which is",
        ),
        (
            CosineDecay(over=percent(1)),
            {"updates_per_epoch": 5},
            "the learning_rate schedule: '1%' needs the length of",
        ),
        (
            CosineDecay(over=percent(1)),
            {"max_updates": 5},
            "the learning_rate schedule: '1%' of a run that ends after 5 updates needs",
        ),
        (
            CosineDecay(over=updates(9)),
            {"epochs": 5},
            "the learning_rate schedule: '9 updates' needs the number of upd",
        ),
        (
            Constant(2).after(updates(9)),
            {},
            "the learning_rate schedule: '9 updates' needs the number of updates in an",
        ),
        (Constant(2), {"updates_per_epoch": 0}, "updates_per_epoch: found 0; expected a whole number of at least 1"),
    ],
)
def test_what_the_clock_cannot_resolve_is_refused_when_planned(schedule: Any, clock: Any, words: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(words)}"):
        Recipe(AdamW(), schedule).plan(**clock)


def test_a_bad_position_name_or_missing_base_is_refused() -> None:
    for position in ((-1, 0), (0, -1)):
        with pytest.raises(
            ValueError, match=r"^found epoch -?\d, update -?\d; both count from 0 and cannot be negative"
        ):
            PLAN.value("learning_rate", *position)
    with pytest.raises(
        ValueError, match=r"^found the hyperparameter 'lr'; expected one of learning_rate, weight_decay"
    ):
        PLAN.multiplier("lr", 0)
    with pytest.raises(ValueError, match=r"^this recipe has no optimizer, so the value of learning_rate needs base="):
        SCHEDULES.plan(3, 6).value("learning_rate", 0)


@pytest.mark.parametrize("shape", [StepDecay, ExponentialDecay])
def test_a_value_that_is_too_large_for_a_float_is_a_value_error(shape: Any) -> None:
    schedule = shape(10.0, every=epochs(1))
    plan = Recipe(AdamW(learning_rate=1.0), schedule).plan(2, 400)
    assert plan.value("learning_rate", 308) == 1e308
    words = "the learning_rate schedule at epoch 309, update 1: the value is too large for a float"
    with pytest.raises(ValueError, match=f"^{words}"):
        plan.value("learning_rate", 309, 1)


def test_a_plan_shows_its_recipe_and_its_clock() -> None:
    assert isinstance(PLAN, Plan)
    assert repr(SCHEDULES.plan(3, 6)) == (
        f"Plan({SCHEDULES!r}, Clock(updates_per_epoch=3, epochs=6, max_updates=None))"
    )


def test_a_plan_pickles_to_the_same_values() -> None:
    again = pickle.loads(pickle.dumps(PLAN))
    assert (again.recipe, again.clock) == (PLAN.recipe, PLAN.clock)
    assert [again.values("learning_rate", epoch) for epoch in range(4)] == [
        PLAN.values("learning_rate", epoch) for epoch in range(4)
    ]
