"""Where the parts of a schedule lie in a run, and at which updates they begin, end, drop or restart."""

from __future__ import annotations

from fractions import Fraction

import pytest

from samestep import (
    Clock,
    Constant,
    CosineDecay,
    EpochFunction,
    InverseTimeDecay,
    LinearDecay,
    MultiStepDecay,
    Schedule,
    StepDecay,
    Table,
    Triangular,
    Warmup,
    epochs,
    sequence,
    updates,
)
from samestep.core.schedules.timeline import boundaries, parts

CLOCK, TOTAL = Clock(10, 10), 100
HALF = Constant(0.5)

# (schedule, the updates of its boundaries in 10 epochs of 10 updates)
BOUNDARIES: list[tuple[Schedule, list[int]]] = [
    (HALF, []),
    (Triangular(up=updates(3)), []),
    (CosineDecay("5 epochs"), [50]),
    (CosineDecay("5 epochs", inclusive=True), [49]),
    (CosineDecay("50.5 updates"), [51]),
    (CosineDecay("100%", inclusive=True), [99]),
    (CosineDecay("100%"), []),
    (Warmup("1 epoch") * MultiStepDecay(0.5, at=["90%", "3 epochs", "11 epochs"]), [10, 30, 90]),
    (HALF.after("2 epochs").until("7 epochs"), [20, 70]),
    (HALF.until("7 epochs").after("2 epochs"), [20, 90]),
    (StepDecay(0.5, every="4 epochs").skip("3 epochs"), [10, 50, 90]),
    (CosineDecay("5 epochs").skip("1 epoch"), [40]),
    (HALF.until("9 epochs").after("2 epochs"), [20]),
    (StepDecay(0.5, every=epochs("3.05")), [31, 61, 92]),
    (StepDecay(0.5, every=epochs(4), first=updates(3)), [3, 43, 83]),
    (StepDecay(0.5, every=epochs(4), first=updates(0)).after("1 epoch"), [10, 50, 90]),
    (InverseTimeDecay(1.0, every=epochs(4), staircase=True), [40, 80]),
    (InverseTimeDecay(1.0, every=epochs(4)), []),
    (Table([1, 2, 3], every=updates(7)), [7, 14]),
    (EpochFunction(float), [10, 20, 30, 40, 50, 60, 70, 80, 90]),
    (sequence(StepDecay(0.5, every="2 epochs"), ("5 epochs", StepDecay(0.5, every="2 epochs"))), [20, 40, 50, 70, 90]),
    ((0.5 * CosineDecay("2 epochs")).at_least(0.1).repeat("3 epochs"), [20, 30, 50, 60, 80, 90]),
    # Cycles begin at 0, 20 and 50 and, before the end, in cycles of 20, 30 and 45 updates, the drop at a quarter.
    (MultiStepDecay(0.5, at=["5 updates"]).repeat("20 updates", growth=1.5), [5, 20, 28, 50, 62, 95]),
    # An inclusive end is one update before its length, in a grown cycle too: 3, 6, 12, 24 and 48 updates long.
    (LinearDecay("3 updates", inclusive=True).repeat("3 updates", growth=2), [2, 3, 8, 9, 20, 21, 44, 45, 92, 93]),
    (MultiStepDecay(0.5, at=["1 update"]).repeat("2 updates").repeat("5 epochs"), [1, 50, 51]),  # more than 20 cycles
    (StepDecay(0.5, every=updates(1e-30)), []),
]


@pytest.mark.parametrize(("schedule", "expected"), BOUNDARIES, ids=[repr(schedule) for schedule, _ in BOUNDARIES])
def test_the_boundaries_of_all_parts(schedule: Schedule, expected: list[int]) -> None:
    assert sorted(set().union(*boundaries(schedule, CLOCK, TOTAL, 1))) == expected


def test_drops_at_every_point_of_the_grid_are_no_boundaries() -> None:
    stairs = StepDecay(0.5, every="1 epoch") * EpochFunction(float) * Table([1, 2, 3], every="1 epoch")
    assert set().union(*boundaries(stairs, CLOCK, TOTAL, 10)) == set()
    assert set().union(*boundaries(StepDecay(0.5, every="2 epochs"), CLOCK, TOTAL, 10)) == {2, 4, 6, 8}
    assert set().union(*boundaries(StepDecay(0.5, every="2 epochs"), Clock(epochs=10), 10, 1)) == {2, 4, 6, 8}


def test_the_parts_are_told_from_the_outside_in_with_their_time() -> None:
    cosine = CosineDecay("2 epochs")
    cycles = cosine.repeat("15 updates")
    whole = sequence(HALF, ("25.5 updates", cycles))
    assert [(schedule, begin, last) for schedule, _, begin, last in parts(whole, CLOCK, TOTAL, cycles=9)] == [
        (whole, 0, 99),
        (HALF, 0, 25),
        (cycles, Fraction("25.5"), 99),
        *(
            (cosine, begin, min(begin + Fraction("14.5"), 99))
            for begin in map(Fraction, (25.5, 40.5, 55.5, 70.5, 85.5))
        ),
    ]
    of_one = [part.schedule for part in parts(whole, CLOCK, TOTAL)]
    assert of_one == [whole, HALF, cycles, cosine]
