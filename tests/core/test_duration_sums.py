"""Durations add, subtract and take a factor, in mixed units, and stay exact."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from fractions import Fraction

import pytest

from samestep import Clock, Duration, StepDecay, epochs, one_cycle, percent, updates
from samestep.core.schedules.durations import as_duration


def test_durations_add_subtract_and_take_a_factor() -> None:
    assert epochs(1) + epochs("0.5") == epochs("1.5")
    assert epochs(1) + updates(2) + epochs(3) == updates(2) + epochs(4)
    assert epochs(3) - epochs(1) == epochs(2)
    assert 3 * epochs("0.5") == epochs("0.5") * 3 == epochs("1.5")
    assert percent(100) * 0.3 == percent(30)  # not 29.999999999999996
    assert (percent(100) - updates(10)) * Fraction(1, 2) == percent(50) - updates(5)
    assert "1.5" * epochs(2) == epochs(3)
    assert hash(epochs(1) + updates(2)) == hash(updates(2) + epochs(1))


def test_zero_has_no_unit() -> None:
    assert epochs(0) == updates(0) == percent(0) == Duration() == epochs(5) - epochs(5) == 0 * percent(5)
    assert len({epochs(0), updates(0), percent(0), epochs(1), updates(1), percent(1)}) == 4
    assert [d.units for d in (Duration(), epochs(1), updates(1) + percent(1))] == [
        (),
        ("epochs",),
        ("updates", "percent"),
    ]
    assert epochs(0) + updates(3) == updates(3)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: epochs(1) - epochs(2), "-1 epoch"),
        (lambda: Duration() - updates(3), "-3 updates"),
        (lambda: epochs(1) - epochs(2) - percent("0.5"), "-1 epoch"),
        (lambda: epochs(1) + updates(1) - epochs(2) - updates(2), "-1 epoch - 1 update"),
    ],
)
def test_a_difference_that_is_negative_in_any_run_is_refused(make: Callable[[], Duration], text: str) -> None:
    with pytest.raises(ValueError, match=f"^found the duration '{text}'; expected one of at least 0"):
        make()


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: as_duration("5 epochs - 10 epochs", "over"), "over"),
        (lambda: StepDecay(0.5, every="5 epochs-10 epochs"), "StepDecay.every"),
        (lambda: one_cycle(peak="5 epochs - 10 epochs"), "one_cycle: peak"),
    ],
)
def test_a_text_that_is_negative_in_any_run_is_refused_in_the_words_of_the_argument(
    make: Callable[[], object], name: str
) -> None:
    with pytest.raises(ValueError, match=rf"^{name}: found the duration '-5 epochs'; expected one of at least 0\.$"):
        make()


@pytest.mark.parametrize(
    ("factor", "error"),
    [
        (-1, ValueError),
        (math.nan, ValueError),
        (math.inf, ValueError),
        ("x", ValueError),
        (None, TypeError),
        (True, TypeError),
        (epochs(1), TypeError),
    ],
)
def test_a_factor_is_a_number_of_at_least_0(factor: object, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"^the factor of a duration: found .*; expected a .*number of at least 0"):
        epochs(1) * factor  # type: ignore[operator]


@pytest.mark.parametrize("text", ["- 5 epochs", "5 epochs +", "5 epochs + 3", "5 epochs 3 updates", "5 epochs * 2"])
def test_a_sum_that_cannot_be_read_is_refused_with_the_three_spellings(text: str) -> None:
    with pytest.raises(
        ValueError, match=rf"^over: found {re.escape(repr(text))}, which has no known unit.*write epochs"
    ):
        as_duration(text, "over")


@pytest.mark.parametrize(
    ("clock", "duration", "exact"),
    [
        (Clock(10, 5), percent(100) - updates(7), Fraction(43)),
        (Clock(10, 5), epochs(1) + updates(3) + percent(1), Fraction(27, 2)),
        (Clock(10, 5), epochs("1.5") - updates("0.5"), Fraction(29, 2)),
        (Clock(10, 5, 8), percent(100) - updates(7), Fraction(1)),
        (Clock(None, 8), percent(100) - epochs("0.5"), Fraction(15, 2)),
        (Clock(3, 7), percent(100) - epochs("20/3"), Fraction(1)),
        (Clock(10, 5), percent(100) - updates(50), Fraction(0)),
        (Clock(None, 5), percent(20) - epochs(1), Fraction(0)),
    ],
)
def test_sums_are_resolved_without_rounding(clock: Clock, duration: Duration, exact: Fraction) -> None:
    assert clock.exact(duration) == exact


@pytest.mark.parametrize(
    ("clock", "duration", "words"),
    [
        (Clock(10, 5), percent(100) - updates(51), "'100% - 51 updates' is -1 updates in this run, and cannot be used"),
        (Clock(10, 5), updates(9) - epochs(1), "'9 updates - 1 epoch' is -1 updates in this run, and cannot be used"),
        (Clock(None, 5), percent(20) - epochs("1.5"), "'20% - 1.5 epochs' is -1/2 epochs in this run, and cannot be"),
    ],
)
def test_a_difference_that_is_negative_in_this_run_is_refused(clock: Clock, duration: Duration, words: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(words)}.*make what is subtracted shorter, or the run longer"):
        clock.exact(duration)


@pytest.mark.parametrize("unit", ["epochs", "updates", "percent"])
@pytest.mark.parametrize("amount", [1, 1.5, "1", None])
def test_a_duration_is_made_of_fractions(unit: str, amount: object) -> None:
    words = rf"^Duration\.{unit}: found {amount!r} \({type(amount).__name__}\); write {unit}\({amount}\)\.$"
    with pytest.raises(TypeError, match=words):
        Duration(**{unit: amount})  # type: ignore[arg-type]
    assert Duration(**{unit: Fraction(1)}) == {"epochs": epochs, "updates": updates, "percent": percent}[unit](1)


def test_every_unit_of_a_sum_must_be_known() -> None:
    with pytest.raises(ValueError, match=r"^'1 epoch \+ 1 update' needs the number of updates in an epoch"):
        Clock(None, 3).exact(epochs(1) + updates(1))
    with pytest.raises(ValueError, match=r"^'100% - 1 update' needs the length of the run, which is unknown"):
        Clock(5).exact(percent(100) - updates(1))
