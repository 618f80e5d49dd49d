"""A plan of a billion updates is as exact as one of ten, small, and answers anywhere without counting up to there."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction

import pytest

from samestep import (
    AdamW,
    Clock,
    CosineDecay,
    EpochFunction,
    ExponentialDecay,
    InverseSqrtDecay,
    InverseTimeDecay,
    LinearDecay,
    MultiStepDecay,
    Plan,
    Ramp,
    Recipe,
    Schedule,
    StepDecay,
    Table,
    Triangular,
    Warmup,
    epochs,
    noam,
    one_cycle,
    percent,
    sequence,
    updates,
    warmup_stable_decay,
)

BILLION = 10**9
CLOCK = Clock(updates_per_epoch=10**6, epochs=1000)


def at(schedule: Schedule, number: int) -> float:
    return Plan(Recipe(learning_rate=1.0 * schedule), CLOCK).multiplier("learning_rate", *divmod(number, 10**6))


# (schedule, {update: eta})
VALUES: list[tuple[Schedule, dict[int, float]]] = [
    (
        LinearDecay("100%", end=0.5),
        {0: 1.0, 5 * 10**8: 0.75, BILLION - 1: 1 - 0.5 * (1 - 1e-9), BILLION: 0.5, BILLION + 1: 0.5},
    ),
    (
        LinearDecay("100%", end=0.5, inclusive=True),
        {BILLION - 2: 1 - 0.5 * ((BILLION - 2) / (BILLION - 1)), BILLION - 1: 0.5},
    ),
    (
        LinearDecay(updates(BILLION - 1), end=0.25),
        {BILLION - 2: float(Fraction(1, 4) + Fraction(3, 4) / (BILLION - 1)), BILLION - 1: 0.25},
    ),
    (CosineDecay("100%", end=0.5), {BILLION // 2: 0.75, BILLION - 1: 0.5, BILLION: 0.5}),
    (Warmup(updates(BILLION)), {1: 1e-9, BILLION - 1: 0.999999999, BILLION: 1.0}),
    (
        StepDecay(0.5, every=updates(333_333_333)),
        {333_333_332: 1.0, 333_333_333: 0.5, 999_999_998: 0.25, 999_999_999: 0.125},
    ),
    (
        StepDecay(0.5, every=epochs("1000/7")),
        {142_857_142: 1.0, 142_857_143: 0.5, 857_142_857: 1 / 32, 857_142_858: 1 / 64},
    ),
    (StepDecay(0.5, every=percent("0.1")), {999_999: 1.0, 10**6: 0.5, BILLION - 1: 0.5**999}),
    (
        MultiStepDecay(0.5, at=["100% - 1 update", "50%"]),
        {499_999_999: 1.0, 5 * 10**8: 0.5, BILLION - 2: 0.5, BILLION - 1: 0.25},
    ),
    (
        Table([3, 2, 1], every=updates(BILLION // 2)),
        {BILLION // 2 - 1: 3.0, BILLION // 2: 2.0, BILLION - 1: 2.0, BILLION: 1.0},
    ),
    (InverseTimeDecay(1.0, every=updates(BILLION)), {BILLION: 0.5, 3 * BILLION: 0.25}),
    (InverseSqrtDecay(updates(BILLION)), {0: 1.0, 3 * BILLION: 0.5}),
    (ExponentialDecay(0.25, every="100%"), {BILLION // 2: 0.5, BILLION: 0.25}),
    (Triangular(up=updates(2), down=updates(1)), {BILLION - 1: 0.0, BILLION: 0.5, BILLION + 1: 1.0}),
    (one_cycle(start=0.5, end=0.25, anneal="linear"), {3 * 10**8: 1.0, 65 * 10**7: 0.625, BILLION: 0.25}),
    (
        warmup_stable_decay(warmup="1 update", cooldown="2 updates"),
        {0: 0.0, 1: 1.0, BILLION - 2: 1.0, BILLION - 1: 0.5, BILLION: 0.0},
    ),
    (
        sequence(noam("1 epoch"), ("100% - 1 update", LinearDecay("1 update", end=0.5))),
        {BILLION - 1: 1.0, BILLION: 0.5},
    ),
    (EpochFunction(lambda epoch: float(epoch)), {BILLION - 1: 999.0, BILLION: 1000.0}),
    (LinearDecay(updates(3)).repeat(updates(3)), {BILLION - 1: 1.0, BILLION: 2 / 3, BILLION + 2: 1.0}),
]


@pytest.mark.parametrize(("schedule", "expected"), VALUES, ids=[repr(schedule) for schedule, _ in VALUES])
def test_values_at_the_very_end_are_exact(schedule: Schedule, expected: dict[int, float]) -> None:
    assert {number: at(schedule, number) for number in expected} == expected


@pytest.mark.parametrize("growth", ["2", "3", "1.5", "1.1", "10"])
def test_the_last_restart_before_the_end_is_at_its_update(growth: str) -> None:
    every, exact = Fraction(17, 3), Fraction(growth)
    begin = length = every
    while begin + length * exact < BILLION:
        length *= exact
        begin += length
    first = -(-begin.numerator // begin.denominator)
    schedule = Warmup(updates("17/3")).repeat(updates("17/3"), growth=float(growth))
    assert at(schedule, first - 1) > 0.5
    assert at(schedule, first) == float((first - begin) / (length * exact))


EVERY_KIND = [schedule for schedule, _ in VALUES] + [
    sequence(Warmup("1 epoch"), ("1 epoch", CosineDecay("10%").repeat("10%", growth=1.5, decay=0.5))),
    (LinearDecay("3 updates", inclusive=True).repeat("3 updates", growth=1.1) * 0.5).at_least(0.1).after("7%"),
]


@pytest.mark.parametrize("schedule", EVERY_KIND, ids=repr)
def test_a_plan_of_a_billion_updates_takes_a_few_kilobytes(schedule: Schedule) -> None:
    recipe = Recipe(AdamW(), learning_rate=schedule, weight_decay=schedule)
    Plan(recipe, CLOCK)  # what a class remembers for all its plans
    with peak_of_memory() as peak:
        plan = Plan(recipe, CLOCK)
    assert peak[0] < 16 * 1024
    with peak_of_memory() as peak:
        plan.value("learning_rate", 999, 999_999)
    assert peak[0] < 64 * 1024


@contextmanager
def peak_of_memory() -> Iterator[list[int]]:
    peak = [0]
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        yield peak
        peak[0] = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


@dataclass(frozen=True, repr=False)
class Counted(Ramp):
    """A ramp that writes down where it was asked."""

    asked: list = field(default_factory=list, compare=False)

    def between(self, tau: float, left: float) -> float:
        self.asked.append(tau)
        return 1.0


@pytest.mark.parametrize(
    "make",
    [
        lambda ramp: ramp,
        lambda ramp: ramp.after("1 epoch").until("99%"),
        lambda ramp: sequence(ramp, ("1%", ramp), ("99%", ramp)),
        lambda ramp: ramp.repeat("3 updates"),
        lambda ramp: ramp.repeat("3 updates", growth=1.5, decay=0.99),
        lambda ramp: ramp.repeat("3 updates", growth=1.1).repeat("1000 updates", growth=2),
    ],
    ids=["alone", "after", "sequence", "repeat", "growth", "nested"],
)
def test_a_value_anywhere_asks_the_shape_once(make: Callable[[Schedule], Schedule]) -> None:
    asked: list[float] = []
    plan = Plan(Recipe(learning_rate=make(Counted("200%", asked=asked))), CLOCK)
    for count, number in enumerate((BILLION - 1, 0, BILLION // 3, 7, BILLION // 2 + 1), start=1):
        plan.multiplier("learning_rate", *divmod(number, 10**6))
        assert len(asked) == count


def test_a_lint_looks_at_little_more_than_ten_thousand_of_a_billion_values() -> None:
    asked: list[float] = []
    late = StepDecay(0.5, every="100%")
    plan = Plan(Recipe(AdamW(), learning_rate=Counted("200%", asked=asked) * late), CLOCK)
    assert any(sentence.endswith("is never reached: the run ends before") for sentence in plan.lint())
    assert 10_000 < len(asked) < 15_000


def test_a_check_of_values_looks_at_a_hundred_thousand_and_at_the_last() -> None:
    asked: list[float] = []
    plan = Plan(Recipe(learning_rate=Counted("200%", asked=asked)), CLOCK)
    plan.check("learning_rate", base=1.0)
    assert asked == [number / (2 * BILLION) for number in (*range(0, BILLION, BILLION // 100_000), BILLION - 1)]
