"""What holds of every schedule, asked of random compositions of all of them."""

from __future__ import annotations

import copy
import json
import math
import pickle
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from samestep import Clock, Constant, Duration, Plan, Recipe, Schedule, sequence, updates

from .epoch_functions import FUNCTIONS
from .strategies import NAMES, clocks, decays, durations, growths, multipliers, ramps, schedules

# The same examples in every run: a property that fails here fails for everybody.
FEW = settings(deadline=None, max_examples=120, derandomize=True)
COUNT = 45  # updates looked at: within the run for some clocks, far past its end for others


def etas(schedule: Schedule, clock: Clock, order: range | list[int] = range(COUNT)) -> dict[int, str]:
    """eta by update, asked in the given order; as text of all its bits, which tells 0.0 from -0.0."""
    plan = Plan(Recipe(learning_rate=1.0 * schedule), clock)
    assert clock.updates_per_epoch is not None
    return {i: plan.multiplier("learning_rate", *divmod(i, clock.updates_per_epoch)).hex() for i in order}


@FEW
@given(schedules, clocks, st.permutations(range(COUNT)))
def test_a_value_is_a_pure_function_of_the_position(schedule: Schedule, clock: Clock, order: list[int]) -> None:
    in_order = etas(schedule, clock)
    assert etas(schedule, clock, order) == in_order
    assert etas(schedule, clock, order[:1]) == {order[0]: in_order[order[0]]}


@FEW
@given(schedules, clocks)
def test_every_value_is_finite_and_not_negative(schedule: Schedule, clock: Clock) -> None:
    values = [float.fromhex(value) for value in etas(schedule, clock).values()]
    assert all(math.isfinite(value) and value >= 0 for value in values)


@FEW
@given(schedules)
def test_repr_evaluates_to_an_equal_schedule(schedule: Schedule) -> None:
    again = eval(repr(schedule), dict(NAMES))
    assert again == schedule
    assert hash(again) == hash(schedule)
    assert repr(again) == repr(schedule)


@FEW
@given(schedules, clocks)
def test_json_gives_back_an_equal_schedule_with_the_same_bits(schedule: Schedule, clock: Clock) -> None:
    data = schedule.to_dict()
    again = Schedule.from_dict(json.loads(json.dumps(data, allow_nan=False)), FUNCTIONS)
    assert again == schedule
    assert hash(again) == hash(schedule)
    assert again.to_dict() == data
    assert etas(again, clock) == etas(schedule, clock)


@FEW
@given(schedules)
def test_a_pickle_and_a_deep_copy_are_equal_and_hash_equal(schedule: Schedule) -> None:
    for again in (pickle.loads(pickle.dumps(schedule)), copy.deepcopy(schedule)):
        assert again == schedule
        assert hash(again) == hash(schedule)


@FEW
@given(schedules, clocks, st.integers(0, 20))
def test_after_is_a_shift(schedule: Schedule, clock: Clock, begin: int) -> None:
    shifted, own = etas(schedule.after(updates(begin)), clock), etas(schedule, clock)
    assert shifted == {i: own[max(i - begin, 0)] for i in range(COUNT)}


@FEW
@given(schedules, clocks, st.integers(0, 20))
def test_until_stops_the_clock(schedule: Schedule, clock: Clock, end: int) -> None:
    stopped, own = etas(schedule.until(updates(end)), clock), etas(schedule, clock)
    assert stopped == {i: own[min(i, end)] for i in range(COUNT)}


@FEW
@given(schedules, schedules, clocks, st.integers(1, 20))
def test_a_sequence_is_its_parts_each_from_its_own_start(a: Schedule, b: Schedule, clock: Clock, begin: int) -> None:
    joined, first, second = etas(sequence(a, (updates(begin), b)), clock), etas(a, clock), etas(b, clock)
    assert joined == {i: first[i] if i < begin else second[i - begin] for i in range(COUNT)}


@FEW
@given(schedules, clocks, multipliers)
def test_bounds_hold_and_change_nothing_inside_them(schedule: Schedule, clock: Clock, bound: float) -> None:
    own = {i: float.fromhex(value) for i, value in etas(schedule, clock).items()}
    least, most = etas(schedule.at_least(bound), clock), etas(schedule.at_most(bound), clock)
    for i, value in own.items():
        assert float.fromhex(least[i]) == (value if value > bound else bound)
        assert float.fromhex(most[i]) == (value if value < bound else bound)


@FEW
@given(schedules, schedules, clocks)
def test_a_product_multiplies_the_values(a: Schedule, b: Schedule, clock: Clock) -> None:
    left, right = etas(a, clock), etas(b, clock)
    assert etas(a * b, clock) == {i: (float.fromhex(left[i]) * float.fromhex(right[i])).hex() for i in range(COUNT)}


@FEW
@given(schedules, clocks, st.integers(1, 20), decays)
def test_a_repeat_is_periodic_but_for_its_decay(schedule: Schedule, clock: Clock, every: int, decay: float) -> None:
    own, found = etas(schedule, clock), etas(schedule.repeat(updates(every), decay=decay), clock)
    assert found == {i: (decay ** (i // every) * float.fromhex(own[i % every])).hex() for i in range(COUNT)}


@FEW
@given(schedules, clocks, st.integers(1, 20), growths, decays)
def test_the_first_cycle_of_a_repeat_is_the_schedule_itself(
    schedule: Schedule, clock: Clock, every: int, growth: float, decay: float
) -> None:
    own, found = etas(schedule, clock), etas(schedule.repeat(updates(every), growth, decay), clock)
    assert {i: found[i] for i in range(every)} == {i: own[i] for i in range(every)}


@FEW
@given(schedules, clocks, durations)
def test_a_gate_is_constant_before_and_unchanged_after(schedule: Schedule, clock: Clock, begin: Duration) -> None:
    gate = clock.exact(begin)
    own, gated = etas(schedule, clock), etas(schedule.after(begin), clock)
    assert {gated[i] for i in range(COUNT) if i <= gate} == {own[0]}
    if gate.denominator == 1:
        assert {i: gated[i] for i in range(int(gate), COUNT)} == {
            i: own[i - int(gate)] for i in range(int(gate), COUNT)
        }
    # One more gate, at the first update at or after it, is the same as one at that update.
    late = updates(math.ceil(gate))
    assert etas(sequence(Constant(2), (begin, Constant(3))), clock) == etas(
        sequence(Constant(2), (late, Constant(3))), clock
    )


@FEW
@given(ramps, clocks)
def test_a_ramp_lies_between_its_start_and_its_end_and_keeps_the_end(ramp: Any, clock: Clock) -> None:
    found = [float.fromhex(value) for value in etas(ramp, clock).values()]
    over, ends = clock.exact(ramp.over), getattr(ramp, "end", 1.0)
    first = max(math.ceil(over) - ramp.inclusive, 0)
    assert set(found[first:]) <= {ends}
    # A mixture of the two may round past either of them by a last bit.
    low, high = sorted([getattr(ramp, "start", 1.0), ends])
    assert all(low - 2**-50 <= value <= high + 2**-50 for value in found)


@FEW
@given(schedules, clocks)
def test_values_are_those_of_value_for_an_epoch_a_stretch_and_the_run(schedule: Schedule, clock: Clock) -> None:
    plan = Plan(Recipe(learning_rate=1.0 * schedule), clock)
    count, total = clock.updates_per_epoch or 1, plan.updates()
    run = [plan.value("learning_rate", *divmod(i, count), 0.3) for i in range(total)]
    assert plan.values("learning_rate", base=0.3) == run
    assert [v for e in range(clock.epochs or 1) for v in plan.values("learning_rate", e, base=0.3)] == run
    assert plan.between("learning_rate", 1, total, base=0.3, every=2) == run[1::2]


@FEW
@given(schedules, clocks)
def test_every_plan_can_be_linted_explained_and_compared(schedule: Schedule, clock: Clock) -> None:
    plan = Plan(Recipe(learning_rate=1.0 * schedule), clock)
    assert all(sentence.startswith("learning_rate: ") for sentence in plan.lint())
    assert plan.explain().endswith("\n".join(f"  {sentence}" for sentence in plan.lint()))
    assert len(plan.table().splitlines()) == 1 + (clock.epochs or 0)


@FEW
@given(schedules, clocks)
def test_what_is_called_constant_within_epochs_is(schedule: Schedule, clock: Clock) -> None:
    plan = Plan(Recipe(learning_rate=1.0 * schedule), clock)
    if plan.constant_within_epochs("learning_rate"):
        for epoch in range(12):
            assert len(set(plan.values("learning_rate", epoch, base=1.0))) == 1


@FEW
@given(durations)
def test_a_durations_repr_and_text_read_back(duration: Duration) -> None:
    assert eval(repr(duration), dict(NAMES)) == duration
    assert Constant().after(str(duration)) == Constant().after(duration)
