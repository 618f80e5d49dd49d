"""Each shape's multiplier around each of its boundaries, written out."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from itertools import pairwise

import pytest

from samestep import (
    CosineDecay,
    EpochFunction,
    ExponentialDecay,
    InverseTimeDecay,
    LinearDecay,
    Recipe,
    Schedule,
    StepDecay,
    Triangular,
    Warmup,
    epochs,
    percent,
    updates,
)
from samestep.core.schedules.epoch_function import EpochValues, takes_previous

from .measures import per_update

# (schedule, eta at updates 0, 1, 2 ... of a run of 3 updates in each of 4 epochs)
VALUES = [
    (StepDecay(0.5, every=updates(3)), [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125]),
    (StepDecay(0.5, every=epochs(1)), [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125]),
    (StepDecay(0.5, every=percent(25)), [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125]),
    (StepDecay(0.5, every=updates(2), first=updates(3)), [1.0, 1.0, 1.0, 0.5, 0.5, 0.25, 0.25, 0.125]),
    (StepDecay(0.5, every=updates(2), first=updates(0)), [0.5, 0.5, 0.25, 0.25, 0.125]),
    (StepDecay(0.5, every=updates(2), first=updates(1)), [1.0, 0.5, 0.5, 0.25, 0.25, 0.125]),
    # Drops at 4.5, 9 and 13.5.
    (StepDecay(0.5, every=epochs("1.5")), [1.0] * 5 + [0.5] * 4 + [0.25] * 5 + [0.125]),
    # Drops at 0.75, 1.5, 2.25, 3: two of them between updates 1 and 2 or at them.
    (StepDecay(0.5, every=epochs("1/4")), [1.0, 0.5, 0.25, 0.0625]),
    (StepDecay(2.0, every=updates(1)), [1.0, 2.0, 4.0, 8.0]),
    (StepDecay(0.0, every=updates(2)), [1.0, 1.0, 0.0, 0.0, 0.0]),
    (StepDecay(1.0, every=updates(2)), [1.0] * 5),
    (StepDecay(0.1, every=updates(1)), [1.0, 0.1, 0.010000000000000002, 0.0010000000000000002]),
    (ExponentialDecay(0.25, every=updates(2)), [1.0, 0.5, 0.25, 0.125, 0.0625]),
    (ExponentialDecay(0.25, every=epochs("2/3")), [1.0, 0.5, 0.25, 0.125, 0.0625]),
    (ExponentialDecay(4.0, every=updates(2)), [1.0, 2.0, 4.0, 8.0]),
    (InverseTimeDecay(1.0, every=updates(1)), [1.0, 0.5, 0.3333333333333333, 0.25, 0.2]),
    (InverseTimeDecay(3.0, every=epochs(1)), [1.0, 0.5, 0.3333333333333333, 0.25, 0.2]),
    (InverseTimeDecay(0.0, every=updates(1)), [1.0, 1.0, 1.0]),
    (LinearDecay(over=updates(4)), [1.0, 0.75, 0.5, 0.25, 0.0, 0.0, 0.0]),
    (LinearDecay(over=updates(4), start=0.5, end=1.5), [0.5, 0.75, 1.0, 1.25, 1.5, 1.5]),
    (LinearDecay(over=updates(1)), [1.0, 0.0, 0.0]),
    (LinearDecay(over=percent(100)), [left / 12 for left in range(12, 0, -1)] + [0.0, 0.0]),
    # 1 + (0.1 - 1) * 1 is 0.09999999999999998: the end is reached exactly because it is not computed.
    (LinearDecay(over=updates(2), end=0.1), [1.0, 0.55, 0.1, 0.1]),
    # The end lies at 4.5: update 4 is still on the line, update 5 has the end value.
    (LinearDecay(over=epochs("1.5"), start=4.5), [4.5, 3.5, 2.5, 1.5, 0.5, 0.0, 0.0]),
    (LinearDecay(over=updates("0.5")), [1.0, 0.0, 0.0]),
    (CosineDecay(over=updates(4)), [1.0, 0.8535533905932737, 0.5, 0.14644660940672624, 0.0, 0.0]),
    (CosineDecay(over=updates(2), end=0.5), [1.0, 0.75, 0.5, 0.5]),
    (CosineDecay(over=updates(2), end=0.1), [1.0, 0.55, 0.1, 0.1]),
    (CosineDecay(over=updates(2), end=3.0), [1.0, 2.0, 3.0, 3.0]),
    (CosineDecay(over=epochs("0.5")), [1.0, 0.24999999999999994, 0.0, 0.0]),
    (Warmup(over=updates(4)), [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]),
    (Warmup(over=updates(2), start=0.5), [0.5, 0.75, 1.0, 1.0]),
    (Warmup(over=updates(2), start=2.0), [2.0, 1.5, 1.0, 1.0]),
    # The end lies at 1.5.
    (Warmup(over=epochs("0.5"), start=0.25), [0.25, 0.75, 1.0, 1.0]),
    (
        EpochFunction(lambda epoch: (3.0, 1.0, 2.0, 0.0, 5.0)[epoch]),
        [3.0] * 3 + [1.0] * 3 + [2.0] * 3 + [0.0] * 3 + [5.0],
    ),
    (EpochFunction(lambda epoch, eta: eta * 0.5), [0.5] * 3 + [0.25] * 3 + [0.125] * 3 + [0.0625]),
    (EpochFunction(lambda epoch, eta: eta * 0.5 if epoch else eta), [1.0] * 3 + [0.5] * 3 + [0.25] * 3),
]


@pytest.mark.parametrize(("schedule", "expected"), VALUES, ids=[repr(schedule) for schedule, _ in VALUES])
def test_values_at_each_update(schedule: Schedule, expected: list[float]) -> None:
    assert per_update(schedule, len(expected), updates_per_epoch=3, epochs=4) == expected


def test_a_drop_at_29_percent_of_100_updates_is_at_update_29() -> None:
    eta = per_update(StepDecay(0.5, every=percent(29)), 100, updates_per_epoch=10, epochs=10)
    assert [eta[u] for u in (0, 28, 29, 57, 58, 86, 87, 99)] == [1.0, 1.0, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125]


@pytest.mark.parametrize("end", [0.0, 0.1, 1 / 3, 0.7, 1.0, 1e-300])
@pytest.mark.parametrize("over", [updates(7), epochs("7/3"), percent(70), updates("6.9")])
@pytest.mark.parametrize("shape", [LinearDecay, CosineDecay])
def test_a_ramp_falls_to_its_end_and_keeps_it_for_ever(shape: Callable, over: object, end: float) -> None:
    eta = per_update(shape(over=over, end=end), 40, updates_per_epoch=5, epochs=2)
    assert eta[0] == 1.0
    assert all(after <= before for before, after in pairwise(eta))
    # 7, 11.67, 7 and 6.9 updates.
    at = 12 if over == epochs("7/3") else 7
    assert set(eta[at:]) == {end}
    assert end == 1.0 or eta[at - 1] > end


@pytest.mark.parametrize(
    "schedule",
    [LinearDecay(over=updates(10), end=0.2), CosineDecay(over=updates(10), end=0.2), Warmup(over=updates(10))],
    ids=repr,
)
def test_the_end_of_a_ramp_is_exact_a_million_updates_later(schedule: Schedule) -> None:
    assert schedule.preview(epochs=1_000_001, updates_per_epoch=1)[-1] == (1.0 if isinstance(schedule, Warmup) else 0.2)


REFUSED = [
    (lambda: StepDecay(-0.1, every="1 epoch"), ValueError, "StepDecay.factor: found -0.1; expected a multiplier of at"),
    (lambda: StepDecay("0.1", every="1 epoch"), TypeError, "StepDecay.factor: found '0.1' (str); expected a number."),
    (lambda: StepDecay(True, every="1 epoch"), TypeError, "StepDecay.factor: found True (bool); expected a number."),
    (lambda: StepDecay(None, every="1 epoch"), TypeError, "StepDecay.factor: found None (NoneType); expected a number"),
    (lambda: StepDecay(math.nan, every="1 epoch"), ValueError, "StepDecay.factor: found nan; expected a finite number"),
    (lambda: StepDecay(math.inf, every="1 epoch"), ValueError, "StepDecay.factor: found inf; expected a finite number"),
    (lambda: StepDecay(0.1, every=5), TypeError, "StepDecay.every: found the bare number 5; expected a duration"),
    (
        lambda: StepDecay(0.1, every=epochs(0)),
        ValueError,
        "StepDecay.every: found epochs(0); expected a duration longer",
    ),
    (lambda: StepDecay(0.1, "1 epoch", first=5), TypeError, "StepDecay.first: found the bare number 5; expected a"),
    (
        lambda: ExponentialDecay(0.0, "1 epoch"),
        ValueError,
        "ExponentialDecay.factor: found 0.0; expected a multiplier gr",
    ),
    (
        lambda: ExponentialDecay(0.5, "0 epochs"),
        ValueError,
        "ExponentialDecay.every: found epochs(0); expected a durat",
    ),
    (lambda: InverseTimeDecay(-1, "1 epoch"), ValueError, "InverseTimeDecay.rate: found -1.0; expected a number of at"),
    (lambda: InverseTimeDecay(1, "0%"), ValueError, "InverseTimeDecay.every: found epochs(0); expected a duration lo"),
    (
        lambda: LinearDecay(over="0 updates"),
        ValueError,
        "LinearDecay.over: found epochs(0); expected a duration longer",
    ),
    (lambda: LinearDecay(over="1 epoch", start=-1), ValueError, "LinearDecay.start: found -1.0; expected a multiplier"),
    (
        lambda: LinearDecay(over="1 epoch", end=-1),
        ValueError,
        "LinearDecay.end: found -1.0; expected a multiplier of at",
    ),
    (lambda: Triangular(up="0 updates"), ValueError, "Triangular.up: found epochs(0); expected a duration longer than"),
    (
        lambda: Triangular(up="1 epoch", down="0 updates"),
        ValueError,
        "Triangular.down: found epochs(0); expected a duration longer than zero",
    ),
    (lambda: CosineDecay(over="5 steps"), ValueError, "CosineDecay.over: found '5 steps', which has no known unit"),
    (
        lambda: CosineDecay(over="1 epoch", end=-1),
        ValueError,
        "CosineDecay.end: found -1.0; expected a multiplier of at",
    ),
    (lambda: CosineDecay(over="1 epoch", end=[0]), TypeError, "CosineDecay.end: found [0] (list); expected a number."),
    (
        lambda: Warmup(over=0.1),
        TypeError,
        "Warmup.over: found the bare number 0.1; expected a duration: write epochs(5)",
    ),
    (
        lambda: Warmup(over="1 epoch", start=-1),
        ValueError,
        "Warmup.start: found -1.0; expected a multiplier of at least",
    ),
    (
        lambda: EpochFunction(0.5),
        TypeError,
        "found 0.5 (float); expected a function f(epoch) or f(epoch, learning_rate)",
    ),
    (
        lambda: EpochFunction("f"),
        ValueError,
        "EpochFunction.function: found the name 'f', and functions are not import",
    ),
    (lambda: EpochFunction(lambda: 1.0), TypeError, "found a function of (); expected a function f(epoch) or"),
    (
        lambda: EpochFunction(lambda a, b, c: 1.0),
        TypeError,
        "found a function of (a, b, c); expected a function f(epoch)",
    ),
]


@pytest.mark.parametrize(("make", "error", "words"), REFUSED, ids=[words.split(";")[0] for _, _, words in REFUSED])
def test_a_bad_field_is_refused_by_name(make: Callable[[], object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(words)}"):
        make()


def test_numbers_are_held_as_floats_and_texts_as_durations() -> None:
    assert StepDecay(1, every="5 epochs") == StepDecay(1.0, every=epochs(5))
    assert repr(StepDecay(1, every="5 epochs", first="0 epochs")) == (
        "StepDecay(factor=1.0, every=epochs(5), first=epochs(0))"
    )


@pytest.mark.parametrize(
    ("function", "folded"),
    [
        (lambda epoch: 1.0, False),
        (lambda epoch, lr: 1.0, True),
        (lambda epoch, lr=1.0: 1.0, True),
        (lambda *anything: 1.0, True),
        (lambda epoch, *, option=1: 1.0, False),
        (lambda epoch, **options: 1.0, False),
        (math.sqrt, False),
        (pow, True),
    ],
    ids=["one", "two", "second-optional", "any", "keyword-only", "keywords", "builtin-one", "builtin-two"],
)
def test_a_function_that_can_take_two_arguments_is_given_two(function: Callable, folded: bool) -> None:
    assert takes_previous(function) is folded


@pytest.mark.parametrize("found", [math.nan, math.inf, -math.inf])
def test_a_function_that_returns_no_finite_number_is_refused_with_the_epoch(found: float) -> None:
    with pytest.raises(ValueError, match=r"the value of <function .*> at epoch 2: found .*; expected a finite number"):
        EpochFunction(lambda epoch: found if epoch == 2 else 1.0).preview(epochs=4)


def test_a_function_that_returns_a_negative_number_is_refused_with_the_epoch() -> None:
    with pytest.raises(ValueError, match=r"returned -1.0 at epoch 3; expected a number of at least 0"):
        EpochFunction(lambda epoch: 2.0 - epoch).preview(epochs=4)


def test_a_function_that_returns_no_number_is_a_type_error_with_the_epoch() -> None:
    with pytest.raises(TypeError, match=r"at epoch 1: found None \(NoneType\); expected a number"):
        EpochFunction(lambda epoch: None if epoch else 1.0).preview(epochs=2)


def test_a_function_is_asked_once_per_epoch_in_order_whatever_is_asked_first() -> None:
    asked = []
    schedule = EpochFunction(lambda epoch, eta: asked.append((epoch, eta)) or eta + 1.0)
    plan = Recipe(learning_rate=schedule).plan(updates_per_epoch=3, epochs=4)
    assert [plan.multiplier("learning_rate", epoch, 2) for epoch in (2, 0, 3, 1, 2)] == [4.0, 2.0, 5.0, 3.0, 4.0]
    assert asked == [(0, 1.0), (1, 2.0), (2, 3.0), (3, 4.0)]


def test_a_function_of_the_epoch_alone_is_asked_for_that_epoch_only() -> None:
    asked: list[int] = []
    schedule = EpochFunction(lambda epoch: asked.append(epoch) or 1.0 + epoch % 2)
    plan = Recipe(learning_rate=schedule).plan(updates_per_epoch=3, epochs=10**6)
    found = [plan.multiplier("learning_rate", epoch, 2) for epoch in (10**6 - 1, 7, 10**6 - 1, 8)]
    assert (found, asked) == ([2.0, 2.0, 2.0, 1.0], [10**6 - 1, 7, 8])


def test_of_a_function_of_the_epoch_alone_a_bounded_number_of_values_is_kept() -> None:
    eta = EpochValues(lambda epoch: float(epoch), 1.0)
    assert [eta(epoch) for epoch in range(10_000)] == [float(epoch) for epoch in range(10_000)]
    assert len(eta._values) <= 1000
