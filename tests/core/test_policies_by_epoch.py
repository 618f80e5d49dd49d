"""The policies of EpochGatedDecay and LearningRateScheduler: the learning rate around every boundary."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from samestep import Clock, Position
from samestep.core.policies.function_policy import FunctionPolicy
from samestep.core.policies.gated_decay import GatedDecayPolicy
from samestep.core.policies.policy import Policy


def gated(factor: float, **options: Any) -> GatedDecayPolicy:
    return GatedDecayPolicy(factor, who="EpochGatedDecay", **options)


def follow(function: Any, **options: Any) -> FunctionPolicy:
    return FunctionPolicy(function, who="LearningRateScheduler", **options)


def by_epoch(policy: Policy, base: float, count: int, clock: Clock | None = None) -> list[float]:
    policy.prepare(clock or Clock())
    return [policy.value("learning_rate", base, Position(epoch)) for epoch in range(count)]


# The number of drops in effect in epochs 0 to 11, by (start_epoch, every_epochs); the same for every framework.
GOLDEN = Path(__file__).parents[1] / "golden" / "epoch_gated_decay.json"
DROPS = {(row["start_epoch"], row["every_epochs"]): row["drops"] for row in json.loads(GOLDEN.read_text())}
HALVES = [1.0, 0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.0078125, 0.00390625, 0.001953125, 0.0009765625]
HALVES += [0.00048828125, 0.000244140625]


@pytest.mark.parametrize("clock", [Clock(), Clock(3, 12), Clock(None, 4)], ids=repr)
@pytest.mark.parametrize(("gate", "drops"), DROPS.items(), ids=map(repr, DROPS))
def test_the_first_decayed_epoch_is_start_epoch(gate: tuple[int, int], drops: list[int], clock: Clock) -> None:
    decay = gated(0.5, start_epoch=gate[0], every_epochs=gate[1])
    assert by_epoch(decay, 1.0, 12, clock) == [HALVES[n] for n in drops]


def test_the_decay_holds_for_every_update_of_an_epoch() -> None:
    decay = gated(0.5, start_epoch=1)
    decay.prepare(Clock(3, 4))
    assert [decay.value("learning_rate", 1.0, Position(1, update)) for update in range(3)] == [0.5, 0.5, 0.5]
    assert decay.value("learning_rate", 1.0, Position(0, 2)) == 1.0
    assert not decay.varies_within_epochs()


def test_the_floor_is_reached_and_kept() -> None:
    decay = gated(0.5, start_epoch=2, floor=0.2)
    assert by_epoch(decay, 1.0, 7) == [1.0, 1.0, 0.5, 0.25, 0.2, 0.2, 0.2]
    assert by_epoch(gated(0.0, start_epoch=1, floor=0.125), 1.0, 3) == [1.0, 0.125, 0.125]
    assert by_epoch(gated(0.0, start_epoch=1), 1.0, 3) == [1.0, 0.0, 0.0]


def test_a_floor_above_the_start_is_refused() -> None:
    decay = gated(0.5, start_epoch=2, floor=0.2)
    decay.prepare(Clock())
    decay.check_bases({"learning_rate": [0.2, 1.0]})
    words = r"^EpochGatedDecay: found floor=0.2 above the learning rate 0.1 that the decay starts from; write the"
    with pytest.raises(ValueError, match=words):
        decay.check_bases({"learning_rate": [1.0, 0.1]})


# (arguments of EpochGatedDecay, error, its beginning)
REFUSED = [
    (
        {"start_epoch": -1},
        ValueError,
        "EpochGatedDecay: found start_epoch=-1; write a whole number of epochs of at",
    ),
    ({"start_epoch": 1.0}, ValueError, "EpochGatedDecay: found start_epoch=1.0; write a whole number of epochs"),
    ({"start_epoch": True}, ValueError, "EpochGatedDecay: found start_epoch=True; write a whole number of epochs"),
    (
        {"every_epochs": 0},
        ValueError,
        "EpochGatedDecay: found every_epochs=0; write a whole number of epochs of at",
    ),
    ({"every_epochs": "5"}, ValueError, "EpochGatedDecay: found every_epochs='5'; write a whole number of epochs"),
    ({"floor": -1}, ValueError, "EpochGatedDecay: found floor=-1; write a learning rate of at least 0."),
    ({"floor": None}, TypeError, "EpochGatedDecay: floor: found None (NoneType); expected a number."),
    (
        {"base": 0},
        ValueError,
        "EpochGatedDecay: found base=0; write the learning rate before any decay, greater t",
    ),
    ({"base": "1"}, TypeError, "EpochGatedDecay: base: found '1' (str); expected a number."),
    ({"factor": -1}, ValueError, "EpochGatedDecay: found factor=-1; write a multiplier of at least 0."),
    ({"factor": "0.1"}, TypeError, "EpochGatedDecay: factor: found '0.1' (str); expected a number."),
]


@pytest.mark.parametrize(("arguments", "error", "words"), REFUSED, ids=[repr(case[0]) for case in REFUSED])
def test_a_bad_gate_is_refused(arguments: dict[str, object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(words)}"):
        gated(**{"factor": 0.5, "start_epoch": 1, **arguments})  # type: ignore[arg-type]


def test_the_forums_function_decays_at_epochs_5_10_and_15_once() -> None:
    scheduler = follow(lambda epoch, lr: lr * 0.1 if epoch % 5 == 0 and epoch != 0 else lr)
    expected = [1.0] * 5 + [0.1] * 5 + [0.010000000000000002] * 5 + [0.0010000000000000002] * 2
    assert by_epoch(scheduler, 1.0, 17) == expected
    assert by_epoch(scheduler, 1.0, 17) == expected  # a second fit of the same callback


def test_a_function_of_the_epoch_and_the_learning_rate_is_folded_from_the_base_whatever_is_asked_first() -> None:
    asked: list[tuple[int, float]] = []

    def half(epoch: int, learning_rate: float) -> float:
        asked.append((epoch, learning_rate))
        return learning_rate / 2

    scheduler = follow(half)
    assert [scheduler.value("learning_rate", 8.0, Position(epoch, 3)) for epoch in (2, 0, 1, 2)] == [1.0, 4.0, 2.0, 1.0]
    assert asked == [(0, 8.0), (1, 4.0), (2, 2.0)]
    assert scheduler.value("learning_rate", 80.0, Position(1)) == 20.0  # a group with its own base
    assert asked[3:] == [(0, 80.0), (1, 40.0)]


def test_a_function_of_the_epoch_is_the_learning_rate_itself_and_is_called_once_per_epoch_in_order() -> None:
    asked: list[int] = []
    scheduler = follow(lambda epoch: asked.append(epoch) or 1.0 / (epoch + 1))
    assert by_epoch(scheduler, 123.0, 4) == [1.0, 0.5, 0.3333333333333333, 0.25]
    assert by_epoch(scheduler, 123.0, 4) == [1.0, 0.5, 0.3333333333333333, 0.25]
    assert asked == [0, 1, 2, 3]


def test_a_function_of_the_epoch_is_not_called_for_the_epochs_before_a_resume() -> None:
    asked: list[int] = []
    scheduler = follow(lambda epoch: asked.append(epoch) or 0.5)
    assert scheduler.value("learning_rate", 1.0, Position(10**6)) == 0.5
    assert asked == [10**6]


def test_groups_with_different_bases_need_a_function_of_two_arguments() -> None:
    one, two = follow(lambda epoch: 1.0), follow(lambda epoch, lr: lr)
    two.check_bases({"learning_rate": [0.1, 0.2]})
    one.check_bases({"learning_rate": [0.1, 0.1]})
    words = r"^LearningRateScheduler: found parameter groups with the learning rates \[0.1, 0.2\] and a function of"
    with pytest.raises(ValueError, match=words):
        one.check_bases({"learning_rate": [0.2, 0.1, 0.2]})


@pytest.mark.parametrize(
    "function", [lambda: 1.0, lambda a, b, c: 1.0, 0.1, None], ids=["none", "three", "0.1", "None"]
)
def test_what_is_not_a_function_of_an_epoch_is_refused(function: Callable) -> None:
    with pytest.raises(TypeError, match=r"^LearningRateScheduler: found .*; expected a function f\(epoch\) or f\(ep"):
        follow(function)


@pytest.mark.parametrize("function", [lambda epoch: epoch + "", lambda epoch, lr: lr + ""], ids=["one", "two"])
def test_a_type_error_inside_the_users_function_is_the_users_own(function: Callable) -> None:
    scheduler = follow(function)
    with pytest.raises(
        TypeError,
        match=r"^unsupported operand type\(s\) for \+: '(int|float)' and 'str'\nraised by <lambda> for epoch 0$",
    ):
        scheduler.value("learning_rate", 1.0, Position(0))


@pytest.mark.parametrize("base", [0, -1.0, float("nan")])
def test_a_base_that_is_no_learning_rate_is_refused(base: float) -> None:
    with pytest.raises(ValueError, match=r"^LearningRateScheduler: (base: )?found "):
        follow(lambda epoch: 1.0, base=base)
