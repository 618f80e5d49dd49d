"""Where two plans part."""

from __future__ import annotations

import re

import pytest

from samestep import (
    SGDW,
    AdamW,
    Constant,
    CosineDecay,
    LinearDecay,
    MultiStepDecay,
    Plan,
    Recipe,
    Schedule,
    Spec,
    StepDecay,
    Table,
    epochs,
    updates,
)


def plan(updates_per_epoch: int | None = 5, epochs: int | None = 4, **schedules: object) -> Plan:
    recipe = Recipe(AdamW(learning_rate=0.5, weight_decay=0.25, betas=(0.5, 0.999)), **schedules)  # type: ignore[arg-type]
    return recipe.plan(updates_per_epoch, epochs)


def test_equal_plans_do_not_differ() -> None:
    assert plan().diff(plan()) == ""
    assert (
        plan(learning_rate=StepDecay(0.5, every="1 epoch")).diff(plan(learning_rate=StepDecay(0.5, every="5 updates")))
        == ""
    )
    assert plan(learning_rate=LinearDecay("100%")).diff(plan(learning_rate=LinearDecay("4 epochs"))) == ""
    # They part only after the run.
    assert plan(learning_rate=StepDecay(0.5, every="20 updates")).diff(plan()) == ""


def test_the_first_and_the_largest_difference_are_told() -> None:
    ours = plan(learning_rate=LinearDecay(updates(8)))
    theirs = plan(learning_rate=LinearDecay(updates(4)).after(updates(2)))
    # Ours: 0.5, 0.4375, 0.375 ... at every update; theirs stays at 0.5 for two updates and is at 0 after six.
    assert ours.diff(theirs) == (
        "learning_rate: the first difference is at update 1 (update 1 of epoch 0): 0.4375 and 0.5; "
        "furthest apart at update 2 (update 2 of epoch 0): 0.375 and 0.5"
    )
    assert theirs.diff(ours) == (
        "learning_rate: the first difference is at update 1 (update 1 of epoch 0): 0.5 and 0.4375; "
        "furthest apart at update 2 (update 2 of epoch 0): 0.5 and 0.375"
    )


def test_the_furthest_is_the_first_of_equally_far_ones() -> None:
    ours, theirs = plan(learning_rate=Table([1, 1, 0.5, 0.5, 1], every="1 update")), plan()
    assert ours.diff(theirs) == (
        "learning_rate: the first difference is at update 2 (update 2 of epoch 0): 0.25 and 0.5, and none is larger"
    )
    ours = plan(learning_rate=Table([1, 0.75, 0.5, 0.5, 1], every="1 epoch"))
    assert ours.diff(theirs) == (
        "learning_rate: the first difference is at update 5 (first update of epoch 1): 0.375 and 0.5; "
        "furthest apart at update 10 (first update of epoch 2): 0.25 and 0.5"
    )


def test_every_hyperparameter_has_a_line_of_its_own() -> None:
    ours = plan(
        learning_rate=StepDecay(0.5, every=epochs(3)),
        weight_decay=MultiStepDecay(0.5, at=[updates(7), updates(9)]),
        momentum=Constant(0.5),
    )
    assert ours.diff(plan()).splitlines() == [
        "learning_rate: the first difference is at update 15 (first update of epoch 3): 0.25 and 0.5, "
        "and none is larger",
        "weight_decay: the first difference is at update 7 (update 2 of epoch 1): 0.125 and 0.25; "
        "furthest apart at update 9 (update 4 of epoch 1): 0.0625 and 0.25",
        "momentum: the first difference is at update 0 (first update of epoch 0): 0.25 and 0.5, and none is larger",
    ]


def test_the_last_update_of_the_shorter_run_is_compared_and_the_lengths_are_told() -> None:
    longer = plan(epochs=6, learning_rate=StepDecay(0.5, every="19 updates"))
    assert plan().diff(longer).splitlines() == [
        "learning_rate: the first difference is at update 19 (update 4 of epoch 3): 0.5 and 0.25, and none is larger",
        "the run: 20 and 30 updates",
    ]
    assert longer.diff(plan()).splitlines()[1] == "the run: 30 and 20 updates"
    assert plan().diff(plan(epochs=6, learning_rate=StepDecay(0.5, every="20 updates"))) == "the run: 20 and 30 updates"


def test_plans_in_epochs_alone_are_compared_by_epoch() -> None:
    ours = plan(None, 4, learning_rate=CosineDecay("4 epochs"))
    theirs = plan(None, 4, learning_rate=CosineDecay("4 epochs", end=1.0).until("4 epochs"))
    assert ours.diff(theirs) == (
        "learning_rate: the first difference is at first update of epoch 1: 0.426777 and 0.5; "
        "furthest apart at first update of epoch 3: 0.0732233 and 0.5"
    )
    assert plan(None, 4).diff(plan(None, 5)) == "the run: 4 and 5 epochs"


def test_a_difference_that_six_digits_do_not_show_is_told_with_all() -> None:
    ours = plan(learning_rate=Table([1, 0.2, 0.2], every="1 update"))
    theirs = plan(learning_rate=Table([1, 0.2 + 2e-9, 0.3], every="1 update"))
    assert ours.diff(theirs) == (
        "learning_rate: the first difference is at update 1 (update 1 of epoch 0): 0.1 and 0.100000001; "
        "furthest apart at update 2 (update 2 of epoch 0): 0.1 and 0.15"
    )


def test_schedules_alone_are_compared_as_multiples_of_the_base() -> None:
    ours = Recipe(learning_rate=Constant(3), momentum=Constant(2)).plan(5, 4)
    theirs = Recipe(learning_rate=Constant(3), momentum=Table([2, 4], every="1 epoch")).plan(5, 4)
    assert ours.diff(theirs) == (
        "momentum: the first difference is at update 5 (first update of epoch 1): 2 and 4, and none is larger"
    )
    words = (
        "diff: found a recipe with an optimizer and one without, whose values are multiples of the base values; give "
        "both an optimizer, or neither."
    )
    for a, b in ((ours, plan()), (plan(), ours)):
        with pytest.raises(ValueError, match=f"^{re.escape(words)}$"):
            a.diff(b)


@pytest.mark.parametrize(
    ("ours", "theirs", "words"),
    [
        (plan(5), plan(6), r"^diff: found plans of 5 and 6 updates per epoch; expected the same number\."),
        (plan(5), plan(None), r"^diff: found plans of 5 and None updates per epoch; expected the same number\."),
        (plan(5, None), plan(5), r"^diff\(\) needs the number of epochs, which is unknown; give plan\(epochs="),
        (plan(5), plan(5, None), r"^diff\(\) needs the number of epochs, which is unknown; give plan\(epochs="),
    ],
    ids=["length", "unknown length", "ours without end", "theirs without end"],
)
def test_plans_that_cannot_be_compared_are_refused(ours: Plan, theirs: Plan, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ours.diff(theirs)


def test_a_plan_is_compared_with_a_plan() -> None:
    plan = Recipe(AdamW()).plan(5, 3)
    with pytest.raises(TypeError, match=r"^diff: found 3 \(int\); expected a Plan, as recipe\.plan\(\.\.\.\) makes\.$"):
        plan.diff(3)  # type: ignore[arg-type]


def test_each_number_of_the_spec_that_differs_has_a_line() -> None:
    def of(spec: Spec, **schedules: Schedule) -> Plan:
        return Recipe(spec, **schedules).plan(5, 4)

    assert of(AdamW(epsilon=1e-6, clipnorm=1.0)).diff(of(AdamW(betas=(0.9, 0.95)))) == (
        "optimizer.clipnorm: 1.0 and None\n"
        "optimizer.betas: (0.9, 0.999) and (0.9, 0.95)\n"
        "optimizer.epsilon: 1e-06 and 1e-08"
    )
    # Of base values, the values tell, unless they are the same throughout.
    assert of(AdamW(0.5)).diff(of(AdamW(0.25))) == (
        "learning_rate: the first difference is at update 0 (first update of epoch 0): 0.5 and 0.25, and none is larger"
    )
    assert of(AdamW(0.5), learning_rate=Constant(0.5)).diff(of(AdamW(0.25))) == "optimizer.learning_rate: 0.5 and 0.25"
    lines = of(AdamW(0.1, 0.01)).diff(of(SGDW(0.1, 0.01, momentum=0.9))).splitlines()
    assert lines == [
        "optimizer: AdamW and SGDW",
        "optimizer.betas: (0.9, 0.999) and none",
        "optimizer.epsilon: 1e-08 and none",
        "optimizer.amsgrad: False and none",
        "optimizer.epsilon_mode: 'torch' and none",
        "optimizer.momentum: none and 0.9",
        "optimizer.nesterov: none and False",
        "optimizer.momentum_mode: none and 'torch'",
    ]
