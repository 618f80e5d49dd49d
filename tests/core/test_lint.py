"""What a plan probably does not mean: each warning, and the nearest schedule that has none."""

from __future__ import annotations

import pytest

from samestep import (
    AdamW,
    Constant,
    CosineDecay,
    Duration,
    EpochFunction,
    LinearDecay,
    MultiStepDecay,
    Recipe,
    Schedule,
    StepDecay,
    Table,
    Warmup,
    epochs,
    noam,
    one_cycle,
    percent,
    sequence,
    updates,
    warmup_stable_decay,
)

LATE = "is never reached: the run ends before"
PART = "is never reached: its part of the run ends before"
FIRST = "updates 0-9 (epoch 0) have the value 0 and change no weight: let the schedule start above 0"
LAST = "update 99 (update 9 of epoch 9), the last one, has the value 0 and changes no weight: "


def linted(schedule: Schedule, name: str = "learning_rate", base: float = 0.5) -> list[str]:
    """The findings in a run of 10 updates in each of 10 epochs, without the hyperparameter's name."""
    spec = AdamW(learning_rate=base, weight_decay=base, betas=(base, 0.999))
    found = Recipe(spec, **{name: schedule}).plan(updates_per_epoch=10, epochs=10).lint()
    assert all(sentence.startswith(f"{name}: ") for sentence in found)
    return [sentence.removeprefix(f"{name}: ") for sentence in found]


# (a schedule, its findings; the nearest schedule that has none)
FOUND: list[tuple[Schedule, list[str], Schedule]] = [
    (Warmup("5 epochs").after("9 updates"), [FIRST], Warmup("5 epochs")),
    (Table([0, 1], every="1 epoch"), [FIRST], noam("1 epoch")),
    (
        Constant(0.0),
        ["every update has the value 0 and changes no weight: let the schedule start above 0"],
        Constant(0.1),
    ),
    # Zeros in between: stretches one by one, single updates together.
    (
        sequence(LinearDecay("5 epochs"), ("6 epochs", LinearDecay("4 epochs"))),
        ["updates 50-59 (epoch 5) have the value 0 and change no weight"],
        sequence(LinearDecay("5 epochs"), ("5 epochs", LinearDecay("5 epochs"))),
    ),
    (
        sequence(LinearDecay("5 epochs"), ("51 updates", LinearDecay("49 updates"))),
        ["update 50 (first update of epoch 5) has the value 0 and changes no weight"],
        sequence(LinearDecay("5 epochs"), ("50 updates", LinearDecay("5 epochs"))),
    ),
    (
        Warmup("25 updates", inclusive=True).repeat("25 updates"),
        ["updates 25, 50, 75 have the value 0 and change no weight"],
        Warmup("25 updates", start=0.1, inclusive=True).repeat("25 updates"),
    ),
    # A value that float32 rounds to 0.
    (
        StepDecay(1e-12, every="2 epochs"),
        [
            "updates 80-99 (epochs 8-9), the last ones, have the value 0 in float32 and change no weight: bound the "
            "schedule with .at_least(...)"
        ],
        StepDecay(1e-12, every="2 epochs").at_least(1e-40),
    ),
    (CosineDecay("100%", inclusive=True), [LAST + "leave inclusive=True out, or end above 0"], CosineDecay("100%")),
    (
        0.5 * CosineDecay("10%", inclusive=True).after("90%").at_most(0.5),
        [LAST + "leave inclusive=True out, or end above 0"],
        0.5 * CosineDecay("10%", inclusive=True, end=0.1).after("90%").at_most(0.5),
    ),
    (CosineDecay("99 updates"), [LAST + "end above 0"], CosineDecay("99 updates", end=0.1)),
    (MultiStepDecay(0, at=["99 updates"]), [LAST + "end above 0"], MultiStepDecay(0.1, at=["99 updates"])),
    (
        MultiStepDecay(0, at=["98 updates"]),
        [
            "updates 98-99 (epoch 9), the last ones, have the value 0 and change no weight: end above 0",
        ],
        MultiStepDecay(0.1, at=["98 updates"]),
    ),
    (
        CosineDecay("98 updates", inclusive=True),
        [
            "CosineDecay(over=updates(98), inclusive=True): reaches its end value 0 at update 97 (update 7 of epoch 9) "
            "and stays there for the rest of the run",
            "updates 97-99 (epoch 9), the last ones, have the value 0 and change no weight: end above 0",
        ],
        CosineDecay("100 updates", inclusive=True, end=0.1),
    ),
    (
        LinearDecay("97.5 updates", end=0.5),
        [
            "LinearDecay(over=updates('97.5'), end=0.5): reaches its end value 0.5 at update 98 (update 8 of epoch 9) "
            "and stays there for the rest of the run"
        ],
        LinearDecay("99 updates", end=0.5),
    ),
    (
        LinearDecay("99 updates", end=0.5, inclusive=True),
        [
            "LinearDecay(over=updates(99), inclusive=True, end=0.5): reaches its end value 0.5 at update 98 "
            "(update 8 of epoch 9) and stays there for the rest of the run"
        ],
        LinearDecay("100 updates", end=0.5, inclusive=True),
    ),
    (
        CosineDecay("5 epochs", end=0.5).after("4 epochs"),
        [
            "CosineDecay(over=epochs(5), end=0.5): reaches its end value 0.5 at update 90 (first update of epoch 9) "
            "and stays there for the rest of the run"
        ],
        CosineDecay("6 epochs", end=0.5).after("4 epochs"),
    ),
    (
        CosineDecay("101%", end=0.5),
        ["CosineDecay(over=percent(101), end=0.5): its end lies after the run, 0.5 is never reached"],
        CosineDecay("100%", end=0.5),
    ),
    (
        CosineDecay("7 epochs", end=0.5).after("4 epochs"),
        ["CosineDecay(over=epochs(7), end=0.5): its end lies after the run, 0.5 is never reached"],
        CosineDecay("6 epochs", end=0.5).after("4 epochs"),
    ),
    (
        Warmup("101 updates", start=0.5),
        ["Warmup(over=updates(101), start=0.5): the warmup is longer than the run, 1 is never reached"],
        Warmup("100 updates", start=0.5),
    ),
    (
        sequence(Warmup("3 epochs", start=0.5), ("2 epochs", Constant())),
        ["Warmup(over=epochs(3), start=0.5): the warmup is longer than its part of the run, 1 is never reached"],
        sequence(Warmup("2 epochs", start=0.5), ("2 epochs", Constant())),
    ),
    (
        LinearDecay("5 epochs", end=0.5).repeat("4 epochs"),
        ["LinearDecay(over=epochs(5), end=0.5): its end lies after its part of the run, 0.5 is never reached"],
        LinearDecay("4 epochs", end=0.5).repeat("4 epochs"),
    ),
    (
        StepDecay(0.5, every="4 updates").repeat("4 updates"),
        [f"StepDecay(factor=0.5, every=updates(4)): the first drop, after '4 updates', {PART}"],
        StepDecay(0.5, every="3 updates").repeat("4 updates"),
    ),
    (
        LinearDecay("5 epochs", end=0.5).until("4 epochs"),
        ["LinearDecay(over=epochs(5), end=0.5): its end lies after its part of the run, 0.5 is never reached"],
        LinearDecay("5 epochs", end=0.5).until("5 epochs"),
    ),
    # What comes between the last update and the run's end is asked by none.
    (
        StepDecay(0.5, every="99.1 updates"),
        [f"StepDecay(factor=0.5, every=updates('99.1')): the first drop, after '99.1 updates', {LATE}"],
        StepDecay(0.5, every="99 updates"),
    ),
    (
        StepDecay(0.5, every="51 updates").until("5 epochs"),
        [f"StepDecay(factor=0.5, every=updates(51)): the first drop, after '51 updates', {PART}"],
        StepDecay(0.5, every="50 updates").until("5 epochs"),
    ),
    (
        sequence(StepDecay(0.5, every="3.85 epochs"), ("38.9 updates", Constant(0.1))),
        [f"StepDecay(factor=0.5, every=epochs('3.85')): the first drop, after '3.85 epochs', {PART}"],
        sequence(StepDecay(0.5, every="3.8 epochs"), ("38.1 updates", Constant(0.1))),
    ),
    (
        Table([3, 2, 1], every="50 updates"),
        [f"Table(values=(3.0, 2.0, 1.0), every=updates(50)): the last of 3 values, after '2 x 50 updates', {LATE}"],
        Table([3, 2, 1], every="49.5 updates"),
    ),
    (
        StepDecay(0.5, every="1 epoch", first="10 epochs"),
        [f"StepDecay(factor=0.5, every=epochs(1), first=epochs(10)): the first drop, after '10 epochs', {LATE}"],
        StepDecay(0.5, every="10 epochs", first="9 epochs"),
    ),
    (
        StepDecay(0.5, every="4 epochs").after("6 epochs"),
        [f"StepDecay(factor=0.5, every=epochs(4)): the first drop, after '4 epochs', {LATE}"],
        StepDecay(0.5, every="4 epochs").after("5 epochs"),
    ),
    (
        sequence(StepDecay(0.5, every="4 epochs"), ("4 epochs", Constant(0.1))),
        [f"StepDecay(factor=0.5, every=epochs(4)): the first drop, after '4 epochs', {PART}"],
        sequence(StepDecay(0.5, every="3 epochs"), ("4 epochs", Constant(0.1))),
    ),
    (
        MultiStepDecay(0.5, at=["5 epochs", "10 epochs", "10 epochs", "11 epochs"]),
        [
            "MultiStepDecay(factor=0.5, at=(epochs(5), epochs(10), epochs(10), epochs(11))): the drop, after "
            f"'{when}', {LATE}"
            for when in ("10 epochs", "11 epochs")
        ],
        MultiStepDecay(0.5, at=["5 epochs", "99 updates"]),
    ),
    (
        StepDecay(0.5, every="1 epoch").after("100%"),
        [f"StepDecay(factor=0.5, every=epochs(1)).after(percent(100)): its beginning, after '100%', {LATE}"],
        StepDecay(0.5, every="1 epoch").after("89%"),
    ),
    (
        sequence(Constant(), ("5 epochs", Constant(0.5)), ("10 epochs", Constant(0.1))),
        [
            "sequence(Constant(), (epochs(5), Constant(value=0.5)), (epochs(10), Constant(value=0.1))): the next "
            f"schedule, after '10 epochs', {LATE}"
        ],
        sequence(Constant(), ("5 epochs", Constant(0.5)), ("99 updates", Constant(0.1))),
    ),
    (
        Constant(0.5).repeat("10 epochs", decay=0.5),
        [f"Constant(value=0.5).repeat(epochs(10), decay=0.5): the second cycle, after '10 epochs', {LATE}"],
        Constant(0.5).repeat("99 updates", decay=0.5),
    ),
    # Wherever it stands in a schedule.
    (
        (0.5 * StepDecay(0.5, every="10 epochs").at_least(0.1)).at_most(2),
        [f"StepDecay(factor=0.5, every=epochs(10)): the first drop, after '10 epochs', {LATE}"],
        (0.5 * StepDecay(0.5, every="9 epochs").at_least(0.1)).at_most(2),
    ),
    (
        sequence(Constant(0.5), ("2 epochs", Constant(0.5).after("8 epochs"))),
        [f"Constant(value=0.5).after(epochs(8)): its beginning, after '8 epochs', {LATE}"],
        sequence(Constant(0.5), ("2 epochs", Constant(0.5).after("7 epochs"))),
    ),
]


@pytest.mark.parametrize(("schedule", "expected", "near"), FOUND, ids=[repr(schedule) for schedule, _, _ in FOUND])
def test_a_warning_is_given_and_the_nearest_schedule_has_none(
    schedule: Schedule, expected: list[str], near: Schedule
) -> None:
    assert linted(schedule) == expected
    assert linted(near) == []


CLEAN: list[Schedule] = [
    Constant(),
    CosineDecay("100%"),
    CosineDecay("100%", end=0.1, inclusive=True),
    Warmup("1 epoch", start=0.1) * CosineDecay("9 epochs").after("1 epoch"),
    sequence(Warmup("5%", start=0.1), ("5%", CosineDecay("95%"))),
    CosineDecay("2 epochs").repeat("2 epochs", growth=2, decay=0.5),
    one_cycle(),
    one_cycle(inclusive=True, three_phase=True),
    warmup_stable_decay(warmup="5%", cooldown="20%", start=0.1),
    StepDecay(0.1, every="3 epochs"),
    EpochFunction(lambda epoch: 1.0 / (epoch + 1)),
    Table([0.5, 1.0, 0.5], every="3 epochs"),
]


@pytest.mark.parametrize("schedule", CLEAN, ids=repr)
def test_what_is_probably_meant_has_no_warning(schedule: Schedule) -> None:
    assert linted(schedule) == []
    assert Recipe(learning_rate=schedule * 0.5).plan(updates_per_epoch=10, epochs=10).lint() == []


@pytest.mark.parametrize("name", ["weight_decay", "momentum"])
@pytest.mark.parametrize("schedule", [Warmup("1 epoch"), LinearDecay("100%", inclusive=True)], ids=repr)
def test_a_weight_decay_or_a_momentum_of_0_is_nothing_odd(name: str, schedule: Schedule) -> None:
    assert linted(schedule, name) == []


@pytest.mark.parametrize("name", ["weight_decay", "momentum"])
def test_the_other_warnings_are_for_every_hyperparameter(name: str) -> None:
    late = StepDecay(0.5, every="10 epochs")
    assert linted(late, name) == [f"{late!r}: the first drop, after '10 epochs', {LATE}"]


@pytest.mark.parametrize(
    ("schedule", "remedy"),
    [
        # The one that is inclusive is over before, or does not end at 0, or is not the only one that does.
        (CosineDecay("10 updates", inclusive=True, end=0.5) * CosineDecay("99 updates"), "end above 0"),
        (CosineDecay("100%", inclusive=True, end=0.5) * CosineDecay("99 updates"), "end above 0"),
        (CosineDecay("100%", inclusive=True) * CosineDecay("99 updates"), "end above 0"),
        (sequence(Warmup("1 epoch", inclusive=True), ("1 epoch", CosineDecay("89 updates"))), "end above 0"),
        (Warmup("1 epoch", inclusive=True) * MultiStepDecay(0, at=["99 updates"]), "end above 0"),
        (
            sequence(CosineDecay("1 epoch"), ("1 epoch", CosineDecay("9 epochs", inclusive=True))),
            "leave inclusive=True out, or end above 0",
        ),
        (CosineDecay("5 epochs", inclusive=True).after("5 epochs"), "leave inclusive=True out, or end above 0"),
        (CosineDecay("2 epochs", inclusive=True).repeat("2 epochs"), "leave inclusive=True out, or end above 0"),
    ],
    ids=repr,
)
def test_the_remedy_for_a_last_update_of_0_is_one_for_the_ramp_that_ends_there(schedule: Schedule, remedy: str) -> None:
    assert LAST + remedy in linted(schedule)


def test_the_only_update_of_a_run_is_the_first() -> None:
    assert Recipe(learning_rate=Warmup("1 update")).plan(1, 1).lint() == [
        "learning_rate: every update has the value 0 and changes no weight: let the schedule start above 0"
    ]


def test_findings_come_in_the_order_of_the_hyperparameters() -> None:
    late = StepDecay(0.5, every="9 epochs")
    recipe = Recipe(AdamW(), learning_rate=Warmup("9 epochs") * late, weight_decay=late, momentum=late)
    found = recipe.plan(updates_per_epoch=2, epochs=5).lint()
    assert [sentence.split(":")[0] for sentence in found] == ["learning_rate"] * 2 + ["weight_decay", "momentum"]


def test_a_run_in_epochs_of_unknown_length_is_looked_at_by_epoch() -> None:
    recipe = Recipe(AdamW(), learning_rate=StepDecay(0.5, every="10 epochs") * LinearDecay("12 epochs", end=0.5))
    assert recipe.plan(epochs=10).lint() == [
        f"learning_rate: StepDecay(factor=0.5, every=epochs(10)): the first drop, after '10 epochs', {LATE}",
        "learning_rate: LinearDecay(over=epochs(12), end=0.5): its end lies after the run, 0.5 is never reached",
    ]
    assert recipe.plan(epochs=12).lint() == []


def test_the_end_of_the_run_is_that_of_max_updates() -> None:
    recipe = Recipe(AdamW(), learning_rate=StepDecay(0.5, every="5 epochs"))
    assert recipe.plan(updates_per_epoch=10, epochs=10).lint() == []
    assert len(recipe.plan(updates_per_epoch=10, epochs=10, max_updates=50).lint()) == 1
    assert recipe.plan(updates_per_epoch=10, epochs=10, max_updates=51).lint() == []


def test_a_part_of_a_run_is_measured_in_the_runs_updates_whatever_the_units() -> None:
    def found(every: Duration) -> int:
        return len(linted(sequence(Constant(0.5), (percent(50), StepDecay(0.5, every=every)))))

    assert found(updates(50) - epochs("0.1")) == 0
    assert found(updates(50) - epochs("0.05")) == found(updates(50)) == 1


def test_a_drop_that_only_later_cycles_reach_is_reached() -> None:
    schedule = StepDecay(0.5, every="3.5 updates").repeat("4 updates", growth=2)
    assert schedule.preview(epochs=12, updates_per_epoch=1)[10:] == [1.0, 0.5]
    assert Recipe(learning_rate=schedule).plan(10, 10).lint() == []
