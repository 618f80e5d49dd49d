"""What all specs have in common: bases of the weight decay, clipping, L1; and `Normalized` and `skip`."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from samestep import (
    SGDW,
    AdamW,
    Clock,
    Constant,
    CosineDecay,
    InverseTimeDecay,
    NAdamW,
    Normalized,
    Plan,
    Recipe,
    Schedule,
    StepDecay,
    Table,
    epochs,
    percent,
    updates,
)
from samestep.core.specs.spec import Spec

from .strategies import NAMES, clocks, durations, schedules

KINDS = pytest.mark.parametrize("kind", [AdamW, NAdamW, SGDW])

REFUSED: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"clipnorm": 1, "clipvalue": 1}, ValueError, "clipvalue: found 1.0; expected None, as clipnorm is given."),
    ({"global_clipnorm": 1, "clipnorm": 2}, ValueError, "clipnorm: found 2.0; expected None, as global_c"),
    ({"global_clipnorm": 1, "clipvalue": 2}, ValueError, "clipvalue: found 2.0; expected None, as glob"),
    ({"clipnorm": 0}, ValueError, "clipnorm: found 0.0; expected a number greater than 0, or None for no clipping."),
    ({"clipvalue": -1}, ValueError, "clipvalue: found -1.0; expected a number greater than 0, or None for no clipp"),
    ({"global_clipnorm": "1"}, TypeError, "global_clipnorm: found '1' (str); expected a number."),
    ({"global_clipnorm": float("inf")}, ValueError, "global_clipnorm: found inf; expected a finite number."),
    ({"l1_ratio": 1.001}, ValueError, "l1_ratio: found 1.001; expected a number in [0, 1]."),
    ({"l1_ratio": -0.5}, ValueError, "l1_ratio: found -0.5; expected a number in [0, 1]."),
    ({"weight_decay_basis": "lr"}, ValueError, "weight_decay_basis: found 'lr'; expected one of 'learning_rate', 'sch"),
    (
        {"learning_rate": 0, "weight_decay_basis": "schedule"},
        ValueError,
        "learning_rate: found 0.0; expected a number greater than 0 where weight_decay_basis='schedule'.",
    ),
    ({"maximize": 1}, TypeError, "maximize: found 1 (int); expected True or False."),
]


@KINDS
@pytest.mark.parametrize(("arguments", "error", "words"), REFUSED, ids=[words for _, _, words in REFUSED])
def test_a_bad_field_is_refused_by_every_spec(
    arguments: dict[str, Any], error: type[Exception], words: str, kind: type[Spec]
) -> None:
    with pytest.raises(error, match=f"^{re.escape(f'{kind.__name__}.{words}')}"):
        kind(**arguments)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: AdamW(epsilon_mode="keras"), "AdamW.epsilon_mode: found 'keras'; expected one of 'torch', 'hat'."),  # type: ignore[arg-type]
        (lambda: AdamW(amsgrad=None), "AdamW.amsgrad: found None (NoneType); expected True or False."),  # type: ignore[arg-type]
        (lambda: NAdamW(momentum_decay=-1), "NAdamW.momentum_decay: found -1.0; expected a number of at least 0."),
        (lambda: SGDW(momentum=1), "SGDW.momentum: found 1.0; expected a number in [0, 1)."),
        (lambda: SGDW(nesterov=True), "SGDW.nesterov: found True; expected False without a momentum."),
        (lambda: SGDW(momentum_mode="adam"), "SGDW.momentum_mode: found 'adam'; expected one of 'torch', 'keras'."),  # type: ignore[arg-type]
    ],
)
def test_a_bad_field_of_one_spec_is_refused(make: Any, words: str) -> None:
    with pytest.raises((ValueError, TypeError), match=f"^{re.escape(words)}$"):
        make()


@KINDS
def test_the_clip_is_the_one_that_is_given(kind: type[Spec]) -> None:
    assert kind().clip is None
    for name in ("global_clipnorm", "clipnorm", "clipvalue"):
        assert kind(**{name: 2}).clip == (name, 2.0)


@KINDS
def test_the_learning_rate_may_be_zero_where_nothing_is_divided_by_it(kind: type[Spec]) -> None:
    for basis in ("learning_rate", "update"):
        assert kind(learning_rate=0, weight_decay_basis=basis).learning_rate == 0


@KINDS
def test_an_update_takes_off_a_weight_what_the_basis_says(kind: type[Spec]) -> None:
    def spec(basis: Any) -> Spec:
        return kind(0.5, 0.25, weight_decay_basis=basis)

    # With the learning rate at a quarter of its base value, and a weight decay of 1/8.
    assert spec("learning_rate").shrink(0.125, 0.125) == 2**-6
    assert spec("schedule").shrink(0.125, 0.125) == 2**-5
    assert spec("update").shrink(0.125, 0.125) == 2**-3
    # A parameter whose own base is another one, as under a rule.
    assert [spec(b).shrink(1.0, 0.125, 2.0) for b in ("learning_rate", "schedule", "update")] == [0.125, 0.0625, 0.125]
    assert spec("schedule").shrink(0.0, 0.125) == spec("learning_rate").shrink(0.0, 0.125) == 0
    rates = np.array([0.5, 0.25])
    assert spec("schedule").shrink(rates, rates).tolist() == [0.5, 0.125]  # type: ignore[arg-type, attr-defined]


@pytest.mark.parametrize(
    ("basis", "expected"),
    [
        ("learning_rate", ["9.375", "17.8711", "25.3902", "0.03125", "7.04131"]),
        ("schedule", ["18.75", "33.9844", "45.7821", "0.0625", "3.33823"]),
        ("update", ["18.75", "33.9844", "56.4194", "0.0625", "3.33823"]),
    ],
)
def test_the_explanation_tells_the_shrink_of_each_basis(basis: Any, expected: list[str]) -> None:
    spec = SGDW(0.5, 0.25, weight_decay_basis=basis, l1_ratio=0.25)
    recipe = Recipe(spec, learning_rate=StepDecay(0.5, every=epochs(1)))
    first, epoch, run, towards, half = expected
    # By hand: three quarters of the decay are L2, in two updates at the base value and two at half of it.
    one, two = {"learning_rate": (1 / 8, 1 / 16), "schedule": (1 / 4, 1 / 8), "update": (1 / 4, 1 / 4)}[basis]
    assert float(first) == 75 * one
    assert float(run) == pytest.approx(100 - 100 * (1 - 0.75 * one) ** 2 * (1 - 0.75 * two) ** 2, rel=1e-5)
    assert recipe.plan(updates_per_epoch=2, epochs=2).explain().splitlines()[-5:] == [
        "weights without a gradient:",
        f"  shrink by {first} % in the first update",
        f"  by {epoch} % in the first epoch, by {run} % in the run",
        f"  move towards 0 by {towards} in the first update",
        f"  at the first update's rate they would halve in {half} updates",
    ]


def test_normalized_is_one_over_the_square_root_of_the_number_of_updates() -> None:
    assert Normalized(updates(4)).preview(3, updates_per_epoch=1) == [0.5] * 3
    assert Normalized(epochs(2)).preview(3, updates_per_epoch=8) == [0.25] * 3
    assert Normalized(percent(25)).preview(16, updates_per_epoch=4) == [0.25] * 16
    assert Normalized().preview(25, updates_per_epoch=4) == [0.1] * 25
    plan = Recipe(AdamW(weight_decay=0.5), weight_decay=Normalized()).plan(updates_per_epoch=32, epochs=2)
    assert plan.values("weight_decay") == [0.0625] * 64
    shorter = Recipe(AdamW(weight_decay=0.5), weight_decay=Normalized()).plan(32, 2, max_updates=16)
    assert shorter.value("weight_decay", 0) == 0.125


@pytest.mark.parametrize(
    ("schedule", "clock", "words"),
    [
        (Normalized(), Clock(), "'100%' needs the length of the run, which is unknown"),
        (Normalized(), Clock(4), "'100%' needs the length of the run, which is unknown"),
        (Normalized(), Clock(None, 4), "needs the number of updates in an epoch, which is unknown; give updates_per_e"),
        (Normalized(epochs(2)), Clock(), "needs the number of updates in an epoch, which is unknown; give updates_per"),
    ],
)
def test_normalized_over_an_unknown_length_is_refused(schedule: Schedule, clock: Clock, words: str) -> None:
    with pytest.raises(ValueError, match=f"^the weight_decay schedule: .*{re.escape(words)}"):
        Plan(Recipe(weight_decay=schedule), clock)


def test_normalized_is_written_down_and_refuses_no_time_at_all() -> None:
    assert eval(repr(Normalized()), NAMES) == Normalized()
    assert repr(Normalized("4 updates")) == "Normalized(over=updates(4))"
    assert Schedule.from_dict(json.loads(json.dumps(Normalized(epochs(2)).to_dict()))) == Normalized(epochs(2))
    with pytest.raises(ValueError, match=r"^Normalized.over: found .*; expected a duration longer than zero"):
        Normalized(updates(0))
    with pytest.raises(TypeError, match=r"^Normalized.over: found the bare number 5"):
        Normalized(5)  # type: ignore[arg-type]


def test_in_cycles_that_grow_normalized_has_the_number_of_updates_of_each_cycle() -> None:
    cycles = Normalized(updates(4)).repeat(updates(4), growth=2)
    assert cycles.preview(28, 1) == [0.5] * 4 + [math.sqrt(1 / 8)] * 8 + [0.25] * 16
    in_epochs = (Normalized(epochs(1)) * CosineDecay(epochs(1))).repeat(epochs(1), growth=2)
    assert in_epochs.preview(8, updates_per_epoch=4) == pytest.approx(
        [
            0.5,
            *(c / math.sqrt(8) for c in (1, 0.5)),
            *(c / 4 for c in (1, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2)),
            1 / math.sqrt(32),
        ],
        abs=1e-15,
    )


@settings(deadline=None, max_examples=120, derandomize=True)
@given(schedules, durations, clocks)
def test_a_schedule_that_skips_is_itself_so_much_later(schedule: Schedule, time: Any, clock: Clock) -> None:
    skipped = schedule.skip(time)
    assert eval(repr(skipped), NAMES) == skipped
    exact = clock.exact(time)
    whole = Recipe(learning_rate=1.0 * schedule).plan(clock.updates_per_epoch, clock.epochs)
    ours = Recipe(learning_rate=1.0 * skipped).plan(clock.updates_per_epoch, clock.epochs)
    if exact.denominator == 1:  # otherwise there is no update of the schedule itself to compare with
        for update in (0, 1, 2, 7, 30):
            later = whole.multiplier("learning_rate", 0, update + int(exact))
            assert ours.multiplier("learning_rate", 0, update) == later


def test_skip_together_with_the_other_combinators() -> None:
    stairs = Table([1.0, 0.5, 0.25, 0.125], every=epochs(1))
    assert stairs.skip(epochs(1)).preview(4) == [0.5, 0.25, 0.125, 0.125]
    assert stairs.skip(epochs(1)).skip(epochs(1)).preview(3) == [0.25, 0.125, 0.125]
    assert stairs.skip(epochs(0)).preview(4) == stairs.preview(4)
    assert stairs.skip(epochs(1)).after(epochs(2)).preview(5) == [0.5, 0.5, 0.5, 0.25, 0.125]
    assert stairs.after(epochs(2)).skip(epochs(1)).preview(5) == [1.0, 1.0, 0.5, 0.25, 0.125]
    assert stairs.skip(epochs(1)).until(epochs(1)).preview(3) == [0.5, 0.25, 0.25]
    assert stairs.until(epochs(1)).skip(epochs(2)).preview(3) == [0.5, 0.5, 0.5]
    assert stairs.repeat(epochs(4)).skip(epochs(3)).preview(4) == [0.125, 1.0, 0.5, 0.25]
    assert stairs.skip(epochs(3)).repeat(epochs(2)).preview(4) == [0.125] * 4
    assert stairs.skip(epochs(1)).at_least(0.2).preview(3) == [0.5, 0.25, 0.2]
    assert stairs.skip(epochs("0.5")).preview(2, updates_per_epoch=2) == [1.0, 0.5]
    assert stairs.skip(percent(50)).preview(4) == [0.25, 0.125, 0.125, 0.125]
    # keras-adamw's t_cur, within growing cycles: each begins so much later.
    assert (InverseTimeDecay(1, every=updates(1)).skip(updates(2))).preview(2, 1) == [1 / 3, 0.25]


def test_skip_is_written_down() -> None:
    skipped = (0.5 * CosineDecay(epochs(2))).skip("1 epoch")
    assert repr(skipped) == "(Constant(value=0.5) * CosineDecay(over=epochs(2))).skip(epochs(1))"
    assert skipped.to_dict()["type"] == "Skip"
    assert skipped.to_dict()["time"] == "1 epoch"
    assert Schedule.from_dict(json.loads(json.dumps(skipped.to_dict()))) == skipped
    with pytest.raises(TypeError, match=r"^Skip.time: found the bare number 3; expected a duration"):
        Constant().skip(3)  # type: ignore[arg-type]
