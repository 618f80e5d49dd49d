"""The ways to combine schedules: values at every boundary, refusals, previews and what varies within an epoch."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable

import pytest

from samestep import (
    Clock,
    Constant,
    CosineDecay,
    EpochFunction,
    ExponentialDecay,
    InverseTimeDecay,
    LinearDecay,
    MultiStepDecay,
    Plan,
    Recipe,
    Schedule,
    StepDecay,
    Table,
    Warmup,
    epochs,
    percent,
    sequence,
    updates,
)

from .measures import per_update

LINE = LinearDecay(over=updates(4))
HALVES = StepDecay(0.5, every=updates(2))

# (schedule, eta at updates 0, 1, 2 ... of a run of 3 updates in each of 4 epochs)
VALUES = [
    (Constant(), [1.0, 1.0]),
    (Constant(0), [0.0, 0.0]),
    (HALVES.after(updates(0)), [1.0, 1.0, 0.5, 0.5, 0.25]),
    (HALVES.after(updates(3)), [1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.25]),
    (HALVES.after(epochs(1)), [1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.25]),
    (LINE.after(percent(25)), [1.0, 1.0, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0, 0.0]),
    (Warmup(over=updates(2), start=0.5).after(updates(2)), [0.5, 0.5, 0.5, 0.75, 1.0, 1.0]),
    # Held at its own starting value, which is a dropped one.
    (StepDecay(0.5, every=updates(2), first=updates(0)).after(updates(1)), [0.5, 0.5, 0.5, 0.25]),
    # Begins at 1.5: update 2 is half an update into the line.
    (LINE.after(epochs("0.5")), [1.0, 1.0, 0.875, 0.625, 0.375, 0.125, 0.0]),
    (StepDecay(0.5, every=updates(1)).after(updates("1.5")), [1.0, 1.0, 1.0, 0.5, 0.25]),
    (LINE.after(updates(1)).after(updates(2)), [1.0, 1.0, 1.0, 1.0, 0.75, 0.5]),
    (HALVES.until(updates(0)), [1.0, 1.0, 1.0, 1.0]),
    (HALVES.until(updates(2)), [1.0, 1.0, 0.5, 0.5, 0.5]),
    (HALVES.until(updates(3)), [1.0, 1.0, 0.5, 0.5, 0.5]),
    (LINE.until(updates(3)), [1.0, 0.75, 0.5, 0.25, 0.25, 0.25]),
    (LINE.until(epochs(9)), [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]),
    # Ends at 1.5: update 2 and all later ones have the value of that moment, 1 - 1.5 / 4.
    (LINE.until(epochs("0.5")), [1.0, 0.75, 0.625, 0.625, 0.625]),
    (LINE.until(updates(2)).after(updates(1)), [1.0, 1.0, 0.75, 0.5, 0.5]),
    (LINE.after(updates(1)).until(updates(2)), [1.0, 1.0, 0.75, 0.75, 0.75]),
    (LINE.at_least(0.3), [1.0, 0.75, 0.5, 0.3, 0.3, 0.3]),
    (LINE.at_most(0.6), [0.6, 0.6, 0.5, 0.25, 0.0, 0.0]),
    (LINE.at_least(0.3).at_most(0.6), [0.6, 0.6, 0.5, 0.3, 0.3, 0.3]),
    (LINE * HALVES, [1.0, 0.75, 0.25, 0.125, 0.0]),
    (0.5 * LINE, [0.5, 0.375, 0.25, 0.125, 0.0]),
    (LINE * 0.5, [0.5, 0.375, 0.25, 0.125, 0.0]),
    (2 * LINE, [2.0, 1.5, 1.0, 0.5, 0.0]),
    (Warmup(over=updates(2)) * LINE.after(updates(2)), [0.0, 0.5, 1.0, 0.75, 0.5, 0.25, 0.0]),
    (
        sequence(Constant(0.25), (updates(2), LINE), (epochs(2), HALVES)),
        [0.25, 0.25, 1.0, 0.75, 0.5, 0.25, 1.0, 1.0, 0.5, 0.5, 0.25],
    ),
    # Begins at 1.5, with its own clock from there.
    (sequence(Constant(3.0), (epochs("0.5"), LINE)), [3.0, 3.0, 0.875, 0.625, 0.375, 0.125, 0.0]),
    (sequence(Constant(3.0), ("50%", Constant(2.0))), [3.0] * 6 + [2.0] * 3),
    (sequence(LINE), [1.0, 0.75, 0.5, 0.25, 0.0]),
    # Of schedules at the same time the later holds, also at the start.
    (sequence(Constant(3.0), (updates(0), LINE)), [1.0, 0.75, 0.5, 0.25, 0.0]),
    (sequence(Constant(3.0), (updates(2), Constant(2.0)), (updates(2), LINE)), [3.0, 3.0, 1.0, 0.75]),
    (sequence(Constant(3.0), (epochs("1/3"), Constant(2.0)), (updates(1), Constant(5.0))), [3.0, 5.0, 5.0]),
    # Epochs count from where the schedule begins.
    (EpochFunction(lambda epoch: float(epoch)).after(updates(2)), [0.0] * 5 + [1.0] * 3 + [2.0]),
    (EpochFunction(lambda epoch: float(epoch)).until(epochs(1)), [0.0] * 3 + [1.0] * 6),
]


@pytest.mark.parametrize(("schedule", "expected"), VALUES, ids=[repr(schedule) for schedule, _ in VALUES])
def test_values_at_each_update(schedule: Schedule, expected: list[float]) -> None:
    assert per_update(schedule, len(expected), updates_per_epoch=3, epochs=4) == expected


# (schedule, the source that its repr is)
SOURCES = [
    (Constant(), "Constant()"),
    (Constant(2), "Constant(value=2.0)"),
    (LINE.after("1 epoch"), "LinearDecay(over=updates(4)).after(epochs(1))"),
    (LINE.until("10%"), "LinearDecay(over=updates(4)).until(percent(10))"),
    (LINE.at_least(0.1).at_most(1), "LinearDecay(over=updates(4)).at_least(0.1).at_most(1.0)"),
    (0.5 * Constant(), "Constant(value=0.5) * Constant()"),
    (Constant() * 0.5, "Constant() * Constant(value=0.5)"),
    (Constant() * Constant(2) * Constant(3), "Constant() * Constant(value=2.0) * Constant(value=3.0)"),
    (Constant() * (Constant(2) * Constant(3)), "Constant() * (Constant(value=2.0) * Constant(value=3.0))"),
    ((Constant() * Constant(2)).after("1 epoch"), "(Constant() * Constant(value=2.0)).after(epochs(1))"),
    ((Constant() * Constant(2)).at_most(1), "(Constant() * Constant(value=2.0)).at_most(1.0)"),
    (sequence(Constant(), ("1 epoch", LINE)), "sequence(Constant(), (epochs(1), LinearDecay(over=updates(4))))"),
    (sequence(Constant()), "sequence(Constant())"),
]


@pytest.mark.parametrize(("schedule", "source"), SOURCES, ids=[source for _, source in SOURCES])
def test_a_schedule_is_a_value_and_its_repr_is_its_source(schedule: Schedule, source: str) -> None:
    namespace: dict[str, object] = {}
    exec("from samestep import *", namespace)
    again = eval(source, namespace)
    assert repr(schedule) == source
    assert again == schedule
    assert hash(again) == hash(schedule)
    assert pickle.loads(pickle.dumps(schedule)) == schedule
    assert Schedule.from_dict(schedule.to_dict()) == schedule


def test_brackets_matter_to_equality_because_they_matter_in_the_last_bit() -> None:
    assert Constant(2) * (Constant(3) * Constant(4)) != Constant(2) * Constant(3) * Constant(4)


def test_a_schedule_cannot_be_changed() -> None:
    with pytest.raises(AttributeError, match="cannot assign to field 'factor'"):
        HALVES.factor = 0.1  # type: ignore[misc]


REFUSED = [
    (lambda: Constant(-1), ValueError, "Constant.value: found -1.0; expected a multiplier of at least 0."),
    (lambda: Constant("1"), TypeError, "Constant.value: found '1' (str); expected a number."),
    (lambda: LINE.after(5), TypeError, "After.begin: found the bare number 5; expected a duration: write epochs(5), "),
    (
        lambda: LINE.until(2.5),
        TypeError,
        "Until.end: found the bare number 2.5; expected a duration: write epochs(5), ",
    ),
    (
        lambda: LINE.after("5"),
        ValueError,
        "After.begin: found '5', which has no known unit; expected a duration",
    ),
    (lambda: LINE.at_least(-1), ValueError, "AtLeast.bound: found -1.0; expected a multiplier of at least 0."),
    (lambda: LINE.at_most(-1), ValueError, "AtMost.bound: found -1.0; expected a multiplier of at least 0."),
    (lambda: LINE.at_most(None), TypeError, "AtMost.bound: found None (NoneType); expected a number."),
    (lambda: -1 * LINE, ValueError, "Constant.value: found -1.0; expected a multiplier of at least 0."),
    (lambda: LINE * "2", TypeError, "Constant.value: found '2' (str); expected a number."),
    (lambda: LINE * None, TypeError, "Constant.value: found None (NoneType); expected a number."),
    (
        lambda: sequence(0.5),
        TypeError,
        "Sequence.first: found 0.5 (float); expected a schedule, such as StepDecay(0.1, ",
    ),
    (
        lambda: sequence(LINE, LINE),
        TypeError,
        "sequence: found LinearDecay(over=updates(4)); expected pairs of a durat",
    ),
    (lambda: sequence(LINE, (LINE, epochs(5))), TypeError, "sequence: found (LinearDecay(over=updates(4)), epochs(5))"),
    (
        lambda: sequence(LINE, (5, LINE)),
        TypeError,
        "sequence: found the bare number 5; expected a duration: write epoch",
    ),
]


@pytest.mark.parametrize(("make", "error", "words"), REFUSED, ids=[words.split(";")[0] for _, _, words in REFUSED])
def test_a_bad_operand_is_refused_in_words(make: Callable[[], object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(words)}"):
        make()


@pytest.mark.parametrize(
    ("times", "text"),
    [((2, 1), "2 epochs, 1 epoch"), ((1, 3, 2), "1 epoch, 3 epochs, 2 epochs"), ((1, 0), "1 epoch, 0 epochs")],
)
def test_times_of_a_sequence_that_decrease_are_refused(times: tuple[int, ...], text: str) -> None:
    schedule = sequence(LINE, *((epochs(time), LINE) for time in times))
    with pytest.raises(ValueError, match=rf"^the learning_rate schedule: sequence: found the times {text}; expected"):
        Recipe(learning_rate=schedule).plan(updates_per_epoch=3, epochs=4)


def test_times_of_a_sequence_are_compared_in_the_run_and_not_as_written() -> None:
    schedule = sequence(Constant(3), (epochs(1), Constant(2)), (updates(2), Constant(1)))
    assert schedule.preview(epochs=3, updates_per_epoch=1) == [3.0, 2.0, 1.0]
    assert schedule.preview(epochs=3, updates_per_epoch=2) == [3.0, 1.0, 1.0]  # both at update 2: the later holds
    with pytest.raises(ValueError, match=r"^sequence: found the times 1 epoch, 2 updates; expected each at or after"):
        schedule.preview(epochs=3, updates_per_epoch=3)


def test_preview_is_the_first_update_of_each_epoch() -> None:
    assert LINE.preview(epochs=4, updates_per_epoch=2) == [1.0, 0.5, 0.0, 0.0]
    assert LinearDecay(over=percent(50)).preview(epochs=4) == [1.0, 0.5, 0.0, 0.0]
    assert StepDecay(0.5, every=epochs("1.5")).preview(epochs=4) == [1.0, 1.0, 0.5, 0.25]


def test_preview_of_a_schedule_in_updates_needs_their_number() -> None:
    with pytest.raises(ValueError, match=r"^'4 updates' needs the number of updates in an epoch"):
        LINE.preview(epochs=4)


@pytest.mark.parametrize(
    ("schedule", "updates_per_epoch", "constant"),
    [
        (Constant(), None, True),
        (StepDecay(0.5, every=epochs(2)), None, True),
        (StepDecay(0.5, every=epochs(2)).after(epochs(1)).until(epochs(7)).at_least(0.1).at_most(2), 3, True),
        (StepDecay(0.5, every=epochs(2)) * EpochFunction(lambda epoch: 1.0), 3, True),
        (sequence(Constant(0.1), (epochs(1), StepDecay(0.5, every=epochs(2)))), 3, True),
        (StepDecay(0.5, every=updates(6)), 3, True),
        (MultiStepDecay(0.5, at=[epochs(2), updates(9)]), 3, True),
        (MultiStepDecay(0.5, at=[epochs(2), updates(8)]), 3, False),
        (Table([1.0, 0.5], every=epochs(2)), 3, True),
        (Table([1.0, 0.5], every=updates(2)), 3, False),
        (InverseTimeDecay(0.5, every=epochs(1), staircase=True), 3, True),
        (StepDecay(0.5, every=percent(25)), 3, True),
        (StepDecay(0.5, every=percent(10)), 3, False),
        (StepDecay(0.5, every=updates(4)), 3, False),
        (StepDecay(0.5, every=epochs("1.5")), None, False),
        (StepDecay(0.5, every=epochs(2)).after(updates(1)), 3, False),
        (StepDecay(0.5, every=epochs(2), first=epochs("0.5")), None, False),
        (EpochFunction(lambda epoch: 1.0).after(epochs("0.5")), None, False),
        (sequence(Constant(0.1), (updates(4), Constant())), 3, False),
        (sequence(Constant(0.1), (epochs(1), LinearDecay(over=epochs(1)))), None, False),
        (Constant() * CosineDecay(over=epochs(4)), 3, False),
        (ExponentialDecay(0.5, every=epochs(1)).at_most(0.5), 3, False),
        (InverseTimeDecay(0.5, every=epochs(1)), 3, False),
        (Warmup(over=epochs(1)), 3, False),
    ],
    ids=repr,
)
def test_what_can_change_within_an_epoch_is_known(schedule: Schedule, updates_per_epoch: int, constant: bool) -> None:
    plan = Plan(Recipe(learning_rate=1.0 * schedule), Clock(updates_per_epoch, 4))
    assert plan.constant_within_epochs("learning_rate") is constant
