"""A difference of durations that is zero in a run: a time like any other, and a ramp's length, but no other length."""

from __future__ import annotations

import re

import pytest

from samestep import (
    Constant,
    CosineDecay,
    ExponentialDecay,
    InverseSqrtDecay,
    InverseTimeDecay,
    LinearDecay,
    MultiStepDecay,
    PolynomialDecay,
    Recipe,
    RexDecay,
    Schedule,
    StepDecay,
    Table,
    TanhDecay,
    Triangular,
    Warmup,
    percent,
    sequence,
    updates,
)

from .measures import per_update

NOTHING = percent(40) - updates(8)  # of the run of 20 updates of `per_update` here
LINE = LinearDecay(updates(4))

# (schedule, eta at updates 0, 1, 2 ... of a run of 4 updates in each of 5 epochs)
VALUES: list[tuple[Schedule, list[float]]] = [
    (LINE.after(NOTHING), [1.0, 0.75, 0.5]),
    (LINE.until(NOTHING), [1.0, 1.0, 1.0]),
    (sequence(Constant(3), (NOTHING, LINE)), [1.0, 0.75, 0.5]),
    (sequence(Constant(3), (NOTHING, Constant(2)), (NOTHING, LINE), (updates(2), Constant(5))), [1.0, 0.75, 5.0]),
    (MultiStepDecay(0.5, at=[NOTHING, updates(2)]), [0.5, 0.5, 0.25]),
    (StepDecay(0.5, every=updates(2), first=NOTHING), [0.5, 0.5, 0.25]),
    # A ramp over it has its end value at once.
    *((shape(NOTHING, end=0.25), [0.25] * 3) for shape in (LinearDecay, PolynomialDecay, CosineDecay)),
    *((shape(NOTHING, end=0.25), [0.25] * 3) for shape in (TanhDecay, RexDecay)),
    (LinearDecay(NOTHING, end=0.25, inclusive=True), [0.25] * 3),
    (Warmup(NOTHING), [1.0] * 3),
    (Warmup(NOTHING, start=0.5) * LINE.after(NOTHING), [1.0, 0.75, 0.5]),
    (LinearDecay(NOTHING, end=0.25).repeat(updates(2), growth=2, decay=0.5), [0.25, 0.25] + [0.125] * 4 + [0.0625]),
]


@pytest.mark.parametrize(("schedule", "expected"), VALUES, ids=[repr(schedule) for schedule, _ in VALUES])
def test_values_at_each_update(schedule: Schedule, expected: list[float]) -> None:
    assert per_update(schedule, len(expected), updates_per_epoch=4, epochs=5) == expected


LENGTHS: list[Schedule] = [
    StepDecay(0.5, every=NOTHING),
    ExponentialDecay(0.5, every=NOTHING),
    InverseTimeDecay(0.5, every=NOTHING),
    InverseTimeDecay(0.5, every=NOTHING, staircase=True),
    InverseSqrtDecay(NOTHING),
    Triangular(NOTHING),
    Triangular(updates(1), down=NOTHING),
    Table([1, 0.5], every=NOTHING),
    Constant().repeat(NOTHING),
    Constant().repeat(NOTHING, growth=2),
]


@pytest.mark.parametrize("schedule", LENGTHS, ids=repr)
def test_a_length_of_zero_is_refused_when_planned(schedule: Schedule) -> None:
    words = (
        "the learning_rate schedule: '40% - 8 updates' is zero in this run, where a length is needed; make the run "
        "longer."
    )
    recipe = Recipe(learning_rate=schedule)
    with pytest.raises(ValueError, match=f"^{re.escape(words)}$"):
        recipe.plan(updates_per_epoch=4, epochs=5)
    assert recipe.plan(updates_per_epoch=4, epochs=6).multiplier("learning_rate", 0) >= 0
    with pytest.raises(ValueError, match="is -8/5 updates in this run, and cannot be used as a duration"):
        recipe.plan(updates_per_epoch=4, epochs=4)
