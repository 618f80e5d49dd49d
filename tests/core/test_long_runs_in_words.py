"""A run of two hundred million updates in words: in a moment, in little memory, and at the very updates."""

from __future__ import annotations

import re
import tracemalloc
from dataclasses import dataclass, field

import pytest

from samestep import (
    AdamW,
    CosineDecay,
    EpochFunction,
    ExponentialDecay,
    LinearDecay,
    MultiStepDecay,
    Plan,
    Ramp,
    Recipe,
    Schedule,
    Triangular,
    Warmup,
    epochs,
    sequence,
    updates,
)
from samestep.core.schedules.ticks import Curve, Ticks

LINE = LinearDecay("100%", end=0.5)


def plan(schedule: Schedule) -> Plan:
    return Recipe(learning_rate=schedule).plan(updates_per_epoch=2_000_000, epochs=100)


def told(schedule: Schedule) -> list[str]:
    lines = plan(schedule).explain().splitlines()[3:]
    end = lines.index("possible mistakes:") if "possible mistakes:" in lines else len(lines)
    return [re.sub(r" \(.+?\)", "", line.strip()) for line in lines[:end]]


@dataclass(frozen=True, repr=False)
class Jumps(Schedule):
    """A shape of one's own that is not known to jump."""

    def curve(self, ticks: Ticks) -> Curve:
        jump = 123_456_789 * ticks.scale
        return lambda t: 1.0 if t < jump else 0.5


@dataclass(frozen=True, repr=False)
class Steps(Schedule):
    """A staircase of one's own."""

    def curve(self, ticks: Ticks) -> Curve:
        step = 1000 * ticks.scale
        return lambda t: 1.0 - t // step * 2.5e-6


@dataclass(frozen=True, repr=False)
class Counted(Ramp):
    """A ramp that writes down where it was asked."""

    asked: list[float] = field(default_factory=list, compare=False)

    def between(self, tau: float, left: float) -> float:
        self.asked.append(tau)
        return left


# (schedule, what is told of it in 100 epochs of 2,000,000 updates)
TOLD: list[tuple[Schedule, list[str]]] = [
    (
        sequence(Warmup("1000 updates", start=0.5), ("1000 updates", LinearDecay("100% - 1000 updates"))),
        ["updates 1-1000: 0.5 -> 1, every update", "updates 1001-199999999: 1 -> 5.00003e-09, every update"],
    ),
    (
        LINE * MultiStepDecay(0.1, at=[updates(77_777_777), epochs(99)]),
        [
            "updates 1-77777776: 1 -> 0.805556, every update",
            "update 77777777: 0.805556 -> 0.0805556",
            "updates 77777778-197999999: 0.0805556 -> 0.0505, every update",
            "update 198000000: 0.0505 -> 0.00505",
            "updates 198000001-199999999: 0.00505 -> 0.005, every update",
        ],
    ),
    # A stretch begins and ends between updates that are looked at.
    (
        LinearDecay("33333333 updates", end=0.25).after("12345678 updates").at_least(0.5),
        ["updates 12345679-34567900: 1 -> 0.5, every update"],
    ),
    (LINE.at_least(0.9), ["updates 1-40000000: 1 -> 0.9, every update"]),
    (
        EpochFunction(lambda epoch: 1.0 if epoch < 50 else 0.5) * LINE,
        [
            "updates 1-99999999: 1 -> 0.75, every update",
            "update 100000000: 0.75 -> 0.375",
            "updates 100000001-199999999: 0.375 -> 0.25, every update",
        ],
    ),
    (
        Triangular("70 epochs", start=0.1),
        [
            "updates 1-140000000: 0.1 -> 1, every update",
            "updates 140000001-199999999: 1 -> 0.614286, every update",
        ],
    ),
    # A jump of a shape that is not known to jump.
    (Jumps(), ["update 123456789: 1 -> 0.5"]),
    # What changes in more steps than are looked at does not change at every update.
    (Steps(), ["updates 1000-199999000: 1 -> 0.500002, in steps"]),
]


@pytest.mark.parametrize(("schedule", "expected"), TOLD, ids=[repr(schedule) for schedule, _ in TOLD])
def test_the_changes_are_told_at_their_very_updates(schedule: Schedule, expected: list[str]) -> None:
    assert told(schedule) == expected


def test_the_first_fifty_changes_of_many_cycles_are_told() -> None:
    found = told(CosineDecay("1001 updates").repeat("1001 updates"))
    assert found[:50:2] == [
        f"updates {n * 1001 + 1}-{n * 1001 + 1000}: 1 -> 2.46247e-06, every update" for n in range(25)
    ]
    assert found[1:50:2] == [f"update {n * 1001}: 2.46247e-06 -> 1" for n in range(1, 26)]
    assert re.fullmatch(r"\.\.\. and at least \d+ more changes", found[50])


def test_zeros_are_found_at_their_very_updates() -> None:
    schedule = sequence(LinearDecay("12345678 updates"), ("12345700 updates", ExponentialDecay(1e-3, every="4 epochs")))
    found = [each.partition(": ")[2] for each in plan(schedule).lint() if "the value 0" in each]
    # 1e-3 ** (t / 8e6) rounds to 0 in float32 from 2 ** -150 on: t = 8e6 * 150 * log(2) / log(1000) = 120411998.27.
    assert found == [
        "updates 12345678-12345699 (epoch 6) have the value 0 and change no weight",
        "updates 132757699-199999999 (epochs 66-99), the last ones, have the value 0 in float32 and change no weight: "
        "bound the schedule with .at_least(...)",
    ]


def test_two_long_plans_are_compared_at_the_very_update() -> None:
    ours, theirs = plan(LINE * 1.0), plan(LINE.at_least(0.9))
    assert ours.diff(theirs) == (
        "learning_rate: the first difference is at update 40000001 (update 1 of epoch 20): 0.899999997 and 0.9; "
        "furthest apart near update 199999999 (update 1999999 of epoch 99): 0.5 and 0.9"
    )
    assert plan(LINE).diff(plan(LINE)) == ""


def test_a_long_run_is_looked_at_here_and_there_and_in_little_memory() -> None:
    asked: list[float] = []
    recipe = Recipe(AdamW(1e-3), learning_rate=Counted("100%", asked=asked), momentum=LINE)
    for of_words in (Plan.lint, Plan.explain):
        asked.clear()
        tracemalloc.start()
        try:
            of_words(recipe.plan(updates_per_epoch=2_000_000, epochs=100))
            assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
        finally:
            tracemalloc.stop()
        assert 10_000 < len(asked) < 40_000


def test_what_a_long_run_takes_off_a_weight_is_summed_between_the_updates_that_are_looked_at() -> None:
    # The sum of 1e-8 * (1 - n / 2e8) for n from 0 on, over the first 2e6 and all 2e8 updates: 0.0199 and 1.
    text = Recipe(AdamW(1e-6, 0.01), learning_rate=LinearDecay("100%")).plan(2_000_000, 100).explain()
    assert "  by about 1.97 % in the first epoch, by about 63.2 % in the run" in text.splitlines()
