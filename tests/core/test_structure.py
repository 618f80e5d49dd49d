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
    (MultiStepDecay(0.5, at=["1 update"]).repeat("2 updates").repeat("5 epochs"), [*range(1, 100)]),
    (MultiStepDecay(0.5, at=["0.1 updates"]).repeat("0.2 updates"), [*range(1, 100)]),  # most cycles have no update
    # What is over before the part begins, and a clock that stands.
    (LinearDecay("5 epochs").skip("7 epochs"), []),
    (LinearDecay("2 epochs").skip("1 epoch").after("6 epochs"), [60, 70]),
    (sequence(HALF, ("11 epochs", LinearDecay("1 epoch").skip("8 epochs"))), []),
    (StepDecay(0.5, every="1 epoch").skip("5.5 epochs").until("2 epochs"), [5, 15, 20]),
    (StepDecay(0.5, every="1 epoch").until("2 epochs").skip("5 epochs"), []),
    (StepDecay(0.5, every="4 epochs").repeat("5 epochs").skip("93 epochs"), [10, 20, 60, 70]),
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
    found = list(parts(whole, CLOCK, TOTAL))
    assert [(part.schedule, part.place, -part.shift, part.first, part.last) for part in found] == [
        (whole, (), 0, 0, 99),
        (HALF, (0,), 0, 0, 25),
        (cycles, (1,), Fraction("25.5"), 26, 99),
        (cosine, (1, 0), Fraction("25.5"), 26, 40),
        (cosine, (1, 0), Fraction("40.5"), 41, 55),
        (cosine, (1, 0), Fraction("55.5"), 56, 70),
        (cosine, (1, 0), Fraction("70.5"), 71, 85),
        (cosine, (1, 0), Fraction("85.5"), 86, 99),
    ]
    assert all(part.certain for part in found)
    # Of more cycles than are looked at, the first ones and the last.
    assert [(part.first, part.certain) for part in parts(whole, CLOCK, TOTAL, cycles=1)][3:] == [
        (26, False),
        (86, False),
    ]
    # After one that may have begun before, each other one is like the next.
    assert [(part.first, part.certain) for part in parts(whole, CLOCK, TOTAL, cycles=2)][3:] == [
        (26, True),
        (41, True),
        (86, True),
    ]
    growing = cosine.repeat("15 updates", growth=1.5)
    assert [(part.first, part.certain) for part in parts(growing, CLOCK, TOTAL, 1)] == [(0, True), (0, False)]
    tiny = HALF.repeat(updates(1e-300), growth=1.01)
    assert [(part.first, part.last, part.certain) for part in parts(tiny, CLOCK, TOTAL)][1:] == [(0, 0, False)]
