"""Values at the extremes: factors that no float holds in a product that one does, and lengths of almost nothing."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samestep import (
    Constant,
    EpochFunction,
    ExponentialDecay,
    InverseSqrtDecay,
    InverseTimeDecay,
    LinearDecay,
    MultiStepDecay,
    Normalized,
    Recipe,
    Schedule,
    StepDecay,
    Table,
    Triangular,
    sequence,
)
from samestep.core.schedules.ticks import root

UPDATE = "1 update"
DOUBLED, HALVED = StepDecay(2.0, every=UPDATE), StepDecay(0.5, every=UPDATE)
TINY = f"1/{10**320} updates"


def at(schedule: Schedule, update: int) -> float:
    return Recipe(learning_rate=schedule).plan(10**6, 1).multiplier("learning_rate", 0, update)


@pytest.mark.parametrize(
    ("schedule", "update", "expected"),
    [
        (Constant(0.0) * DOUBLED, 2000, 0.0),
        (DOUBLED * 0.0, 2000, 0.0),
        (Constant(1e200) * Constant(1e200) * 0.0, 0, 0.0),
        (Constant(1e200) * Constant(1e200) * 1e-150, 0, 1e250),
        (StepDecay(0.1, UPDATE) * DOUBLED, 2000, 0.0),
        # One factor is too small for a float and the other too large.
        (StepDecay(0.01, UPDATE) * StepDecay(100.0, UPDATE), 200, 1.0),
        (HALVED * DOUBLED, 5000, 1.0),
        (ExponentialDecay(0.5, UPDATE) * ExponentialDecay(2.0, UPDATE), 5001, 1.0),
        (MultiStepDecay(1e200, at=[UPDATE, "2 updates"]) * 1e-300, 3, 1e100),
        # Within every way to combine schedules.
        (DOUBLED * HALVED.after("3 updates").skip(UPDATE).until("1999 updates"), 1998, 4.0),
        (DOUBLED * sequence(DOUBLED, ("2000 updates", HALVED)), 4000, math.nan),
        (DOUBLED.until("2000 updates") * sequence(DOUBLED, ("2000 updates", HALVED)), 4001, 0.5),
        ((DOUBLED * 0.5).at_most(3) * 2, 5000, 6.0),
        (DOUBLED * HALVED.at_least(0.25), 2000, math.nan),
        (Constant(0.5).repeat(UPDATE, decay=2.0) * HALVED, 5000, 0.5),
        (DOUBLED.repeat("3000 updates", growth=2, decay=0.5) * HALVED.repeat("3000 updates", growth=2), 2500, 1.0),
    ],
    ids=repr,
)
def test_a_product_is_too_large_only_if_its_value_is(schedule: Schedule, update: int, expected: float) -> None:
    if math.isnan(expected):
        with pytest.raises(ValueError, match="too large for a float"):
            at(schedule, update)
    else:
        assert at(schedule, update) == pytest.approx(expected, rel=1e-14, abs=0.0)


@pytest.mark.parametrize("update", [2000, 14_001])
def test_a_product_has_its_digits_although_no_float_holds_its_factors(update: int) -> None:
    down, up = 0.7, 1.428
    product = StepDecay(down, UPDATE) * StepDecay(up, UPDATE)
    exact = (Fraction(down) * Fraction(up)) ** update
    assert abs(Fraction(at(product, update)) / exact - 1) < 2e-16


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (Normalized(TINY), 1e160),
        (StepDecay(0.5, TINY), 0.0),
        (StepDecay(1.0, TINY), 1.0),
        (ExponentialDecay(0.5, TINY), 0.0),
        (ExponentialDecay(1.0, TINY), 1.0),
        (InverseTimeDecay(1.0, TINY), 1e-320 / 4),
        (InverseTimeDecay(1.0, TINY, staircase=True), 1e-320 / 4),
        (InverseTimeDecay(0.0, TINY), 1.0),
        (InverseSqrtDecay(TINY), 1e-160 / 2),
        (Constant(0.5).repeat(TINY, decay=0.5), 0.0),
        (Constant(0.5).repeat(TINY), 0.5),
        (Triangular(TINY), 0.0),
        (LinearDecay(TINY), 0.0),
        (Table([1, 2], TINY), 2.0),
        (EpochFunction(float).after(TINY), 0.0),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_length_of_almost_nothing_has_the_value_of_its_formula(schedule: Schedule, expected: float) -> None:
    assert at(schedule, 4) == pytest.approx(expected, rel=1e-3, abs=0.0)


@pytest.mark.parametrize("growing", [StepDecay(2.0, TINY), ExponentialDecay(2.0, TINY)], ids=repr)
def test_growth_over_almost_nothing_is_too_large(growing: Schedule) -> None:
    with pytest.raises(ValueError, match="too large for a float"):
        at(growing, 4)


@given(st.integers(1, 10**40), st.integers(1, 10**40))
def test_the_root_of_a_ratio_is_that_of_the_float_nearest_to_it(p: int, q: int) -> None:
    assert root(p, q) == math.sqrt(p / q)
    # Where the ratio itself is too large or too small for a float, its root is not.
    assert root(p * 10**400, q) == pytest.approx(math.sqrt(p / q) * 1e200, rel=1e-14)
    assert root(p, q * 10**400) == pytest.approx(math.sqrt(p / q) * 1e-200, rel=1e-14)


@pytest.mark.parametrize("deep", [lambda s: s.at_least(0.1).at_most(2), lambda s: s * Constant(1.0), lambda s: 1.0 * s])
def test_a_schedule_nested_deeply_is_evaluated_and_told_in_words(deep: object) -> None:
    schedule: Schedule = LinearDecay("10 epochs", start=0.9, end=0.5)
    for _ in range(150):
        schedule = deep(schedule)  # type: ignore[operator]
    plan = Recipe(learning_rate=schedule).plan(2, 10)
    assert plan.values("learning_rate", base=1.0)[10] == 0.7
    assert repr(schedule).count("LinearDecay(") == 1
    assert "updates 1-19 (epochs 0-9): 0.9 -> 0.52, every update" in plan.explain()
    assert plan.lint() == []
