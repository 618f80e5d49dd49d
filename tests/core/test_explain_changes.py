"""The changes that explain() tells: each jump alone, whatever goes the same way around it, and not too many."""

from __future__ import annotations

import math
import re
from itertools import pairwise

import pytest
from hypothesis import given, settings

from samestep import (
    AdamW,
    Clock,
    Constant,
    CosineDecay,
    EpochFunction,
    ExponentialDecay,
    InverseTimeDecay,
    LinearDecay,
    MultiStepDecay,
    Recipe,
    Schedule,
    StepDecay,
    Table,
    Triangular,
    epochs,
    one_cycle,
    sequence,
    updates,
    warmup_stable_decay,
)

from .strategies import clocks, schedules

LINE = LinearDecay("100%")
FIVE = [epochs(1), epochs(2), epochs(3), epochs(8)]


def told(schedule: Schedule, updates_per_epoch: int = 100, epochs: int = 10) -> list[str]:
    """The changes, each as 'first..last a -> b' or, alone, as 'update a -> b', by the numbers of the run's updates."""
    lines = Recipe(learning_rate=schedule).plan(updates_per_epoch, epochs).explain().splitlines()[2:]
    changes = []
    for line in lines[1 : lines.index("possible mistakes:") if "possible mistakes:" in lines else None]:
        found = re.fullmatch(r"  updates? (\d+)(?:-(\d+))? \(.+\): (.+ -> [^,]+)(?:, every (?:update|epoch))?", line)
        changes.append(f"{'..'.join(filter(None, found.groups()[:2]))} {found[3]}" if found else line.strip())
    return changes


def test_a_drop_on_a_slope_is_told_with_both_values() -> None:
    schedule = CosineDecay("100%") * StepDecay(0.1, every=epochs(5))
    lines = Recipe(AdamW(1e-3), learning_rate=schedule).plan(391, 10).explain().splitlines()
    assert lines[2:6] == [
        "  from the start: 0.001",
        "  updates 1-1954 (epochs 0-4): 0.001 -> 0.000500402, every update",
        "  update 1955 (first update of epoch 5): 0.000500402 -> 5e-05",
        "  updates 1956-3909 (epochs 5-9): 5e-05 -> 1.61394e-11, every update",
    ]


# (schedule, what is told of it in 10 epochs of 100 updates)
TOLD: list[tuple[Schedule, list[str]]] = [
    (
        MultiStepDecay(0.1, at=FIVE),
        ["100 1 -> 0.1", "200 0.1 -> 0.01", "300 0.01 -> 0.001", "800 0.001 -> 0.0001"],
    ),
    (
        LINE * MultiStepDecay(0.1, at=[epochs(8), epochs(2)]),
        [
            "1..199 1 -> 0.801",
            "200 0.801 -> 0.08",
            "201..799 0.08 -> 0.0201",
            "800 0.0201 -> 0.002",
            "801..999 0.002 -> 1e-05",
        ],
    ),
    (
        StepDecay(0.9, every=epochs(1)) * MultiStepDecay(0.01, at=[epochs(5)]),
        ["100..400 1 -> 0.6561", "500 0.6561 -> 0.0059049", "600..900 0.0059049 -> 0.0038742"],
    ),
    (
        StepDecay(0.9, every=epochs(1)) * MultiStepDecay(0.1, at=FIVE),
        [
            "100 1 -> 0.09",
            "200 0.09 -> 0.0081",
            "300 0.0081 -> 0.000729",
            "400..700 0.000729 -> 0.000478297",
            "800 0.000478297 -> 4.30467e-05",
            "900 4.30467e-05 -> 3.8742e-05",
        ],
    ),
    # Where one part of a sequence begins below the end of the one before it, and where it begins there.
    (
        sequence(LinearDecay("3 epochs", end=0.5), ("3 epochs", LinearDecay("7 epochs", start=0.25))),
        ["1..299 1 -> 0.501667", "300 0.501667 -> 0.25", "301..999 0.25 -> 0.000357143"],
    ),
    (
        sequence(LinearDecay("3 epochs", end=0.5), ("3 epochs", LinearDecay("7 epochs", start=0.5))),
        ["1..300 1 -> 0.5", "301..999 0.5 -> 0.000714286"],
    ),
    # A slope that ends on another one, by its length, by a beginning, and by a stop.
    (LinearDecay("5 epochs", end=0.5) * LINE, ["1..500 1 -> 0.25", "501..999 0.25 -> 0.0005"]),
    (LinearDecay("2 epochs", end=0.5).after("8 epochs") * LINE, ["1..800 1 -> 0.2", "801..999 0.2 -> 0.0005025"]),
    (LinearDecay("2 epochs").until("1 epoch") * LINE, ["1..100 1 -> 0.45", "101..999 0.45 -> 0.0005"]),
    # The drops and the restarts within cycles, of which the later ones are longer.
    (
        (LinearDecay("2 epochs", end=0.5) * MultiStepDecay(0.5, at=["1 epoch"])).repeat("2 epochs", growth=2),
        [
            "1..99 1 -> 0.7525",
            "100 0.7525 -> 0.375",
            "101..199 0.375 -> 0.25125",
            "200 0.25125 -> 1",
            "201..399 1 -> 0.75125",
            "400 0.75125 -> 0.375",
            "401..599 0.375 -> 0.250625",
            "600 0.250625 -> 1",
            "601..999 1 -> 0.750625",
        ],
    ),
    (
        LinearDecay("2 epochs", end=0.9).repeat("5 epochs", decay=0.5) * LINE,
        ["1..200 1 -> 0.72", "201..499 0.72 -> 0.4509", "500 0.4509 -> 0.25", "501..999 0.25 -> 0.00045"],
    ),
    (
        LINE * Table([1.0, 1.0, 0.5], every=epochs(3)),
        ["1..599 1 -> 0.401", "600 0.401 -> 0.2", "601..999 0.2 -> 0.0005"],
    ),
    (
        LINE * InverseTimeDecay(1.0, every=epochs(5), staircase=True),
        ["1..499 1 -> 0.501", "500 0.501 -> 0.25", "501..999 0.25 -> 0.0005"],
    ),
    (
        LINE * EpochFunction(lambda epoch: 1.0 if epoch < 4 else 0.1),
        ["1..399 1 -> 0.601", "400 0.601 -> 0.06", "401..999 0.06 -> 0.0001"],
    ),
    # What changes smoothly, or by the same rule at every update or epoch, is one stretch.
    (LINE, ["1..999 1 -> 0.001"]),
    (CosineDecay("100%", k_decay=2), ["1..999 1 -> 9.8597e-06"]),
    (ExponentialDecay(0.9, every=epochs(1)), ["1..999 1 -> 0.349046"]),
    (one_cycle(), ["1..300 0.04 -> 1", "301..999 1 -> 9.03548e-06"]),
    (warmup_stable_decay(warmup="4.55%", cooldown="20%"), ["1..46 0 -> 1", "801..999 1 -> 0.005"]),
    (StepDecay(0.1, every=epochs(1)), ["100..900 1 -> 1e-09"]),
    (Table([1, 0.9, 0.5, 0.45], every=epochs(1)), ["100..300 1 -> 0.45"]),
    (LINE * StepDecay(0.9, every=updates(1)), ["1..999 1 -> 1.94208e-49"]),
    (LINE * StepDecay(0.9, every=updates(3)), ["1..999 1 -> 5.79103e-19"]),
    (LINE * StepDecay(1.0, every=epochs(1)), ["1..999 1 -> 0.001"]),
    (LINE * EpochFunction(lambda epoch: 1.0), ["1..999 1 -> 0.001"]),
]


@pytest.mark.parametrize(("schedule", "expected"), TOLD, ids=[repr(schedule) for schedule, _ in TOLD])
def test_a_stretch_ends_where_something_else_begins(schedule: Schedule, expected: list[str]) -> None:
    assert told(schedule) == expected


def test_a_run_that_counts_in_epochs_is_told_by_epoch() -> None:
    schedule = LinearDecay("10 epochs") * MultiStepDecay(0.1, at=[epochs(5)])
    assert Recipe(learning_rate=schedule).plan(epochs=10).explain().splitlines()[3:] == [
        "  epochs 1-4: 1 -> 0.6, every epoch",
        "  first update of epoch 5: 0.6 -> 0.05",
        "  epochs 6-9: 0.05 -> 0.01, every epoch",
    ]


def test_twenty_drops_are_told_and_more_are_a_staircase() -> None:
    assert len(told(LINE * StepDecay(0.9, every="1 epoch"), 10, 21)) == 41
    assert len(told(LINE * StepDecay(0.9, every="1 epoch"), 10, 22)) == 1
    # Whatever the parts that have many boundaries and little behind them.
    one = EpochFunction(lambda epoch: 1.0 if epoch < 500 else 0.1)
    assert told(LINE * one, 10, 1000)[1] == "5000 0.5001 -> 0.05"


def test_the_fiftieth_change_is_the_last_that_is_told() -> None:
    assert told(Triangular(up=updates(1)), 51, 1) == [f"{i} {1 - i % 2} -> {i % 2}" for i in range(1, 51)]
    long = Recipe(learning_rate=Triangular(up=updates(1)), weight_decay=LINE).plan(10**5, 1).explain()
    assert "  ... and 99949 more changes\n" + "weight_decay (as a multiple" in long
    assert len(long) < 5000


def test_a_part_that_begins_after_the_run_has_no_boundary() -> None:
    late = sequence(LINE, ("12 epochs", StepDecay(0.5, every="1 epoch").after("1 epoch")))
    assert told(late) == told(LINE)


@settings(deadline=None, max_examples=200, derandomize=True)
@given(schedules, clocks)
def test_every_change_is_told_once(schedule: Schedule, clock: Clock) -> None:
    """What each line begins with is what the line before it ended with, up to the run's last value."""
    plan = Recipe(learning_rate=1.0 * schedule, weight_decay=0.5 * Constant()).plan(
        clock.updates_per_epoch, clock.epochs
    )
    lines = plan.explain().splitlines()[2:]
    lines = lines[: next(i for i, line in enumerate(lines) if line.startswith("weight_decay"))]
    changes = [line.rpartition(": ")[2].partition(",")[0].split(" -> ") for line in lines if "..." not in line]
    numbers = [[float(value) for value in change] for change in changes]
    # Of two lines, the one may need more digits than the other to show its change.
    assert all(math.isclose(before[-1], after[0], rel_tol=1e-5) for before, after in pairwise(numbers))
    if len(changes) == len(lines):
        (last,) = plan.multipliers("learning_rate", 0, plan.updates())[-1:]
        assert math.isclose(numbers[-1][-1], last, rel_tol=1e-5)
