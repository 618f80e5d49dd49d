"""A plan as a table and in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

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
    updates,
)
from samestep.core.schedules.ticks import Curve, Ticks

RECIPE = Recipe(
    AdamW(learning_rate=0.5, weight_decay=0.25),
    learning_rate=StepDecay(0.5, every=epochs("1.5")),
    weight_decay=LinearDecay(over=updates(4), end=0.5),
)
PLAN = RECIPE.plan(updates_per_epoch=3, epochs=4)
SCHEDULES = Recipe(learning_rate=StepDecay(0.5, every=epochs(2)).after("1 epoch") * Warmup(over=epochs(2)))


def test_the_table_has_a_row_for_each_epoch() -> None:
    assert PLAN.table().splitlines() == [
        "epoch  first update  learning_rate      weight_decay  momentum",
        "    0             0            0.5    0.25 .. 0.1875       0.9",
        "    1             3    0.5 .. 0.25  0.15625 .. 0.125       0.9",
        "    2             6           0.25             0.125       0.9",
        "    3             9          0.125             0.125       0.9",
    ]


def test_the_last_row_of_the_table_ends_with_the_run() -> None:
    plan = Recipe(learning_rate=LinearDecay(over=updates(8))).plan(updates_per_epoch=5, epochs=3, max_updates=7)
    assert plan.table().splitlines() == [
        "epoch  first update  learning_rate",
        "    0             0       1 .. 0.5",
        "    1             5  0.375 .. 0.25",
    ]


def test_the_table_of_schedules_alone_shows_multiples_of_the_base() -> None:
    assert SCHEDULES.plan(epochs=4).table().splitlines() == [
        "epoch  first update  learning_rate",
        "    0             ?              0",
        "    1             ?            0.5",
        "    2             ?              1",
        "    3             ?            0.5",
    ]


def test_the_plan_is_explained_in_words() -> None:
    # (1 - 0.5 * 0.25) * (1 - 0.5 * 0.21875) * (1 - 0.5 * 0.1875) = 1 - 0.293762...; log(0.5) / log(0.875) = 5.19089...
    assert PLAN.explain().splitlines() == [
        "4 epochs of 3 updates.",
        "learning_rate: StepDecay(factor=0.5, every=epochs('1.5'))",
        "  from the start: 0.5",
        "  update 5 (update 2 of epoch 1): 0.5 -> 0.25",
        "  update 9 (first update of epoch 3): 0.25 -> 0.125",
        "weight_decay: LinearDecay(over=updates(4), end=0.5)",
        "  from the start: 0.25",
        "  updates 1-4 (epochs 0-1): 0.25 -> 0.125, every update",
        "momentum: Constant()",
        "  from the start: 0.9",
        "weights without a gradient:",
        "  shrink by 12.5 % in the first update",
        "  by 29.3762 % in the first epoch, by 48.723 % in the run",
        "  at the first update's rate they would halve in 5.19089 updates",
        "possible mistakes:",
        *(f"  {sentence}" for sentence in PLAN.lint()),
    ]
    assert len(PLAN.lint()) == 1


def test_a_plan_of_which_nothing_is_odd_ends_without_warnings() -> None:
    plan = Recipe(AdamW(), learning_rate=CosineDecay(over="100%")).plan(updates_per_epoch=10, epochs=3)
    assert plan.lint() == []
    assert plan.explain().splitlines()[-1] == "  at the first update's rate they would halve in 69314.4 updates"


def test_the_gate_of_the_first_example_is_at_update_1955() -> None:
    recipe = Recipe(AdamW(learning_rate=1e-3), learning_rate=StepDecay(0.1, every=epochs(5)))
    assert recipe.plan(updates_per_epoch=391, epochs=11).explain().splitlines()[1:5] == [
        "learning_rate: StepDecay(factor=0.1, every=epochs(5))",
        "  from the start: 0.001",
        "  update 1955 (first update of epoch 5): 0.001 -> 0.0001",
        "  update 3910 (first update of epoch 10): 0.0001 -> 1e-05",
    ]


def test_a_plan_of_schedules_alone_is_explained_as_multiples_and_a_turn_starts_a_new_line() -> None:
    recipe = Recipe(learning_rate=Warmup(over=epochs(4), start=0.5) * LinearDecay(over=epochs(6)).after(epochs(4)))
    assert recipe.plan(epochs=10).explain().splitlines() == [
        "10 epochs of an unknown number of updates.",
        "learning_rate (as a multiple of the base value): "
        "Warmup(over=epochs(4), start=0.5) * LinearDecay(over=epochs(6)).after(epochs(4))",
        "  from the start: 0.5",
        "  epochs 1-4: 0.5 -> 1, every epoch",
        "  epochs 5-9: 1 -> 0.166667, every epoch",
    ]


def test_a_change_in_every_epoch_is_one_line_with_the_runs_updates() -> None:
    recipe = Recipe(weight_decay=EpochFunction(lambda epoch: float(epoch)))
    assert recipe.plan(updates_per_epoch=5, epochs=4).explain().splitlines()[2:] == [
        "  from the start: 0",
        "  updates 5-15 (epochs 1-3): 0 -> 3, every epoch",
    ]


def test_two_changes_in_a_row_are_told_one_by_one_and_three_together() -> None:
    def told(values: list[float]) -> list[str]:
        plan = Recipe(learning_rate=Table(values, every=updates(1))).plan(updates_per_epoch=9, epochs=1)
        return plan.explain().splitlines()[3:]

    assert told([1, 2, 3, 3]) == [
        "  update 1 (update 1 of epoch 0): 1 -> 2",
        "  update 2 (update 2 of epoch 0): 2 -> 3",
    ]
    assert told([1, 1, 2, 3, 4, 4]) == [
        "  updates 2-4 (epoch 0): 1 -> 4, every update",
    ]


def test_every_time_of_a_multi_step_decay_is_told() -> None:
    recipe = Recipe(learning_rate=MultiStepDecay(0.5, at=[updates(3), epochs(2), "50%"]))
    assert recipe.plan(updates_per_epoch=4, epochs=3).explain().splitlines()[3:] == [
        "  update 3 (update 3 of epoch 0): 1 -> 0.5",
        "  update 6 (update 2 of epoch 1): 0.5 -> 0.25",
        "  update 8 (first update of epoch 2): 0.25 -> 0.125",
    ]


def test_weights_that_are_gone_have_no_half_life() -> None:
    lines = Recipe(AdamW(learning_rate=2.0, weight_decay=0.5)).plan(2, 2).explain().splitlines()
    assert lines[-3:] == [
        "weights without a gradient:",
        "  shrink by 100 % in the first update",
        "  vanish or change their sign where learning_rate * weight_decay is 1 or more",
    ]
    later = Recipe(AdamW(learning_rate=1.0, weight_decay=0.5), learning_rate=Table([1, 3], every=epochs(1)))
    assert later.plan(2, 2).explain().splitlines()[-3:] == [
        "  shrink by 50 % in the first update",
        "  vanish or change their sign where learning_rate * weight_decay is 1 or more",
        "  at the first update's rate they would halve in 1 updates",
    ]


def test_the_shrink_of_a_run_that_ends_within_an_epoch_is_that_of_its_updates() -> None:
    recipe = Recipe(AdamW(learning_rate=0.5, weight_decay=0.25), learning_rate=StepDecay(0.5, every=epochs(1)))
    # 1 - 0.875 ** 3 and 1 - 0.875 ** 3 * 0.9375 ** 2; of an epoch of which there are two updates, 1 - 0.875 ** 2.
    whole, first = recipe.plan(3, 4, max_updates=5).explain(), recipe.plan(3, 4, max_updates=2).explain()
    assert "  by 33.0078 % in the first epoch, by 41.1201 % in the run" in whole.splitlines()
    assert "  by 23.4375 % in the first epoch, by 23.4375 % in the run" in first.splitlines()


@dataclass(frozen=True, repr=False)
class CountedByEpoch(Schedule):
    """A staircase by epochs that writes down where it was asked."""

    asked: list = field(default_factory=list, compare=False)
    _stepwise: ClassVar[bool] = True

    def durations(self) -> Iterator[Duration]:
        yield epochs(1)

    def curve(self, ticks: Ticks) -> Curve:
        return lambda t: self.asked.append(t) or 1.0


def test_a_value_that_stays_within_an_epoch_is_asked_for_once() -> None:
    asked: list[int] = []
    plan = Recipe(AdamW(), learning_rate=CountedByEpoch(asked)).plan(updates_per_epoch=10**6, epochs=10)
    plan.lint()
    of_lint = len(asked)
    asked.clear()
    plan.explain()
    # Once for the changes and the lint, and once for the shrink.
    assert asked == [epoch * 10**6 for epoch in range(10)] * 2
    assert of_lint == 10


def test_the_momentum_of_schedules_alone_is_shown_as_a_multiple_of_the_base() -> None:
    plan = Recipe(momentum=Table([1, 1.5], every=updates(3))).plan(updates_per_epoch=2, epochs=3)
    assert plan.explain().splitlines() == [
        "3 epochs of 2 updates.",
        "momentum (as a multiple of the base value): Table(values=(1.0, 1.5), every=updates(3))",
        "  from the start: 1",
        "  update 3 (update 1 of epoch 1): 1 -> 1.5",
    ]
    assert plan.table().splitlines()[2] == "    1             2  1 .. 1.5"
    assert plan.lint() == []
    assert plan.diff(plan) == ""


@pytest.mark.parametrize("what", ["table", "explain", "lint"])
def test_words_and_tables_need_the_number_of_epochs(what: str) -> None:
    with pytest.raises(
        ValueError, match=rf"^{what}\(\) needs the number of epochs, which is unknown; give plan\(epochs="
    ):
        getattr(RECIPE.plan(updates_per_epoch=3), what)()


def test_a_constant_is_told_in_one_line() -> None:
    assert Recipe(learning_rate=Constant(0.5)).plan(3, 4).explain().splitlines()[1:] == [
        "learning_rate (as a multiple of the base value): Constant(value=0.5)",
        "  from the start: 0.5",
    ]


def test_a_change_is_told_with_as_many_digits_as_show_it() -> None:
    values = [1, 1 + 1e-10, 1, 1 + 2**-52, 2]
    plan = Recipe(learning_rate=Table(values, every=updates(1))).plan(updates_per_epoch=9, epochs=1)
    assert [line.rpartition(": ")[2] for line in plan.explain().splitlines()[3:7]] == [
        "1 -> 1.0000000001",
        "1.0000000001 -> 1",
        "1 -> 1.0000000000000002",
        "1 -> 2",
    ]
    assert "1 .. 1.0000000001" in Recipe(learning_rate=Table(values[:2], every=updates(1))).plan(2, 1).table()


def test_a_plan_with_values_that_cannot_be_used_is_explained_up_to_there_and_they_are_findings() -> None:
    def fails(epoch: int) -> float:
        return -1.0 if epoch == 2 else 1.0

    recipe = Recipe(
        AdamW(betas=(0.5, 0.999)),
        learning_rate=StepDecay(1e160, every="2 epochs").until("5 epochs") * 1.0,
        weight_decay=EpochFunction(fails),
        momentum=Table([1, 2, 1], every="1 epoch"),
    )
    plan = recipe.plan(updates_per_epoch=10, epochs=5)
    lines = plan.explain().splitlines()
    assert lines[2:5] == [
        "  from the start: 0.001",
        "  update 20 (first update of epoch 2): 0.001 -> 1e+157",
        "  update 40 (first update of epoch 4): no value that can be used",
    ]
    assert lines[6:8] == ["  from the start: 0.01", "  update 20 (first update of epoch 2): no value that can be used"]
    assert lines[9:12] == [
        "  from the start: 0.5",
        "  update 10 (first update of epoch 1): 0.5 -> 1",
        "  update 20 (first update of epoch 2): 1 -> 0.5",
    ]
    # What the decay does is unknown where it has no value.
    assert lines[12:] == ["possible mistakes:", *(f"  {sentence}" for sentence in plan.lint())]
    assert [sentence.partition(" at ")[0] for sentence in plan.lint()] == [
        "the learning_rate schedule",
        "the weight_decay schedule",
        "the momentum",
    ]
    assert Recipe(learning_rate=EpochFunction(lambda epoch: -1.0)).plan(2, 2).explain().splitlines()[2] == (
        "  update 0 (first update of epoch 0): no value that can be used"
    )


def test_what_an_l1_decay_leaves_of_a_weight_is_told_by_its_share() -> None:
    lines = Recipe(AdamW(learning_rate=1.0, weight_decay=4.0, l1_ratio=0.5)).plan(2, 2).explain().splitlines()
    assert "  vanish or change their sign where learning_rate * weight_decay * (1 - l1_ratio) is 1 or more" in lines
