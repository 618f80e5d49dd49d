"""What lint says of schedules whose clock begins late, stands still or is over before, of zeros, and of percentages."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from samestep import (
    AdamW,
    Constant,
    LinearDecay,
    MultiStepDecay,
    Recipe,
    Schedule,
    StepDecay,
    Table,
    Warmup,
    percent,
    sequence,
)
from samestep.core.schedules.ticks import Curve, Ticks

LATE = "is never reached: the run ends before"
PART = "is never reached: its part of the run ends before"
ONE = "LinearDecay(over=epochs(1), end=0.1)"
AT_50, AT_70 = "update 50 (first update of epoch 5)", "update 70 (first update of epoch 7)"
STAYS = "and stays there for the rest of the run"
BEGINS = "has its end value 0.1 already when it begins, from"


@dataclass(frozen=True, repr=False)
class Doubled(Schedule):
    """A schedule at twice its speed."""

    schedule: Schedule

    def curve(self, ticks: Ticks) -> Curve:
        inner = self.schedule.curve(ticks)
        return lambda t: inner(2 * t)


# (a schedule, epochs of 10 updates, its findings): clocks that begin late, stand still, or are over before.
CLOCKS: list[tuple[Schedule, int, list[str]]] = [
    (
        LinearDecay("5 epochs", end=0.1).skip("7 epochs"),
        20,
        [f"LinearDecay(over=epochs(5), end=0.1): {BEGINS} the first update on"],
    ),
    (
        sequence(Constant(0.5), ("9 epochs", LinearDecay("1 epoch", end=0.1).skip("8 epochs"))),
        5,
        [
            "sequence(Constant(value=0.5), (epochs(9), LinearDecay(over=epochs(1), end=0.1).skip(epochs(8)))): "
            f"the next schedule, after '9 epochs', {LATE}"
        ],
    ),
    (
        sequence(Constant(0.5), ("3 epochs", LinearDecay("1 epoch", end=0.1).skip("8 epochs"))),
        5,
        [f"LinearDecay(over=epochs(1), end=0.1): {BEGINS} update 30 (first update of epoch 3) on"],
    ),
    (
        LinearDecay("2 epochs", end=0.1).skip("3 epochs").after("6 epochs"),
        4,
        [
            "LinearDecay(over=epochs(2), end=0.1).skip(epochs(3)).after(epochs(6)): its beginning, after '6 epochs', "
            f"{LATE}",
            f"LinearDecay(over=epochs(2), end=0.1): {BEGINS} the first update on",
        ],
    ),
    (
        LinearDecay("2 epochs", end=0.1).skip("1 epoch").after("6 epochs"),
        10,
        [f"LinearDecay(over=epochs(2), end=0.1): reaches its end value 0.1 at {AT_70} {STAYS}"],
    ),
    # A clock that `until` stops at the end is meant to.
    (LinearDecay("5 epochs", end=0.1).until("5 epochs"), 10, []),
    (
        LinearDecay("5 epochs", end=0.1).until("6 epochs"),
        10,
        [f"LinearDecay(over=epochs(5), end=0.1): reaches its end value 0.1 at {AT_50} {STAYS}"],
    ),
    (
        LinearDecay("5 epochs", end=0.1).until("49 updates"),
        10,
        ["LinearDecay(over=epochs(5), end=0.1): its end lies after its part of the run, 0.1 is never reached"],
    ),
    # A drop that lies before the first use is over; one that the clock stops before never comes.
    (StepDecay(0.5, every="4 epochs").skip("9 epochs"), 3, []),
    (
        MultiStepDecay(0.5, at=["4 epochs", "9 epochs"]).skip("8 epochs").until("5 updates"),
        3,
        [f"MultiStepDecay(factor=0.5, at=(epochs(4), epochs(9))): the drop, after '9 epochs', {PART}"],
    ),
    # A value that is the end's all along, and one that rounds to it.
    (LinearDecay("20 epochs", start=0.5, end=0.5), 10, []),
    # Cycles of which each begins with the end.
    (LinearDecay("1 epoch", end=0.1).skip("1 epoch").repeat("2 epochs"), 10, [f"{ONE}: {BEGINS} the first update on"]),
    (
        sequence(Constant(0.5), ("1 epoch", LinearDecay("1 epoch", end=0.1).skip("9 updates").repeat("2 epochs"))),
        4,
        [f"{ONE}: reaches its end value 0.1 at update 31 (update 1 of epoch 3) {STAYS}"],
    ),
    # The last cycle's end counts, and a drop that any cycle reaches is reached.
    (
        LinearDecay("2 epochs", end=0.1).repeat("5 epochs"),
        10,
        [f"LinearDecay(over=epochs(2), end=0.1): reaches its end value 0.1 at {AT_70} {STAYS}"],
    ),
    (StepDecay(0.5, every="3.25 updates").repeat("3.75 updates"), 10, []),
    (
        StepDecay(0.5, every="3.75 updates").repeat("3.75 updates"),
        10,
        [f"StepDecay(factor=0.5, every=updates('3.75')): the first drop, after '3.75 updates', {PART}"],
    ),
    # Nobody knows what a shape of one's own does with the time of another.
    (Doubled(StepDecay(0.5, every="15 epochs")), 10, []),
]


@pytest.mark.parametrize(("schedule", "epochs", "expected"), CLOCKS, ids=[repr(schedule) for schedule, *_ in CLOCKS])
def test_ends_and_drops_are_those_of_the_parts_own_clock(schedule: Schedule, epochs: int, expected: list[str]) -> None:
    found = Recipe(AdamW(0.5), learning_rate=schedule).plan(10, epochs).lint()
    assert found == [f"learning_rate: {sentence}" for sentence in expected]


def test_rates_that_underflow_within_the_run_are_found_in_float32_of_the_value() -> None:
    schedule = StepDecay(0.1, "1 epoch")
    (found,) = Recipe(AdamW(1e-3, 0.1), learning_rate=schedule).plan(1, 60).lint()
    assert found == (
        "learning_rate: updates 43-59 (epochs 43-59), the last ones, have the value 0 in float32 and change no weight: "
        "bound the schedule with .at_least(...)"
    )
    assert Recipe(AdamW(1e-3, 0.1), learning_rate=schedule).plan(1, 43).lint() == []
    assert Recipe(AdamW(1.0, 0.1), learning_rate=schedule).plan(1, 46).lint() == []


def test_an_update_without_a_learning_rate_decays_the_weights_if_the_decay_does_not_depend_on_it() -> None:
    spec = AdamW(0.5, 0.1, weight_decay_basis="update")
    schedule = MultiStepDecay(0, at=["90 updates"])
    assert Recipe(spec, learning_rate=schedule).plan(10, 10).lint() == [
        "learning_rate: updates 90-99 (epoch 9), the last ones, have the value 0 and only decay the weights: "
        "end above 0"
    ]


def test_zeros_of_epochs_of_unknown_length_are_told_by_epoch() -> None:
    def found(schedule: Schedule) -> list[str]:
        return Recipe(AdamW(), learning_rate=schedule).plan(epochs=10).lint()

    assert found(Table([0, 1], every="1 epoch")) == [
        "learning_rate: epoch 0 has the value 0 and changes no weight: let the schedule start above 0"
    ]
    assert found(Table([1, 0, 0, 1], every="1 epoch")) == [
        "learning_rate: epochs 1-2 have the value 0 and change no weight"
    ]


def test_at_most_twenty_stretches_of_zeros_are_told() -> None:
    zeros = Table([1, 0, 0], every="1 update").repeat("3 updates")
    found = Recipe(AdamW(), learning_rate=zeros).plan(100, 1).lint()
    assert found[0] == "learning_rate: updates 1-2 (epoch 0) have the value 0 and change no weight"
    assert len(found) == 21
    assert found[-1] == "learning_rate: after update 59, there are more that have the value 0"


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (
            Warmup(percent(0.05), start=0.1),
            ["percent('0.05') is 0.05 % of the run: write percent(5) if 5 % is meant"],
        ),
        (
            Warmup(percent("1/3"), start=0.1).after("0.3%").until("30%"),
            [
                "percent('1/3') is 1/3 % of the run: write percent('100/3') if 100/3 % is meant",
                "percent('0.3') is 0.3 % of the run: write percent(30) if 30 % is meant",
            ],
        ),
        (Warmup(percent(1), start=0.1), []),
        (Warmup("5 epochs - 0.5%", start=0.1), []),
        (Warmup(percent(0), start=0.1), []),
    ],
    ids=repr,
)
def test_a_percentage_below_1_may_be_meant_as_a_fraction(schedule: Schedule, expected: list[str]) -> None:
    found = Recipe(AdamW(), learning_rate=schedule).plan(1000, 10).lint()
    assert [sentence for sentence in found if "meant" in sentence] == [f"learning_rate: {each}" for each in expected]
