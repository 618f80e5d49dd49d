"""Warm restarts: where cycles begin, against arithmetic that shares nothing with the core's."""

from __future__ import annotations

import math
from bisect import bisect_right
from fractions import Fraction
from random import Random

import pytest

from samestep import (
    AdamW,
    Constant,
    CosineDecay,
    EpochFunction,
    LinearDecay,
    MultiStepDecay,
    Plan,
    Recipe,
    Schedule,
    StepDecay,
    Table,
    Triangular,
    Warmup,
    epochs,
    percent,
    sequence,
    updates,
)

from .measures import per_update

LINE = LinearDecay(over=updates(4))
STAIRS = StepDecay(0.5, every=updates(2))

# (schedule, eta at updates 0, 1, 2 ... of a run of 3 updates in each of 4 epochs)
VALUES = [
    (LINE.repeat(updates(4)), [1.0, 0.75, 0.5, 0.25] * 3),
    (LINE.repeat(updates(4), decay=0.5), [1.0, 0.75, 0.5, 0.25, 0.5, 0.375, 0.25, 0.125, 0.25, 0.1875]),
    (LINE.repeat(updates(4), decay=0.0), [1.0, 0.75, 0.5, 0.25] + [0.0] * 8),
    (LINE.repeat(updates(2), growth=2), [1.0, 0.75, 1.0, 0.875, 0.75, 0.625, 1.0, 0.9375]),
    (LINE.repeat(updates(4), growth=2, decay=0.5), [1.0, 0.75, 0.5, 0.25] + [0.5 - k / 16 for k in range(8)] + [0.25]),
    (LINE.repeat(updates(6)), [1.0, 0.75, 0.5, 0.25, 0.0, 0.0] * 2),
    (LINE.repeat(epochs(1)), [1.0, 0.75, 0.5] * 4),
    (LINE.repeat(percent(50)), [1.0, 0.75, 0.5, 0.25, 0.0, 0.0] * 2),
    (LINE.repeat(epochs(1) + updates(1)), [1.0, 0.75, 0.5, 0.25] * 3),
    # Begin at 0, 2.5, 5, 7.5: update 3 is half an update into the second cycle.
    (LINE.repeat(updates("2.5")), [1.0, 0.75, 0.5, 0.875, 0.625, 1.0, 0.75, 0.5, 0.875, 0.625]),
    (LINE.repeat(updates("2.5"), growth=3), [1.0, 0.75, 0.5] + [left / 24 for left in range(23, 9, -2)] + [1.0]),
    # Several cycles within an update.
    (Constant().repeat(updates("0.25"), decay=0.5), [1.0, 0.0625, 0.00390625]),
    (STAIRS.repeat(updates(5)), [1.0, 1.0, 0.5, 0.5, 0.25] * 2),
    (STAIRS.repeat(updates(3), growth=2), [1.0, 1.0, 0.5] + [1.0] * 4 + [0.5] * 2 + [1.0] * 8 + [0.5] * 4 + [1.0]),
    (MultiStepDecay(0.5, at=[updates(1)]).repeat(updates(2), growth=2), [1.0, 0.5, 1.0, 1.0, 0.5, 0.5] + [1.0] * 4),
    (Table([3, 1, 2], every=updates(1)).repeat(updates(3)), [3.0, 1.0, 2.0] * 3),
    (
        Table([3, 1, 2], every=updates(1)).repeat(updates(3), growth=2),
        [3.0, 1.0, 2.0] + [3.0] * 2 + [1.0] * 2 + [2.0] * 2,
    ),
    (EpochFunction(lambda epoch: float(epoch)).repeat(epochs(2)), ([0.0] * 3 + [1.0] * 3) * 2),
    (EpochFunction(lambda epoch: float(epoch)).repeat(epochs(1), growth=2), [0.0] * 9 + [0.0] * 12),
    (EpochFunction(lambda e, eta: eta * 0.5 if e else eta).repeat(epochs(2)), ([1.0] * 3 + [0.5] * 3) * 2),
    (sequence(Warmup(updates(2)), (updates(2), LINE)).repeat(updates(4)), [0.0, 0.5, 1.0, 0.75] * 3),
    (
        sequence(Constant(3), (updates(1), LINE)).repeat(updates(2), growth=2),
        [3.0, 1.0, 3.0, 3.0, 1.0, 0.875, 3.0, 3.0, 3.0, 3.0, 1.0, 0.9375, 0.875, 0.8125],
    ),
    (LINE.repeat(updates(2)).repeat(updates(5)), [1.0, 0.75, 1.0, 0.75, 1.0] * 2),
    # The inner cycles grow with the outer one, and begin again in each.
    (LINE.repeat(updates(1), growth=2).repeat(updates(3), growth=2), [1.0, 1.0, 0.875, 1.0, 0.875, 1.0, 0.9375, 0.875]),
    (
        LINE.repeat(updates(2), decay=0.5).repeat(updates(4), decay=0.5),
        [1.0, 0.75, 0.5, 0.375, 0.5, 0.375, 0.25, 0.1875],
    ),
    (LINE.repeat(updates(4)).after(updates(2)), [1.0, 1.0, 1.0, 0.75, 0.5, 0.25, 1.0]),
    (LINE.after(updates(2)).repeat(updates(5)), [1.0, 1.0, 1.0, 0.75, 0.5] * 2),
    (LINE.repeat(updates(4)).until(updates(6)), [1.0, 0.75, 0.5, 0.25, 1.0, 0.75, 0.5, 0.5, 0.5]),
    (Triangular(up=updates(1)).repeat(updates(2), growth=2), [0.0, 1.0, 0.0, 0.5, 1.0, 0.5, 0.0, 0.25]),
    # exp_range counts updates, however long the cycle.
    (
        Triangular(up=updates(1), mode="exp_range", gamma=0.5).repeat(updates(2), growth=2),
        [0, 0.5, 0, 0.25, 0.25, 0.0625],
    ),
]


@pytest.mark.parametrize(("schedule", "expected"), VALUES, ids=[repr(schedule) for schedule, _ in VALUES])
def test_values_at_each_update(schedule: Schedule, expected: list[float]) -> None:
    assert per_update(schedule, len(expected), updates_per_epoch=3, epochs=4) == expected


def begins(every: Fraction, growth: Fraction, until: int) -> list[Fraction]:
    """Where cycles begin, added up one after the other."""
    found, length = [Fraction(0)], every
    while found[-1] <= until:
        found.append(found[-1] + length)
        length *= growth
    return found


def cycle_numbers(every: Fraction, growth: Fraction, at: list[int]) -> list[int]:
    found = begins(every, growth, max(at))
    return [bisect_right(found, t) - 1 for t in at]


GROWTHS = [
    (10, "3"),
    (10, "10"),
    (7, "1.5"),
    (1, "2"),
    ("2.5", "1.5"),
    ("1/3", "3"),
    (50, "1.1"),
    (10**7, "1.01"),
    (123, "1.25"),
    (3, "7.3"),
]


@pytest.mark.parametrize(("every", "growth"), GROWTHS)
def test_every_cycle_begins_at_the_first_update_at_or_after_its_time(every: str | int, growth: str) -> None:
    """At each boundary up to 10**9 updates: the update before it and the one that it takes effect at."""
    exact = begins(Fraction(every), Fraction(growth), 10**9)
    firsts = [math.ceil(begin) for begin in exact if 1 < begin < 10**9]
    assert len(firsts) >= 8
    at = sorted({t for first in firsts for t in (first - 1, first, first + 1)} | {0, 10**9})
    # The number of the cycle is what a decay of 2 counts.
    schedule = Constant().repeat(updates(every), growth=float(growth), decay=2.0)
    plan = Recipe(learning_rate=schedule).plan(updates_per_epoch=1000, epochs=10**6)
    found = [plan.multiplier("learning_rate", *divmod(t, 1000)) for t in at]
    assert [math.log2(eta) for eta in found] == cycle_numbers(Fraction(every), Fraction(growth), at)


@pytest.mark.parametrize(
    ("growth", "at", "number"),
    [
        # Begins 10 * (3 ** n - 1) / 2: log(243, 3) is 4.999999999999999 in floats.
        (3, [1209, 1210, 1211, 3639, 3640], [4, 5, 5, 5, 6]),
        # Begins 10 * (10 ** n - 1) / 9: log(1000, 10) is 2.9999999999999996 in floats.
        (10, [1109, 1110, 1111, 11109, 11110], [2, 3, 3, 3, 4]),
        (5, [309, 310, 1559, 1560], [2, 3, 3, 4]),
        (2, [9, 10, 29, 30, 69, 70], [0, 1, 1, 2, 2, 3]),
        (1, [9, 10, 19, 20, 1209, 1210], [0, 1, 1, 2, 120, 121]),
    ],
)
def test_the_restarts_that_logarithms_miss(growth: int, at: list[int], number: list[int]) -> None:
    schedule = Constant().repeat(updates(10), growth=growth, decay=0.5)
    etas = schedule.preview(epochs=max(at) + 1, updates_per_epoch=1)
    assert [etas[t] for t in at] == [0.5**n for n in number]


@pytest.mark.parametrize("growth", [1e9, 1e150, 1e300])
@pytest.mark.parametrize("every", ["1/3", "1e-30", "7"])
def test_a_growth_may_be_as_large_as_a_float_holds(every: str, growth: float) -> None:
    length = updates(Fraction(every))
    plan = Recipe(learning_rate=Constant().repeat(length, growth=growth, decay=0.5)).plan(10**9, 2)
    exact = begins(length.updates, Fraction(repr(growth)), 10**9)
    for t in (0, 1, 7, 8, 10**9):
        assert plan.multiplier("learning_rate", 0, t) == 0.5 ** (bisect_right(exact, t) - 1)


@pytest.mark.parametrize("growth", [2, 3, 10, 1.5])
def test_a_cycle_that_begins_a_hair_after_an_update_does_not_begin_at_it(growth: float) -> None:
    # The second cycle begins 1e-16 after update 10, too little for a float to tell: update 11 is its first.
    every = updates("10.0000000000000001")
    plan = Recipe(learning_rate=Constant().repeat(every, growth=growth, decay=0.5)).plan(updates_per_epoch=1)
    assert [plan.multiplier("learning_rate", t) for t in (11, 10, 11, 9)] == [0.5, 1.0, 0.5, 1.0]


@pytest.mark.parametrize(("every", "growth"), GROWTHS)
def test_a_value_within_a_cycle_is_that_of_the_stretched_shape(every: str | int, growth: str) -> None:
    schedule = LinearDecay(over=updates(every)).repeat(updates(every), growth=float(growth))
    plan = Recipe(learning_rate=schedule).plan(updates_per_epoch=1000, epochs=10**6)
    exact, length = begins(Fraction(every), Fraction(growth), 10**9), Fraction(every)
    random = Random(0)
    for t in sorted(random.sample(range(1000), 50)) + sorted(random.sample(range(10**9), 50)):
        n = bisect_right(exact, t) - 1
        left = 1 - (t - exact[n]) / (length * Fraction(growth) ** n)
        assert plan.multiplier("learning_rate", *divmod(t, 1000)) == float(left)  # rounded once, as integers divide


@pytest.mark.parametrize("growth", [1, 1.1, 1.5, 2, 3, 10])
def test_any_order_of_asking_gives_the_same_bits(growth: float) -> None:
    shape = sequence(Warmup(updates(2)), (updates(2), CosineDecay(over=updates("5.5"), end=0.1, inclusive=True)))
    schedule = shape.repeat(updates("7.5"), growth, decay=0.9)
    recipe = Recipe(AdamW(), learning_rate=schedule.repeat(updates(60), growth))

    def asked(plan: Plan, order: list[int]) -> dict[int, str]:
        return {t: plan.value("learning_rate", *divmod(t, 7)).hex() for t in order}

    order = [*range(300), 10**9, 10**9 - 1, 10**6]
    in_order = asked(recipe.plan(7, 10), order)
    assert asked(recipe.plan(7, 10), order[::-1]) == in_order
    shuffled = order * 2
    Random(1).shuffle(shuffled)
    assert asked(recipe.plan(7, 10), shuffled) == in_order


def test_a_growth_is_the_decimal_that_was_written() -> None:
    # 1.1 in binary is a little more than eleven tenths: the tenth cycle would begin a little later than it does.
    schedule = Constant().repeat(updates(10**9), growth=1.1, decay=0.5)
    plan = Recipe(learning_rate=schedule).plan(updates_per_epoch=10**9, epochs=100)
    begin = 10**9 * (Fraction(11, 10) ** 9 - 1) / Fraction(1, 10)
    assert begin == 13579476910
    assert [plan.multiplier("learning_rate", 0, 13579476910 + n) for n in (-1, 0)] == [0.5**8, 0.5**9]


@pytest.mark.parametrize(
    ("schedule", "updates_per_epoch", "constant"),
    [
        (StepDecay(0.5, every=epochs(1)).repeat(epochs(3)), 3, True),
        (StepDecay(0.5, every=epochs(1)).repeat(epochs(3), growth=2, decay=0.5), 3, True),
        (
            StepDecay(0.5, every=epochs(1)).repeat(epochs(2), growth=1.5),
            3,
            False,
        ),  # the third cycle begins at 5, not 4.5
        (StepDecay(0.5, every=epochs(1)).repeat(updates(4)), 3, False),
        (StepDecay(0.5, every=epochs(1)).repeat(updates(6)), 3, True),
        (LINE.repeat(epochs(2)), 3, False),
    ],
)
def test_whether_it_can_change_within_an_epoch(schedule: Schedule, updates_per_epoch: int, constant: bool) -> None:
    plan = Recipe(learning_rate=schedule).plan(updates_per_epoch, 4)
    assert plan.constant_within_epochs("learning_rate") is constant


def test_it_is_a_value_whose_repr_is_its_source() -> None:
    schedule = (LINE * 0.5).repeat("1 epoch + 2 updates", growth=1.5, decay=0.5)
    source = (
        "(LinearDecay(over=updates(4)) * Constant(value=0.5)).repeat(epochs(1) + updates(2), growth=1.5, decay=0.5)"
    )
    assert repr(schedule) == source
    assert repr(LINE.repeat("10%")) == "LinearDecay(over=updates(4)).repeat(percent(10))"
    assert repr(LINE.repeat("10%", decay=2)) == "LinearDecay(over=updates(4)).repeat(percent(10), decay=2.0)"
    assert Schedule.from_dict(schedule.to_dict()) == schedule
    assert LINE.repeat("1 epoch", growth=1) == LINE.repeat(epochs(1))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("0 epochs",), r"^Repeat\.every: found epochs\(0\); expected a duration longer than zero"),
        (("1 epoch", 0.5), r"^Repeat\.growth: found 0.5; expected 1, or a factor of at least 1\.01"),
        (("1 epoch", 1.0099), r"^Repeat\.growth: found 1.0099; expected 1, or a factor of at least 1\.01\.$"),
        (("1 epoch", 1, -1), r"^Repeat\.decay: found -1.0; expected a multiplier of at least 0"),
        (("1 epoch", math.inf), r"^Repeat\.growth: found inf; expected a finite number"),
    ],
)
def test_bad_arguments_are_refused_by_name(arguments: tuple, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        LINE.repeat(*arguments)
