"""What a plan takes as a position and as a base value, and what it refuses."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest

from samestep import AdamW, Clock, Constant, EpochFunction, LinearDecay, Plan, Recipe, StepDecay, Table, updates

NAME = "learning_rate"
LINE = LinearDecay(updates(8))
WITHIN = Recipe(AdamW(0.5), LINE).plan(updates_per_epoch=4, epochs=2)
WHOLE = Recipe(AdamW(0.5), StepDecay(0.5, every="1 epoch")).plan(updates_per_epoch=4, epochs=2)


def test_multipliers_are_those_of_each_update() -> None:
    assert WITHIN.multipliers(NAME, 0, 9) == [left / 8 for left in range(8, -1, -1)]
    assert WITHIN.multipliers(NAME, 1, 8, every=3) == [0.875, 0.5, 0.125]
    assert WITHIN.multipliers(NAME, 5, 5) == []
    assert [WITHIN.multiplier(NAME, *divmod(i, 4)) for i in range(12)] == WITHIN.multipliers(NAME, 0, 12)
    assert Recipe(learning_rate=StepDecay(0.5, every="2 epochs")).plan(epochs=4).multipliers(NAME, 0, 5) == [
        1.0,
        1.0,
        0.5,
        0.5,
        0.25,
    ]


def test_a_multiplier_that_is_too_large_is_refused_at_its_update() -> None:
    plan = Recipe(learning_rate=StepDecay(10.0, every="1 update")).plan(updates_per_epoch=4, epochs=100)
    assert plan.multipliers(NAME, 0, 3) == [1.0, 10.0, 100.0]
    with pytest.raises(ValueError, match=r"^the learning_rate schedule at epoch 77, update 1: the value is too large"):
        plan.multipliers(NAME, 0, 400)
    with pytest.raises(ValueError, match=r"^the learning_rate schedule at epoch 77, update 2: the value is too large"):
        plan.multipliers(NAME, 0, 400, every=2)


@pytest.mark.parametrize("plan", [WITHIN, WHOLE])
@pytest.mark.parametrize(
    "ask",
    [
        lambda plan: plan.multiplier(NAME, 1.0),
        lambda plan: plan.multiplier(NAME, 1, 2.0),
        lambda plan: plan.multiplier(NAME, np.float64(1)),
        lambda plan: plan.multiplier(NAME, Fraction(1)),
        lambda plan: plan.multiplier(NAME, "1"),
        lambda plan: plan.value(NAME, 1.0),
        lambda plan: plan.values(NAME, 1.0),
        lambda plan: plan.multipliers(NAME, 0.0, 2),
        lambda plan: plan.multipliers(NAME, 0, 2.0),
        lambda plan: plan.between(NAME, 0, 2, every=1.0),
    ],
)
def test_a_position_that_is_no_whole_number_is_a_type_error(plan: Plan, ask: Callable[[Plan], object]) -> None:
    with pytest.raises(TypeError, match="cannot be interpreted as an integer"):
        ask(plan)


def test_the_integers_of_numpy_do_not_overflow() -> None:
    # A tick is so short here that a million updates have more of them than 64 bits can count.
    over = updates("2000000.00000000000003")
    plan = Recipe(AdamW(1.0), LinearDecay(over)).plan(updates_per_epoch=1000, epochs=10**4)
    exact = float(1 - 10**6 / over.updates)
    assert plan.value(NAME, np.int64(1000)) == plan.multiplier(NAME, np.int64(999), np.int32(1000)) == exact
    million = np.int64(10**6)
    assert plan.multipliers(NAME, million, million + 1, every=np.int64(7)) == [exact]
    assert plan.between(NAME, million, million + 1) == plan.values(NAME, np.int64(1000))[:1] == [exact]


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda: WITHIN.values(NAME, -1), "found epoch -1, update 0; both count from 0 and cannot be negative."),
        (lambda: WHOLE.values(NAME, -1), "found epoch -1, update 0; both count from 0 and cannot be negative."),
        (lambda: WITHIN.between(NAME, -1, 3), "found begin=-1 and every=1; expected at least 0 and at least 1."),
        (lambda: WHOLE.multipliers(NAME, -2, 3), "found begin=-2 and every=1; expected at least 0 and at least 1."),
        (lambda: WITHIN.between(NAME, 0, 3, every=0), "found begin=0 and every=0; expected at least 0 and at"),
        (lambda: WITHIN.multipliers(NAME, 3, 0, -1), "found begin=3 and every=-1; expected at least 0 and at"),
        (lambda: WITHIN.columns(NAME, -1, 3, [1.0]), "found begin=-1 and every=1; expected at least 0 and at"),
        (lambda: WITHIN.multipliers("lr", 0, 3), "found the hyperparameter 'lr'; expected one of learning_rate"),
    ],
)
def test_a_position_before_the_run_is_refused(ask: Callable[[], object], words: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(words)}"):
        ask()


ASK: list[Callable[[object], object]] = [
    lambda base: WITHIN.value(NAME, 0, 2, base=base),
    lambda base: WITHIN.values(NAME, 0, base=base)[2],
    lambda base: WITHIN.values(NAME, base=base)[2],
    lambda base: WHOLE.values(NAME, 0, base=base)[2] * 0.75,
    lambda base: WITHIN.between(NAME, 2, 3, base=base)[0],
]


@pytest.mark.parametrize("ask", ASK)
@pytest.mark.parametrize("base", [2, 2.0, Fraction(2), np.float32(2), np.array(2.0)], ids=repr)
def test_a_base_value_may_be_any_real_number(ask: Callable[[object], object], base: object) -> None:
    found = ask(base)
    assert (found, type(found)) == (1.5, float)


@pytest.mark.parametrize("ask", [*ASK, lambda base: WITHIN.check(NAME, base)])
@pytest.mark.parametrize(
    ("base", "error", "words"),
    [
        ("2", TypeError, "base: found '2' (str); expected a number."),
        (True, TypeError, "base: found True (bool); expected a number."),
        ([2.0], TypeError, "base: found [2.0] (list); expected a number."),
        (math.nan, ValueError, "base: found nan; expected a finite number."),
        (math.inf, ValueError, "base: found inf; expected a finite number."),
        (-0.5, ValueError, "base: found -0.5; expected a number of at least 0."),
    ],
)
def test_a_base_value_that_is_none_is_refused(
    ask: Callable[[object], object], base: object, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=f"^{re.escape(words)}$"):
        ask(base)


def test_columns_have_a_list_for_each_base_value() -> None:
    assert WITHIN.columns(NAME, 6, 8, [0.5, 2, 0.5]) == [[0.125, 0.0625], [0.5, 0.25], [0.125, 0.0625]]
    assert WITHIN.columns(NAME, 6, 8, []) == []
    assert WITHIN.columns(NAME, 6, 6, [0.5, 2]) == [[], []]


@pytest.mark.parametrize("bases", [[0.5, 2.0], [2.0, 0.5]])
def test_a_column_that_cannot_be_used_is_refused_whichever_it_is(bases: list[float]) -> None:
    plan = Recipe(momentum=Constant(0.75)).plan(updates_per_epoch=4, epochs=2)
    with pytest.raises(ValueError, match=r"^the momentum at epoch 0, update 0 is 1\.5; expected a value of at least 0"):
        plan.columns("momentum", 0, 8, bases)


@pytest.mark.parametrize("bases", [[-0.5], [0.5, -0.5], [-0.5, 0.5]])
def test_columns_refuse_a_negative_base_value(bases: list[float]) -> None:
    with pytest.raises(ValueError, match=r"^base: found -0\.5; expected a number of at least 0\.$"):
        WITHIN.columns(NAME, 0, 8, bases)


@pytest.mark.parametrize(
    ("found", "kind"), [(None, "NoneType"), (5, "int"), ((5, 3), "tuple"), ({"updates_per_epoch": 5}, "dict")]
)
def test_a_plan_is_made_of_a_clock(found: object, kind: str) -> None:
    recipe = Recipe(AdamW())
    words = f"Plan: found {found!r} ({kind}); expected a Clock, as recipe.plan(...) makes."
    with pytest.raises(TypeError, match=f"^{re.escape(words)}$"):
        Plan(recipe, found)  # type: ignore[arg-type]
    assert Plan(recipe, Clock(5, 3)).values(NAME, 0) == recipe.plan(5, 3).values(NAME, 0)


def test_the_length_of_a_run_that_only_the_updates_end_needs_the_updates_of_an_epoch() -> None:
    words = r"^values\(\) needs the number of updates in an epoch; give plan\(updates_per_epoch=\.\.\.\)\.$"
    for epochs in (None, 3):
        with pytest.raises(ValueError, match=words):
            Recipe(AdamW()).plan(epochs=epochs, max_updates=5).values(NAME)


def test_multipliers_that_are_too_large_for_a_float_are_refused_by_their_position() -> None:
    plan = Recipe(learning_rate=Constant(1e200) * Table([1.0, 1e200], every=updates(1))).plan(5, 3)
    assert plan.multipliers("learning_rate", 0, 1) == [1e200]
    with pytest.raises(ValueError, match=r"^the learning_rate schedule at epoch 0, update 1: the value is too large"):
        plan.multipliers("learning_rate", 0, 2)


def test_a_function_that_returns_no_value_is_named_with_its_hyperparameter_and_position() -> None:
    plan = Recipe(learning_rate=EpochFunction(lambda epoch: 1.0 - epoch)).plan(5, 3)
    words = r"^the learning_rate schedule at epoch 2, update 0: .* returned -1.0 at epoch 2"
    with pytest.raises(ValueError, match=words):
        plan.multipliers("learning_rate", 0, 15)
