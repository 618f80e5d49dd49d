"""The multiplier of a log of scores: what it is after each of them, and that it is a function of the log alone."""

from __future__ import annotations

import json
import math
import pickle
import sys
from fractions import Fraction
from types import FrameType
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from samestep import AdamW, Clock, Position, Recipe, Warmup, updates
from samestep.core.policies.plateau import Plateau
from samestep.core.policies.plateau_policy import PlateauPolicy

NAN, INF = math.nan, math.inf
PLATEAUS = st.builds(
    Plateau,
    mode=st.sampled_from(["min", "max"]),
    patience=st.integers(0, 2),
    threshold=st.sampled_from([0.0, 0.25]),
    threshold_mode=st.sampled_from(["rel", "abs"]),
    cooldown=st.integers(0, 2),
    start_epoch=st.integers(0, 3),
)
SCORES = st.sampled_from([0.0, 0.5, 0.75, 1.0, 2.0, NAN, INF, -INF])
LOGS = st.dictionaries(st.integers(0, 12), SCORES)


def reducing(monitor: str = "val_loss", **arguments: Any) -> PlateauPolicy:
    return PlateauPolicy(monitor, who="ReduceOnPlateau", **arguments)


def log_of(policy: PlateauPolicy, scores: list[float]) -> list[int]:
    """How often the value has been reduced when each of the epochs begins, the one after the last score included."""
    for epoch, score in enumerate(scores):
        policy.observe(epoch, score)
    return [policy.reductions(epoch) for epoch in range(len(scores) + 1)]


# (arguments, scores, reductions when epochs 0, 1, 2, ... begin)
ROWS: list[tuple[dict[str, Any], list[float], list[int]]] = [
    ({"patience": 0}, [1, 1, 1, 1], [0, 0, 1, 2, 3]),
    ({"patience": 2}, [1, 1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 1, 1, 1, 2]),
    ({"patience": 2}, [1, 1, 1, 0.5, 1, 1, 1], [0, 0, 0, 0, 0, 0, 0, 1]),
    ({"patience": 0, "cooldown": 2}, [1, 1, 1, 1, 1, 1], [0, 0, 1, 1, 1, 2, 2]),
    ({"patience": 0, "cooldown": 1}, [1, 1, 0.5, 0.75, 0.75], [0, 0, 1, 1, 2, 2]),
    ({"patience": 0}, [1, NAN, 0.5, INF, -INF, -INF], [0, 0, 1, 1, 2, 2, 3]),
    ({"patience": 0}, [NAN, INF, 1, 0.5], [0, 1, 2, 2, 2]),
    ({"patience": 0, "threshold": 0.25}, [1, 0.75, 0.7499, 0.5625, 0.5], [0, 0, 1, 1, 2, 2]),
    ({"patience": 0, "threshold": 0.25, "threshold_mode": "abs"}, [1, 0.75, 0.7499, 0.5, 0.4], [0, 0, 1, 1, 2, 2]),
    ({"patience": 0, "threshold": 0.25, "mode": "max"}, [1, 1.25, 1.2501, 1.5, 2], [0, 0, 1, 1, 2, 2]),
    ({"patience": 0, "threshold": 0.25, "mode": "max", "threshold_mode": "abs"}, [1, 1.25, 1.26, 1.5], [0, 0, 1, 1, 2]),
    ({"patience": 0, "start_epoch": 2}, [1, 2, 5, 5, 4, 4], [0, 0, 0, 0, 1, 1, 2]),
    ({"patience": 0, "start_epoch": 9}, [1, 2, 3], [0, 0, 0, 0]),
]


@pytest.mark.parametrize(("arguments", "scores", "expected"), ROWS, ids=[repr(row[:2]) for row in ROWS])
def test_a_value_is_reduced_after_more_than_patience_bad_scores(
    arguments: dict[str, Any], scores: list[float], expected: list[int]
) -> None:
    assert log_of(reducing(**arguments), scores) == expected
    assert [Plateau(**arguments).reductions(dict(enumerate(scores)), e) for e in range(len(scores) + 1)] == expected


def test_the_multiplier_is_the_factor_to_the_power_of_the_reductions() -> None:
    policy = reducing(factor=0.1, patience=0)
    log_of(policy, [1.0] * 5)
    assert [policy.multiplier(epoch) for epoch in range(6)] == [1.0, 1.0, 0.1, 0.1**2, 0.1**3, 0.1**4]
    assert policy.multiplier(10**6) == 0.1**4
    off = reducing(factor=0, patience=0)
    log_of(off, [1.0] * 3)
    assert [off.reduced([0.5, 0.25], epoch) for epoch in (1, 2, 3)] == [[0.5, 0.25], [0.0, 0.0], [0.0, 0.0]]


def test_the_floor_holds_reductions_and_raises_no_schedule_that_is_below_it_by_itself() -> None:
    policy = reducing(factor=0.5, patience=0, floor=0.375)
    log_of(policy, [1.0] * 3)
    warmup = Recipe(AdamW(learning_rate=1.0), learning_rate=Warmup(updates(4))).plan(8, 9).values("learning_rate", 0)
    assert warmup == [0.0, 0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 1.0]
    assert policy.reduced(warmup, 1) == warmup
    assert policy.reduced(warmup, 2) == [0.0, 0.25, 0.375, 0.375, 0.5, 0.5, 0.5, 0.5]
    assert policy.reduced(warmup, 3) == [0.0, 0.25, 0.375, 0.375, 0.375, 0.375, 0.375, 0.375]


@given(PLATEAUS, st.floats(0, 0.99), st.floats(0, 1), st.lists(st.floats(0, 1)), st.integers(0, 2000))
def test_a_reduced_value_lies_between_the_floor_and_what_is_scheduled(
    plateau: Plateau, factor: float, floor: float, values: list[float], reductions: int
) -> None:
    of_this = Plateau(plateau.mode, factor, floor=floor)
    for value, scheduled in zip(of_this.reduced(values, reductions), values, strict=True):
        exact = Fraction(scheduled) * Fraction(of_this.multiplier(reductions))
        assert min(scheduled, floor) <= value <= scheduled
        assert value == max(float(exact), min(scheduled, floor))


def test_the_callback_alone_reduces_the_base_value_of_what_it_drives() -> None:
    for name in ("learning_rate", "weight_decay"):
        policy = reducing("val_accuracy", hyperparameter=name, mode="max", factor=0.5, patience=0)
        policy.prepare(Clock(3, 4))
        assert policy.driven == (name,)
        assert policy.resolve_bases([0.5, 0.25]) == [0.5, 0.25]
        log_of(policy, [0.25, 0.75, 0.5])
        expected = [0.5] * 9 + [0.25] * 3
        assert [policy.value(name, 0.5, Position(*divmod(update, 3))) for update in range(12)] == expected
        assert [policy.reduced([0.5], epoch) for epoch in range(4)] == [[0.5], [0.5], [0.5], [0.25]]
        assert not policy.varies_within_epochs()
    assert reducing(base=0.125).resolve_bases([0.5]) == [0.125]


def test_a_score_that_comes_twice_decides_once() -> None:
    once, twice = reducing(patience=1), reducing(patience=1)
    for epoch, score in enumerate([1.0, NAN, 1.0, 1.0, 1.0]):
        once.observe(epoch, score)
        for _ in range(3):
            twice.observe(epoch, score)
            assert twice.multiplier(epoch + 1) == once.multiplier(epoch + 1)
    assert once.reductions(5) == 2
    assert repr(twice.state()) == repr(once.state())


def test_a_redone_epoch_replaces_its_own_score_and_no_other() -> None:
    policy = reducing(patience=0)
    assert log_of(policy, [1.0, 2.0, 3.0, 0.5]) == [0, 0, 1, 2, 2]
    policy.observe(1, 0.75)
    assert policy.scores == {0: 1.0, 1: 0.75, 2: 3.0, 3: 0.5}
    assert [policy.reductions(epoch) for epoch in range(5)] == [0, 0, 0, 1, 1]
    policy.forget(2)
    assert policy.scores == {0: 1.0, 1: 0.75}
    assert policy.reductions(4) == 0


ACTIONS = st.one_of(
    st.tuples(st.just("observe"), st.integers(0, 12), SCORES),
    st.tuples(st.just("forget"), st.integers(0, 13)),
    st.tuples(st.just("ask"), st.integers(0, 14)),
)


@given(PLATEAUS, st.lists(ACTIONS, max_size=30))
def test_the_reductions_are_a_function_of_the_log_whatever_came_before(plateau: Plateau, actions: list[Any]) -> None:
    fields = {k: v for k, v in plateau.to_dict().items() if k != "type"}
    policy, log = reducing(**fields), dict[int, float]()
    for action in actions:
        match action:
            case "observe", epoch, score:
                policy.observe(epoch, score)
                log[epoch] = score
            case "forget", epoch:
                policy.forget(epoch)
                log = {each: score for each, score in log.items() if each < epoch}
            case "ask", epoch:
                assert policy.reductions(epoch) == plateau.reductions(log, epoch)
    assert repr(policy.scores) == repr(dict(sorted(log.items())))
    assert [policy.reductions(e) for e in range(15)] == [plateau.reductions(log, e) for e in range(15)]


@given(PLATEAUS, LOGS)
def test_a_resumed_run_that_has_the_log_decides_the_same(plateau: Plateau, log: dict[int, float]) -> None:
    fields = {k: v for k, v in plateau.to_dict().items() if k != "type"}
    before, resumed = reducing(**fields), reducing(**fields)
    for epoch, score in log.items():
        before.observe(epoch, score)
    resumed.observe(0, 123.0)
    resumed.load_state(json.loads(json.dumps(before.state())))
    again = pickle.loads(pickle.dumps(before))
    for policy in (resumed, again):
        assert repr(policy.state()) == repr(before.state())
        assert [policy.reductions(e) for e in range(14)] == [before.reductions(e) for e in range(14)]


def test_the_state_is_plain_data_that_does_not_change_with_the_log() -> None:
    policy = reducing()
    policy.observe(4, torch.tensor(0.5))
    policy.observe(2, np.float32(0.25))
    policy.observe(3, 7)
    state = policy.state()
    assert state == [[2, 0.25], [3, 7.0], [4, 0.5]]
    assert {type(item) for entry in state for item in entry} == {int, float}
    policy.load_state(state)
    policy.observe(2, 0.0)
    assert state == [[2, 0.25], [3, 7.0], [4, 0.5]]
    policy.scores[9] = 1.0
    assert 9 not in policy.scores


DAMAGED: list[Any] = [
    None,
    {},
    {"0": 0.5},
    "[[0, 0.5]]",
    ((0, 0.5),),
    [0.5],
    [[0]],
    [[0, 0.5, 1]],
    [(0, 0.5)],
    [["0", 0.5]],
    [[True, 0.5]],
    [[0.0, 0.5]],
    [[0, 1]],
    [[0, "0.5"]],
    [[0, None]],
    [[-1, 0.5]],
    [[0, 0.5], [0, 0.5]],
    [[1, 0.5], [0, 0.5]],
    [[0, 0.5], [1, []]],
]


@pytest.mark.parametrize("state", DAMAGED, ids=repr)
def test_a_damaged_state_is_refused_and_nothing_of_it_is_believed(state: Any) -> None:
    policy = reducing()
    policy.observe(0, 0.25)
    words = r"^ReduceOnPlateau: found .* in a log of scores; expected \[epoch, score\] pairs in the order of epochs"
    with pytest.raises(ValueError, match=words):
        policy.load_state(state)
    assert policy.state() == [[0, 0.25]]


def test_a_state_too_deep_to_be_printed_is_refused_in_a_sentence() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(ValueError, match=r"^ReduceOnPlateau: found .{1,200} in a log of scores; "):
        reducing().load_state(deep)


@pytest.mark.parametrize("score", [True, "0.5", b"1", None, [0.5], {}, 1j, torch.zeros(2), np.zeros(2), 10**400])
def test_a_score_that_is_no_number_is_refused(score: Any) -> None:
    policy = reducing()
    words = r"^ReduceOnPlateau: found the score .* \(\w+\) of 'val_loss'; expected a number\.$"
    with pytest.raises(TypeError, match=words):
        policy.observe(0, score)
    assert policy.state() == []


@pytest.mark.parametrize("epoch", [-1, 1.0, True, "1", None])
def test_what_is_no_epoch_is_refused(epoch: Any) -> None:
    policy = reducing()
    for action in (lambda: policy.observe(epoch, 0.5), lambda: policy.forget(epoch)):
        with pytest.raises(ValueError, match=r"^ReduceOnPlateau: epoch: found .*; expected a whole number of at "):
            action()


def test_each_score_of_a_long_run_is_looked_at_once() -> None:
    policy, looked = reducing(patience=3), 0

    def count(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal looked
        looked += event == "call" and frame.f_code is Plateau.after.__code__

    sys.setprofile(count)
    try:
        for epoch in range(1000):
            policy.reductions(epoch)
            policy.observe(epoch, 1.0)
            policy.observe(epoch, 1.0)
            for _ in range(3):
                policy.reductions(epoch)
    finally:
        sys.setprofile(None)
    assert looked == 999
    assert policy.reductions(1000) == 249
