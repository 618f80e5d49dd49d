"""Durations are exact, have a unit, and refuse everything else in words; clocks turn them into updates."""

from __future__ import annotations

import math
import pickle
import re
from fractions import Fraction

import pytest

from samestep import Clock, Duration, Position, StepDecay, epochs, percent, updates
from samestep.core.schedules.durations import as_duration

from .measures import per_update

NAMES = {"epochs": epochs, "updates": updates, "percent": percent}

# (duration, its repr, its text)
SPELLINGS = [
    (epochs(5), "epochs(5)", "5 epochs"),
    (epochs(1), "epochs(1)", "1 epoch"),
    (epochs(0), "epochs(0)", "0 epochs"),
    (epochs("1.5"), "epochs('1.5')", "1.5 epochs"),
    (epochs(1.5), "epochs('1.5')", "1.5 epochs"),
    (epochs(0.1), "epochs('0.1')", "0.1 epochs"),
    (epochs("1/3"), "epochs('1/3')", "1/3 epochs"),
    (epochs(Fraction(7, 6)), "epochs('7/6')", "7/6 epochs"),
    (epochs(Fraction(1, 8)), "epochs('0.125')", "0.125 epochs"),
    (epochs("2/2"), "epochs(1)", "1 epoch"),
    (epochs(" 5 "), "epochs(5)", "5 epochs"),
    (updates(1), "updates(1)", "1 update"),
    (updates(500), "updates(500)", "500 updates"),
    (updates("0.05"), "updates('0.05')", "0.05 updates"),
    (percent(10), "percent(10)", "10%"),
    (percent(1), "percent(1)", "1%"),
    (percent("12.5"), "percent('12.5')", "12.5%"),
    (percent(100.0), "percent(100)", "100%"),
    (updates(0), "epochs(0)", "0 epochs"),
    (percent(0), "epochs(0)", "0 epochs"),
    (epochs(1) + updates(10), "epochs(1) + updates(10)", "1 epoch + 10 updates"),
    (updates(10) + epochs(1), "epochs(1) + updates(10)", "1 epoch + 10 updates"),
    (percent(100) - updates(500), "percent(100) - updates(500)", "100% - 500 updates"),
    (percent(100) - epochs("1.5"), "percent(100) - epochs('1.5')", "100% - 1.5 epochs"),
    (percent(50) - updates(1) + epochs(2), "epochs(2) + percent(50) - updates(1)", "2 epochs + 50% - 1 update"),
    (updates(9) - percent(5) - epochs(1), "updates(9) - epochs(1) - percent(5)", "9 updates - 1 epoch - 5%"),
]


@pytest.mark.parametrize(("duration", "source", "text"), SPELLINGS)
def test_repr_is_source_and_text_reads_back(duration: Duration, source: str, text: str) -> None:
    assert repr(duration) == source
    assert eval(source, NAMES) == duration
    assert str(duration) == text
    assert as_duration(text, "over") == duration
    assert hash(as_duration(text, "over")) == hash(duration)
    assert pickle.loads(pickle.dumps(duration)) == duration


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("5 epochs", epochs(5)),
        ("5 epoch", epochs(5)),
        ("1 epochs", epochs(1)),
        ("5epochs", epochs(5)),
        ("  5   epochs  ", epochs(5)),
        ("1/3 epochs", epochs("1/3")),
        ("500 updates", updates(500)),
        ("1 update", updates(1)),
        ("10%", percent(10)),
        ("10 %", percent(10)),
        ("0.5%", percent("0.5")),
        ("1 epoch + 10 updates", epochs(1) + updates(10)),
        ("10 updates + 1 epoch", epochs(1) + updates(10)),
        ("100% - 500 updates", percent(100) - updates(500)),
        ("1 epoch  -  1 update", epochs(1) - updates(1)),
        ("5 epochs-3 updates", epochs(5) - updates(3)),
        ("100%-1.5epochs+2updates", percent(100) - epochs("1.5") + updates(2)),
        ("1 epoch + 2 epochs", epochs(3)),
        ("3 epochs - 1 epoch - 1/2 epochs", epochs("1.5")),
        ("1 epoch - 2 epochs + 3 epochs", epochs(2)),
    ],
)
def test_text_is_read(text: str, duration: Duration) -> None:
    assert as_duration(text, "over") == duration
    assert StepDecay(0.5, every=text) == StepDecay(0.5, every=duration)


def test_a_duration_is_passed_through() -> None:
    duration = epochs(5)
    assert as_duration(duration, "over") is duration


def test_a_float_means_the_decimal_that_it_prints_as() -> None:
    assert epochs(0.1).epochs == Fraction(1, 10)
    assert percent(0.3).percent == Fraction(3, 10)
    assert updates(1e16).updates == 10**16
    assert epochs(-0.0).epochs == 0


@pytest.mark.parametrize("make", [epochs, updates, percent])
@pytest.mark.parametrize("amount", [-1, -0.5, "-1", "-1.5", Fraction(-1, 3), math.nan, math.inf, -math.inf])
def test_negative_and_non_finite_amounts_are_refused(make: type, amount: object) -> None:
    with pytest.raises(ValueError, match=rf"^{make.__name__}: found .*; expected a finite number of at least 0"):
        make(amount)


@pytest.mark.parametrize("make", [epochs, updates, percent])
@pytest.mark.parametrize(
    "amount", ["", " ", "five", "nan", "inf", "1e5", "1_000", "+5", ".5", "5.", "1/0", "1/2/3", "0x10", "1 000", "5%"]
)
def test_text_that_is_not_a_plain_number_is_refused(make: type, amount: str) -> None:
    with pytest.raises(ValueError, match=rf"^{make.__name__}: found {re.escape(repr(amount))}; expected a finite"):
        make(amount)


@pytest.mark.parametrize(
    ("amount", "kind"), [(True, "bool"), (None, "NoneType"), ([5], "list"), (5j, "complex"), (epochs(5), "Duration")]
)
def test_an_amount_of_another_kind_is_a_type_error_that_names_it(amount: object, kind: str) -> None:
    with pytest.raises(TypeError, match=rf"^epochs: found .*\({kind}\); expected a number of at least 0"):
        epochs(amount)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("bare", "spellings"),
    [
        (5, "epochs(5), updates(5) or percent(5), or as text '5 epochs', '5 updates' or '5%'"),
        (391, "epochs(391), updates(391) or percent(391), or as text '391 epochs', '391 updates' or '391%'"),
        (-3, "epochs(5), updates(5) or percent(5), or as text '5 epochs', '5 updates' or '5%'"),
        (1.5, "epochs(5), updates(5) or percent(5), or as text '5 epochs', '5 updates' or '5%'"),
    ],
)
def test_a_bare_number_is_refused_with_the_three_spellings(bare: float, spellings: str) -> None:
    with pytest.raises(TypeError) as refused:
        StepDecay(0.5, every=bare)  # type: ignore[arg-type]
    assert str(refused.value) == (
        f"StepDecay.every: found the bare number {bare}; expected a duration: write {spellings}."
    )


@pytest.mark.parametrize("found", [True, False, None, [5], (5, "epochs"), b"5 epochs"])
def test_what_is_no_duration_at_all_is_a_type_error_that_names_its_type(found: object) -> None:
    words = rf"^over: found {re.escape(repr(found))} \({type(found).__name__}\); expected a duration: write epochs\(5\)"
    with pytest.raises(TypeError, match=words):
        as_duration(found, "over")


@pytest.mark.parametrize(
    "text", ["", " ", "5", "epochs", "5 steps", "5 Epochs", "5 epochs 3 updates", "5 percent", "%"]
)
def test_text_without_a_known_unit_is_refused_with_the_three_spellings(text: str) -> None:
    words = rf"^over: found {re.escape(repr(text))}, which has no known unit.*epochs\(5\), updates\(5\) or percent\(5\)"
    with pytest.raises(ValueError, match=words):
        as_duration(text, "over")


@pytest.mark.parametrize(
    "text", ["1e5 epochs", "-1 epochs", "nan epochs", "inf updates", "x epochs", "1/0 epochs", "-5%", "5-3 epochs"]
)
def test_text_with_a_unit_and_a_bad_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^over: found '.*'; expected a finite number of at least 0"):
        as_duration(text, "over")


@pytest.mark.parametrize(
    ("clock", "unit", "length"),
    [
        (Clock(), "epochs", None),
        (Clock(None, 3), "epochs", 3),
        (Clock(5), "updates", None),
        (Clock(5, 3), "updates", 15),
        (Clock(5, 3, 7), "updates", 7),
        (Clock(5, 3, 99), "updates", 15),
        (Clock(5, None, 7), "updates", 7),
        (Clock(None, None, 7), "epochs", None),
        (Clock(None, 3, 7), "epochs", None),
    ],
)
def test_a_clock_knows_the_runs_length_or_that_it_does_not(clock: Clock, unit: str, length: int | None) -> None:
    assert clock.unit == unit
    assert clock.length() == length


@pytest.mark.parametrize(
    ("clock", "duration", "exact"),
    [
        (Clock(100, 1), percent(29), Fraction(29)),  # 0.29 * 100 is 28.999999999999996 in floats
        (Clock(100, 1), percent(57), Fraction(57)),  # and 0.57 * 100 is 56.99999999999999
        (Clock(3, 2), epochs("1.5"), Fraction(9, 2)),
        (Clock(3, 2), epochs("1/3"), Fraction(1)),
        (Clock(391, 50), percent(10), Fraction(1955)),
        (Clock(7, 3), percent("12.5"), Fraction(21, 8)),
        (Clock(5, 3, 7), percent(50), Fraction(7, 2)),
        (Clock(5), updates("2.5"), Fraction(5, 2)),
        (Clock(), epochs("1.5"), Fraction(3, 2)),
        (Clock(None, 8), percent(25), Fraction(2)),
    ],
)
def test_durations_are_resolved_without_rounding(clock: Clock, duration: Duration, exact: Fraction) -> None:
    assert clock.exact(duration) == exact


def test_a_boundary_between_two_updates_takes_effect_at_the_next_one() -> None:
    late = StepDecay(0.5, every=epochs(100), first=epochs("1.5"))
    assert per_update(late, 7, updates_per_epoch=3) == [1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.5]


@pytest.mark.parametrize(
    ("clock", "words"),
    [
        (Clock(), "'10%' needs the length of the run, which is unknown; give the trainer a number of epochs"),
        (Clock(5), "'10%' needs the length of the run, which is unknown; give the trainer a number of epochs"),
        (Clock(None, None, 7), "'10%' of a run that ends after 7 updates needs the number of updates in an epoch"),
        (Clock(None, 3, 7), "'10%' of a run that ends after 7 updates needs the number of updates in an epoch"),
    ],
)
def test_a_percentage_of_a_run_of_unknown_length_is_refused(clock: Clock, words: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(words)}"):
        clock.exact(percent(10))


def test_updates_in_an_epoch_of_unknown_length_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^'1 update' needs the number of updates in an epoch.*updates_per_epoch="):
        Clock(None, 3).exact(updates(1))


@pytest.mark.parametrize("name", ["updates_per_epoch", "epochs", "max_updates"])
@pytest.mark.parametrize("found", [0, -1, 1.0, "5", True, Fraction(5)])
def test_a_clock_takes_whole_numbers_only(name: str, found: object) -> None:
    words = rf"^{name}: found {re.escape(repr(found))}; expected a whole number of at least 1, or None"
    with pytest.raises(ValueError, match=words):
        Clock(**{name: found})  # type: ignore[arg-type]


def test_a_position_is_a_pair_that_says_where_it_is() -> None:
    assert Position(3) == (3, 0)
    assert str(Position(3, 7)) == "epoch 3, update 7"
