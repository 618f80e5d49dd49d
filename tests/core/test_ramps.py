"""The ramps: at their begin, around their end, past it, and with the end inside the length."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import pytest

from samestep import (
    CosineDecay,
    LinearDecay,
    PolynomialDecay,
    Ramp,
    Recipe,
    RexDecay,
    Schedule,
    TanhDecay,
    Warmup,
    epochs,
    percent,
    sequence,
    updates,
)

from .measures import per_update

FOUR = updates(4)

# (schedule, eta at updates 0, 1, 2 ... of a run of 3 updates in each of 4 epochs)
VALUES = [
    (PolynomialDecay(over=FOUR), [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]),
    (PolynomialDecay(over=FOUR, power=2), [1.0, 0.5625, 0.25, 0.0625, 0.0, 0.0]),
    (PolynomialDecay(over=FOUR, power=0.5), [1.0, 0.8660254037844386, 0.7071067811865476, 0.5, 0.0, 0.0]),
    (PolynomialDecay(over=FOUR, power=2, end=0.5), [1.0, 0.78125, 0.625, 0.53125, 0.5, 0.5]),
    (PolynomialDecay(over=FOUR, power=2, start=2.0, end=1.0), [2.0, 1.5625, 1.25, 1.0625, 1.0, 1.0]),
    (PolynomialDecay(over=FOUR, power=2, start=0.0, end=1.0), [0.0, 0.4375, 0.75, 0.9375, 1.0, 1.0]),
    # 1 - sqrt(tau), and 1 - tau ** 2.
    (PolynomialDecay(over=FOUR, k_decay=0.5), [1.0, 0.5, 0.2928932188134525, 0.13397459621556135, 0.0, 0.0]),
    (PolynomialDecay(over=FOUR, k_decay=2), [1.0, 0.9375, 0.75, 0.4375, 0.0, 0.0]),
    (PolynomialDecay(over=FOUR, power=2, k_decay=2), [1.0, 0.87890625, 0.5625, 0.19140625, 0.0, 0.0]),
    (CosineDecay(over=FOUR, start=2.0, end=1.0), [2.0, 1.8535533905932737, 1.5, 1.1464466094067263, 1.0, 1.0]),
    (CosineDecay(over=FOUR, start=0.0, end=2.0), [0.0, 0.2928932188134525, 1.0, 1.7071067811865475, 2.0, 2.0]),
    (CosineDecay(over=FOUR, k_decay=0.5), [1.0, 0.5, 0.19715006646059327, 0.043637900948910964, 0.0, 0.0]),
    (RexDecay(over=FOUR), [1.0, 0.75 / 0.875, 0.5 / 0.75, 0.25 / 0.625, 0.0, 0.0]),
    (RexDecay(over=updates(2), end=0.25), [1.0, 0.75, 0.25, 0.25]),
    (TanhDecay(over=updates(2), lower=-1, upper=1), [0.8807970779778824, 0.5, 0.0, 0.0]),
    (TanhDecay(over=updates(2), end=0.5, lower=-3, upper=3), [0.9987636884216826, 0.75, 0.5, 0.5]),
]
# The same with inclusive=True: the end is at the last update of the length, T is one update less.
INCLUSIVE = [
    (LinearDecay(over=updates(5), inclusive=True), [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]),
    (LinearDecay(over=updates(5), start=0.5, end=1.5, inclusive=True), [0.5, 0.75, 1.0, 1.25, 1.5, 1.5]),
    (PolynomialDecay(over=updates(5), power=2, inclusive=True), [1.0, 0.5625, 0.25, 0.0625, 0.0, 0.0]),
    (CosineDecay(over=updates(5), inclusive=True), [1.0, 0.8535533905932737, 0.5, 0.14644660940672624, 0.0, 0.0]),
    (RexDecay(over=updates(3), inclusive=True), [1.0, 0.5 / 0.75, 0.0, 0.0]),
    (TanhDecay(over=updates(3), lower=-1, upper=1, inclusive=True), [0.8807970779778824, 0.5, 0.0, 0.0]),
    (Warmup(over=updates(5), inclusive=True), [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]),
    (Warmup(over=updates(2), start=0.5, inclusive=True), [0.5, 1.0, 1.0]),
    (LinearDecay(over=epochs(1), inclusive=True), [1.0, 0.5, 0.0, 0.0]),
    (LinearDecay(over=percent(25), inclusive=True), [1.0, 0.5, 0.0, 0.0]),
    (LinearDecay(over=epochs(1) + updates(2), inclusive=True), [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]),
    # One update, or less, is the end already; no warmup stays none.
    (LinearDecay(over=updates(1), end=0.5, inclusive=True), [0.5, 0.5]),
    (LinearDecay(over=updates("0.5"), end=0.5, inclusive=True), [0.5, 0.5]),
    (Warmup(over=updates(1), inclusive=True), [1.0, 1.0]),
    (Warmup(over=updates(0), inclusive=True), [1.0, 1.0]),
    (Warmup(over=updates(0)), [1.0, 1.0]),
    # Updates 0 to 4 lie within 4.5: T is 3.5, and 4 has the end value.
    (LinearDecay(over=updates("4.5"), start=3.5, inclusive=True), [3.5, 2.5, 1.5, 0.5, 0.0, 0.0]),
    (LinearDecay(over=updates("4.5"), start=4.5), [4.5, 3.5, 2.5, 1.5, 0.5, 0.0, 0.0]),
    # [0.5, 4.5) holds updates 1 to 4: T is 3, from 0.5 to 3.5, and 4 has the end value.
    (LinearDecay(over=FOUR, start=3.0, inclusive=True).after(updates("0.5")), [3.0, 2.5, 1.5, 0.5, 0.0, 0.0]),
    (LinearDecay(over=FOUR, start=4.0).after(updates("0.5")), [4.0, 3.5, 2.5, 1.5, 0.5, 0.0]),
    # [0.5, 5) holds updates 1 to 4, [0.5, 5.5) updates 1 to 5.
    (LinearDecay(updates("4.5"), start=3.5, inclusive=True).after(updates("0.5")), [3.5, 3.0, 2.0, 1.0, 0.0, 0.0]),
    (LinearDecay(updates(5), start=4.0, inclusive=True).after(updates("0.5")), [4.0, 3.5, 2.5, 1.5, 0.5, 0.0, 0.0]),
    # In a sequence each part begins anew; what is inclusive has its end value once before the next begins.
    (
        sequence(Warmup(over=updates(3), inclusive=True), (updates(3), LinearDecay(over=updates(3), inclusive=True))),
        [0.0, 0.5, 1.0, 1.0, 0.5, 0.0, 0.0],
    ),
    (
        sequence(Warmup(over=updates(2)), (updates(2), LinearDecay(over=updates(2)))),
        [0.0, 0.5, 1.0, 0.5, 0.0, 0.0],
    ),
]


@pytest.mark.parametrize(("schedule", "expected"), VALUES + INCLUSIVE, ids=[repr(s) for s, _ in VALUES + INCLUSIVE])
def test_values_at_each_update(schedule: Schedule, expected: list[float]) -> None:
    assert per_update(schedule, len(expected), updates_per_epoch=3, epochs=4) == expected


ALL: list[Callable[..., Ramp]] = [LinearDecay, PolynomialDecay, CosineDecay, TanhDecay, RexDecay]


@pytest.mark.parametrize("over", [updates(7), updates("6.1"), epochs("7/3"), percent(58)])
@pytest.mark.parametrize("shape", ALL)
def test_the_switch_moves_the_end_by_one_update(shape: Callable[..., Ramp], over: object) -> None:
    # 7, 6.1, 7 and 6.96 updates: seven of them, 0 to 6, lie within each.
    exclusive = per_update(shape(over=over, end=0.125), 20, updates_per_epoch=3, epochs=4)
    inclusive = per_update(shape(over=over, end=0.125, inclusive=True), 20, updates_per_epoch=3, epochs=4)
    assert (exclusive.index(0.125), inclusive.index(0.125)) == (7, 6)
    assert set(exclusive[7:]) == set(inclusive[6:]) == {0.125}
    assert exclusive[0] == inclusive[0]
    for etas in (exclusive, inclusive):
        assert all(after <= before for before, after in pairwise(etas))


@pytest.mark.parametrize("shape", ALL)
def test_an_inclusive_ramp_over_the_whole_run_ends_in_the_run(shape: Callable[..., Ramp]) -> None:
    inclusive = per_update(shape(over="100%", end=0.125, inclusive=True), 12, updates_per_epoch=3, epochs=4)
    exclusive = per_update(shape(over="100%", end=0.125), 13, updates_per_epoch=3, epochs=4)
    assert inclusive.index(0.125) == 11
    assert exclusive.index(0.125) == 12


@pytest.mark.parametrize("start", [1 / 25, 0.1, 1e-8, 1e-17, 1e-300])
@pytest.mark.parametrize("shape", [LinearDecay, PolynomialDecay, CosineDecay])
def test_a_ramp_begins_exactly_at_its_start(shape: Callable[..., Ramp], start: float) -> None:
    for ramp in (shape(over=updates(4), start=start, end=1.0), shape(over=updates(4), start=1.0, end=start)):
        assert [ramp.preview(epochs=5, updates_per_epoch=1)[i] for i in (0, 4)] == [ramp.start, ramp.end]


@pytest.mark.parametrize("value", [0.1, 0.3, 1.0, 1e-300])
@pytest.mark.parametrize("shape", [LinearDecay, PolynomialDecay, CosineDecay])
def test_a_ramp_that_ends_where_it_starts_is_constant(shape: Callable[..., Ramp], value: float) -> None:
    assert set(per_update(shape(over=updates(100), start=value, end=value), 110)) == {value}


@pytest.mark.parametrize("ramp", [Warmup(updates(100), start=1), RexDecay(updates(100), 1), TanhDecay(updates(100), 1)])
def test_a_ramp_at_the_base_value_is_the_base_value(ramp: Ramp) -> None:
    assert set(per_update(ramp, 110)) == {1.0}


def test_the_last_update_of_every_grown_cycle_of_an_inclusive_ramp_has_the_end_value() -> None:
    schedule = LinearDecay(over=updates(3), start=110.0, inclusive=True).repeat(updates(3), growth=2)
    # Cycles of 3, 6 and 12 updates, in which T is 2, 5 and 11: it is not T that doubles.
    found = per_update(schedule, 22, updates_per_epoch=3, epochs=8)
    assert found[:11] == [110.0, 55.0, 0.0, 110.0, 88.0, 66.0, 44.0, 22.0, 0.0, 110.0, 100.0]
    assert [i for i, eta in enumerate(found) if eta == 0.0] == [2, 8, 20]
    assert [i for i, eta in enumerate(found) if eta == 110.0] == [0, 3, 9, 21]


def test_the_last_update_of_every_cycle_of_fractional_length_has_the_end_value() -> None:
    schedule = Warmup(over=updates("2.5"), inclusive=True).repeat(updates("2.5"), growth=1.5)
    found = per_update(schedule, 30)
    # Cycles begin at 0, 2.5, 6.25, 11.875 and 20.3125.
    assert [i for i, eta in enumerate(found) if eta == 1.0] == [2, 6, 11, 20]
    assert found[0] == 0.0
    assert [found[i] < found[i - 1] for i in (3, 7, 12, 21)] == [True] * 4


@pytest.mark.parametrize("shape", [*ALL, Warmup])
def test_an_inclusive_ramp_needs_the_number_of_updates_in_an_epoch(shape: Callable[..., Ramp]) -> None:
    assert shape(over=epochs(5)).preview(epochs=6)[-1] == (1.0 if shape is Warmup else 0.0)
    words = r"^the learning_rate schedule: '1 update' needs the number of updates in an epoch, which is unknown"
    with pytest.raises(ValueError, match=words):
        Recipe(learning_rate=shape(over=epochs(5), inclusive=True)).plan(epochs=10)


@dataclass(frozen=True, repr=False)
class Squared(Ramp):
    """A ramp of the user's own that ends at `end`."""

    end: float = 0.25

    def between(self, tau: float, left: float) -> float:
        return 1.0 - (1.0 - self.end) * tau**2


@dataclass(frozen=True, repr=False)
class Rise(Ramp):
    """A ramp of the user's own that ends at 1, with a field of its own."""

    height: float = 0.5

    def between(self, tau: float, left: float) -> float:
        return self.height + (1.0 - self.height) * tau


def test_a_ramp_of_the_users_own_has_all_that_the_others_have() -> None:
    assert per_update(Squared(over=updates(2)), 4) == [1.0, 0.8125, 0.25, 0.25]
    assert per_update(Squared(over=updates(3), inclusive=True), 4) == [1.0, 0.8125, 0.25, 0.25]
    assert per_update(Rise(over=updates(2)), 3) == [0.5, 0.75, 1.0]
    assert per_update(Rise(over=updates(0)), 2) == [1.0, 1.0]
    assert repr(Squared("2 epochs", inclusive=True)) == "Squared(over=epochs(2), inclusive=True)"
    for ramp in (Squared(updates(2)).repeat("5%", growth=2), Rise("1 epoch", inclusive=True, height=2)):
        assert Schedule.from_dict(ramp.to_dict()) == ramp
    with pytest.raises(ValueError, match=r"^Squared\.over: found epochs\(0\); expected a duration longer than zero"):
        Squared(over=epochs(0))
    with pytest.raises(ValueError, match=r"^Squared\.end: found -1.0; expected a multiplier of at least 0"):
        Squared(over=epochs(1), end=-1)


REFUSED = [
    (lambda: PolynomialDecay("1 epoch", power=0), ValueError, "PolynomialDecay.power: found 0.0; expected a number gr"),
    (lambda: PolynomialDecay("1 epoch", k_decay=0), ValueError, "PolynomialDecay.k_decay: found 0.0; expected a num"),
    (lambda: PolynomialDecay("1 epoch", start=-1), ValueError, "PolynomialDecay.start: found -1.0; expected a multip"),
    (lambda: CosineDecay("1 epoch", k_decay=-1), ValueError, "CosineDecay.k_decay: found -1.0; expected a number gre"),
    (lambda: CosineDecay("1 epoch", start=-1), ValueError, "CosineDecay.start: found -1.0; expected a multiplier of"),
    (lambda: TanhDecay("1 epoch", lower=3), ValueError, "TanhDecay.lower: found 3.0; expected a number below upper=3."),
    (lambda: TanhDecay("0%"), ValueError, "TanhDecay.over: found epochs(0); expected a duration longer than zero."),
    (lambda: RexDecay("1 epoch", end=-1), ValueError, "RexDecay.end: found -1.0; expected a multiplier of at least 0."),
    (lambda: RexDecay("1 epoch", inclusive=1), TypeError, "RexDecay.inclusive: found 1 (int); expected True or False."),
    (lambda: Warmup("1 epoch", inclusive=None), TypeError, "Warmup.inclusive: found None (NoneType); expected True or"),
]


@pytest.mark.parametrize(("make", "error", "words"), REFUSED, ids=[words.split(";")[0] for _, _, words in REFUSED])
def test_a_bad_field_is_refused_by_name(make: Callable[[], object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(words)}"):
        make()
