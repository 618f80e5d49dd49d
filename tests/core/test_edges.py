"""Values at the edges of what can be written, saved and shown."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest

import samestep
from samestep import (
    AdamW,
    Constant,
    Duration,
    EpochFunction,
    LinearDecay,
    Recipe,
    Schedule,
    StepDecay,
    epochs,
    percent,
    updates,
)
from samestep.core.recipes.float32 import shortest_decimal

NAMES = {name: getattr(samestep, name) for name in samestep.__all__}


@pytest.mark.parametrize("duration", [epochs(1 / 391), epochs(1 / 1500), epochs(3.3e-20), updates(10**20)], ids=str)
def test_duration_reads_back(duration: Duration) -> None:
    assert eval(repr(duration), dict(NAMES)) == duration
    schedule = Constant().after(duration)
    assert Schedule.from_dict(json.loads(json.dumps(schedule.to_dict()))) == schedule


@pytest.mark.parametrize(
    "make",
    [
        lambda: StepDecay(0.5, every=None),
        lambda: LinearDecay(over=None),
        lambda: Constant().after(None),
        lambda: Constant().until(None),
    ],
)
def test_none_is_no_duration(make: Callable[[], object]) -> None:
    with pytest.raises(TypeError, match=r"found None \(NoneType\); expected a duration"):
        make()


@pytest.mark.parametrize(
    "data",
    [
        {"type": "StepDecay", "factor": 0.5, "every": None, "first": None},  # AttributeError
        {"type": "Constant", "value": 10**400},  # OverflowError
        {"type": "Constant", 1: 2, "x": 3},  # TypeError from sorted()
    ],
)
def test_from_dict_is_value_error(data: dict[object, object]) -> None:
    with pytest.raises(ValueError, match="found"):
        Schedule.from_dict(data)


@pytest.mark.parametrize("name", ["beta_1", "lr", "betas"])
def test_unknown_hyperparameter_is_value_error(name: str) -> None:
    plan = Recipe(AdamW()).plan(5, 3)
    for ask in (plan.value, plan.values):
        with pytest.raises(ValueError, match="found the hyperparameter"):
            ask(name, 0)


def test_product_too_large() -> None:
    with pytest.raises(ValueError, match="too large for a float"):
        Recipe(learning_rate=Constant(1e200) * Constant(1e200)).plan(5, 3).multiplier("learning_rate", 0)


def test_callables_without_qualname() -> None:
    schedule = EpochFunction(functools.partial(lambda factor, epoch: factor**epoch, 0.5))
    assert repr(schedule).startswith("EpochFunction(functools.partial(")
    assert "0.5 -> 0.25" in Recipe(learning_rate=schedule).plan(5, 3).explain()
    with pytest.raises(ValueError, match="no name to save it by"):
        schedule.to_dict()


def test_first_difference_is_the_same_in_every_process() -> None:
    program = """
from samestep import Trace, Position
a, b = Trace(), Trace()
a.record(Position(0), {"learning_rate": 1.0, "weight_decay": 1.0, "momentum": 1.0})
b.record(Position(0), {"learning_rate": 2.0, "weight_decay": 2.0, "momentum": 2.0})
print(a.first_difference(b).hyperparameter)
"""
    found = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in range(6)
    }
    assert found == {"learning_rate\n"}


def test_explain_without_decay_has_no_minus_zero() -> None:
    assert "-0" not in Recipe(AdamW(weight_decay=0)).plan(4, 4).explain()


def test_explain_ends_with_the_run() -> None:
    text = Recipe(AdamW(), learning_rate=StepDecay(0.5, every=epochs(1))).plan(5, 3, max_updates=7).explain()
    assert "update 10" not in text
    assert "ending after 7 updates" in text
    assert len(Recipe(AdamW()).plan(5, 3, max_updates=7).table().splitlines()) == 3


def test_preview_too_large() -> None:
    with pytest.raises(ValueError, match="too large"):
        StepDecay(10.0, every=epochs(1)).preview(400)


def test_numpy_amounts() -> None:
    assert epochs(np.float64(1.5)) == epochs("1.5")
    assert updates(np.int64(7)) == updates(7)
    # The shortest decimal of each width is what was typed.
    for kind in (np.float16, np.float32, np.longdouble):
        assert epochs(kind("0.1")) == epochs("0.1")
        assert epochs(3) * kind("0.3") == epochs("0.9")
    for amount in (np.float32("nan"), np.float32("inf"), np.float32(-1)):
        with pytest.raises(ValueError, match="expected a finite number of at least 0"):
            percent(amount)
    with pytest.raises(TypeError, match="expected a number of at least 0"):
        updates(np.bool_(True))
    with pytest.raises(TypeError, match=r"found the bare number 5\.0; expected a duration"):
        LinearDecay(over=np.float32(5))


def test_a_sum_of_durations_reads_back_however_many_digits_it_has() -> None:
    total = epochs(0)
    for digit in (1, 3, 7, 9):
        total = total + epochs(f"1/{10**400 - digit}") + percent(f"0.{'0' * 390}{digit}")
    assert len(repr(total)) > 3000
    assert eval(repr(total), dict(NAMES)) == total
    schedule = Constant().after(total)
    assert Schedule.from_dict(json.loads(json.dumps(schedule.to_dict()))) == schedule
    with pytest.raises(ValueError, match=r"^found a duration whose fraction has more than 2000 digits; expected"):
        total + epochs(f"1/{10**900 + 1}")


def test_bytes_are_no_number() -> None:
    with pytest.raises(TypeError, match="expected a number"):
        Constant(b"5")


def test_weights_that_flip_sign() -> None:
    assert "by 1 in the run" not in Recipe(AdamW(learning_rate=2, weight_decay=1)).plan(4, 4).explain()


@pytest.mark.parametrize(("value", "decimal"), [(0.1, 0.1), (1 / 3, 0.33333334), (1e-45, 1e-45), (3e38, 3e38), (0, 0)])
def test_the_shortest_decimal_of_a_float32_is_the_one_that_was_written(value: float, decimal: float) -> None:
    assert shortest_decimal(float(np.float32(value))) == decimal


@pytest.mark.parametrize(
    ("schedule", "max_updates", "alone"),
    [
        (StepDecay(0.5, every=epochs(1)), None, True),
        (StepDecay(0.5, every=epochs("1.5")), 7, True),
        (StepDecay(0.5, every=updates(5)), None, False),
        (LinearDecay(over=percent(50)), None, True),
        (LinearDecay(over=percent(50)), 7, False),
    ],
)
def test_whether_durations_depend_on_the_updates_in_an_epoch(
    schedule: Schedule, max_updates: int | None, alone: bool
) -> None:
    plan = Recipe(learning_rate=schedule).plan(5, 3, max_updates)
    assert plan.in_epochs_alone("learning_rate") is alone
