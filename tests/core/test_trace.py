"""A trace records what was used, and two of them part where the first float32 differs."""

from __future__ import annotations

import copy
import json
import math
import pickle
import tracemalloc

import numpy as np
import pytest

from samestep import Position, Trace
from samestep.core.checkpoints.trace import Difference
from samestep.core.recipes.float32 import float32

ABOVE = 1.0 + 2.0**-23  # the next float32 after 1
BETWEEN = 1.0 + 2.0**-25  # a float64 that rounds to the float32 1


def trace(*values: float, updates_per_epoch: int = 2) -> Trace:
    made = Trace()
    for index, value in enumerate(values):
        made.record(Position(*divmod(index, updates_per_epoch)), {"learning_rate": value, "weight_decay": 0.5})
    return made


def test_updates_are_recorded_in_order() -> None:
    recorded = trace(3.0, 2.0, 1.0)
    assert len(recorded) == 3
    assert [entry.position for entry in recorded.entries] == [(0, 0), (0, 1), (1, 0)]
    assert recorded[1].values == {"learning_rate": 2.0, "weight_decay": 0.5}
    assert recorded[-1].position == (1, 0)
    assert recorded.column("learning_rate") == [3.0, 2.0, 1.0]


def test_a_record_is_a_copy() -> None:
    values = {"learning_rate": 1.0}
    recorded = Trace()
    recorded.record(Position(0), values)
    values["learning_rate"] = 2.0
    assert recorded.column("learning_rate") == [1.0]


def test_a_column_that_an_update_did_not_record_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="momentum"):
        trace(1.0).column("momentum")


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(trace(), trace()), (trace(1.0, 2.0), trace(1.0, 2.0)), (trace(1.0, 0.1), trace(BETWEEN, float32(0.1)))],
    ids=["empty", "equal", "equal-in-float32"],
)
def test_traces_that_are_the_same_in_float32_do_not_differ(ours: Trace, theirs: Trace) -> None:
    assert ours.first_difference(theirs) is None
    assert theirs.first_difference(ours) is None
    assert ours.largest_difference(theirs, "learning_rate") == 0.0


def test_the_first_value_that_differs_is_found_and_described() -> None:
    ours, theirs = trace(1.0, 1.0, 1.0, 7.0), trace(1.0, 1.0, ABOVE, 8.0)
    difference = ours.first_difference(theirs)
    assert difference == Difference(2, Position(1, 0), "learning_rate", 1.0, ABOVE)
    assert difference.describe("Keras", "Lightning") == (
        "learning_rate first differs at update 2 (epoch 1, update 0): Keras used 1.0, Lightning used 1.0000001192092896"
    )


def test_the_first_position_that_differs_is_found_and_described() -> None:
    difference = trace(1.0, 1.0, 1.0).first_difference(trace(1.0, 1.0, 2.0, updates_per_epoch=3))
    assert difference == Difference(2, Position(1, 0), "position", Position(1, 0), Position(0, 2))
    assert difference.describe("Keras", "Lightning") == (
        "position first differs at update 2 (epoch 1, update 0): "
        "Keras used epoch 1, update 0, Lightning used epoch 0, update 2"
    )


def test_a_trace_that_is_longer_is_named() -> None:
    longer, shorter = trace(1.0, 1.0, 1.0), trace(1.0)
    words = "Keras made update 1 (epoch 0, update 1) and Lightning did not"
    difference = longer.first_difference(shorter)
    assert difference == Difference(1, Position(0, 1), "position", Position(0, 1), None)
    assert difference.describe("Keras", "Lightning") == words
    difference = shorter.first_difference(longer)
    assert difference == Difference(1, Position(0, 1), "position", None, Position(0, 1))
    assert difference.describe("Lightning", "Keras") == words


def test_a_value_that_differs_is_found_before_a_length_that_does() -> None:
    difference = trace(1.0, 2.0).first_difference(trace(3.0))
    assert difference == Difference(0, Position(0, 0), "learning_rate", 1.0, 3.0)


def test_only_hyperparameters_that_both_recorded_are_compared() -> None:
    ours, theirs = Trace(), Trace()
    ours.record(Position(0), {"learning_rate": 1.0, "momentum": 0.9})
    theirs.record(Position(0), {"learning_rate": 1.0, "weight_decay": 0.1})
    assert ours.first_difference(theirs) is None


def test_the_largest_difference_is_that_of_the_rounded_values() -> None:
    assert trace(1.0, 2.0, 5.0).largest_difference(trace(1.0, 2.5, 4.75), "learning_rate") == 0.5
    assert trace(1.0).largest_difference(trace(ABOVE + 2.0**-26), "learning_rate") == 2.0**-23
    assert trace().largest_difference(trace(), "learning_rate") == 0.0


def test_traces_of_different_lengths_have_no_largest_difference() -> None:
    with pytest.raises(ValueError, match=r"^found traces of 2 and 1 updates; expected equally many"):
        trace(1.0, 2.0).largest_difference(trace(1.0), "learning_rate")


def test_rounding_is_that_of_numpy() -> None:
    random = np.random.default_rng(0)
    numbers = random.normal(size=20_000) * 10.0 ** random.uniform(-50, 42, size=20_000)  # subnormal to infinite
    with np.errstate(over="ignore"):
        rounded = numbers.astype(np.float32)
    assert np.isinf(rounded).any()
    assert (rounded == 0).any()
    assert [float32(number) for number in numbers.tolist()] == rounded.astype(np.float64).tolist()


def test_rounding_at_the_edges() -> None:
    largest = 2.0**128 - 2.0**104
    assert [float32(x) for x in (largest, -largest, 1e39, -1e39)] == [largest, -largest, math.inf, -math.inf]
    assert [float32(x) for x in (math.inf, -math.inf, 2.0**-149, 2.0**-151)] == [math.inf, -math.inf, 2.0**-149, 0.0]
    assert [float32(x) for x in (1 + 2.0**-24, 1 + 3 * 2.0**-24)] == [1.0, 1 + 2.0**-22]  # ties go to even
    assert math.isnan(float32(math.nan))


def test_nan_is_equal_to_itself_and_to_no_number() -> None:
    nan, number = trace(1.0, math.nan), trace(1.0, 2.0)
    assert nan.first_difference(trace(1.0, math.nan)) is None
    assert nan.largest_difference(trace(1.5, math.nan), "learning_rate") == 0.5
    for a, b in ((nan, number), (number, nan)):
        assert a.first_difference(b) is not None
        assert math.isnan(a.largest_difference(b, "learning_rate"))
    assert trace(math.inf).largest_difference(trace(math.inf), "learning_rate") == 0.0


def test_plain_data_gives_back_an_equal_trace() -> None:
    recorded = trace(0.1, 1 / 3, 1e-300)
    recorded.record(Position(7, 1), {"momentum": 0.9})
    data = recorded.to_dict()
    assert data == {
        "epoch": [0, 0, 1, 7],
        "update": [0, 1, 0, 1],
        "values": {
            "learning_rate": [0.1, 1 / 3, 1e-300, None],
            "momentum": [None, None, None, 0.9],
            "weight_decay": [0.5, 0.5, 0.5, None],
        },
    }
    assert Trace.from_dict(json.loads(json.dumps(data))) == recorded
    assert Trace.from_dict(Trace().to_dict()) == Trace()


def test_a_trace_is_shown_in_one_line() -> None:
    assert repr(Trace()) == "<Trace of no update>"
    assert repr(trace(*[1.0] * 1000)) == (
        "<Trace of 1000 updates, from epoch 0, update 0 to epoch 499, update 1: learning_rate, weight_decay>"
    )
    many = Trace()
    many.record(Position(3), dict.fromkeys("abcd", 0.5))
    assert repr(many) == "<Trace of 1 updates, from epoch 3, update 0 to epoch 3, update 0: a, b, c, ...>"
    assert repr(many[0].values) == "{'a': 0.5, 'b': 0.5, 'c': 0.5, 'd': 0.5}"


def test_an_update_of_many_groups_takes_little_more_than_its_numbers() -> None:
    recorded, names = Trace(), [f"{name}/{group}" for group in range(200) for name in ("learning_rate", "momentum")]

    def record(number: int) -> None:
        recorded.record(Position(0, number), {"".join(name): number + 0.5 for name in names})  # new text each time

    record(0)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(1, 101):
            record(number)
        each = (tracemalloc.get_traced_memory()[0] - before) / 100
    finally:
        tracemalloc.stop()
    assert each < 1.5 * 8 * len(names)
    assert recorded.column("momentum/199") == [number + 0.5 for number in range(101)]


def test_updates_may_record_different_hyperparameters() -> None:
    recorded = Trace()
    for number, values in enumerate(({"a": 1.0}, {"b": 2.0, "a": 3.0}, {"a": 4.0, "b": 5.0}, {})):
        recorded.record(Position(0, number), values)
        assert recorded[number].values == values
        assert dict(recorded[number].values) == values
    for copied in (copy.deepcopy(recorded), pickle.loads(pickle.dumps(recorded)), Trace(list(recorded.entries))):
        assert copied == recorded
        copied.record(Position(1), {"a": 0.0})
        assert copied != recorded
