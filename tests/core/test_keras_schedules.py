"""Every Keras learning rate schedule, over whole runs and past their ends, on Keras' default backend.

Keras computes in float32, which loses digits on the way: in `1 + cos` near 0, in the power of a rounded fraction. So
each of its formulas is asked twice. In float64 every value must agree to 1e-12. In float32, as a user gets it, every
value must agree to 2 units in the last place, or to 1 more than what float32 has lost against Keras' own float64.

Where Keras does something else at an edge, a test has its values beside samestep's.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import mpmath
import numpy as np
import pytest
from keras.optimizers import schedules

from samestep import (
    Clock,
    Constant,
    CosineDecay,
    Curve,
    DurationLike,
    ExponentialDecay,
    InverseTimeDecay,
    Plan,
    PolynomialDecay,
    Recipe,
    Schedule,
    StepDecay,
    Ticks,
    Warmup,
    sequence,
    updates,
)

from .measures import furthest, lost_in_cosine, per_update, ulps

BASE = 0.1
Peer = Callable[[], schedules.LearningRateSchedule]


@dataclass(frozen=True, repr=False)
class CyclingPolynomial(Schedule):
    """Keras' PolynomialDecay(cycle=True): the length grows by itself each time that it has passed."""

    over: DurationLike
    power: float = 1.0
    end: float = 0.0

    def curve(self, ticks: Ticks) -> Curve:
        over, power, end = ticks(self.over), self.power, self.end
        return lambda t: end + (1 - end) * (1 - t / (over * max(1, -(-t // over)))) ** power


def steps(*pairs: tuple[int, float]) -> Schedule:
    """The second of each pair, from the update that is the first of it."""
    (_, first), *rest = pairs
    return sequence(Constant(first), *((updates(begin), Constant(value)) for begin, value in rest))


def rows_of_length(length: int) -> dict[str, tuple[Peer, Schedule, int]]:
    over, count = updates(length), 3 * length
    return {
        "ExponentialDecay": (
            lambda: schedules.ExponentialDecay(BASE, length, 0.3),
            ExponentialDecay(0.3, every=over),
            count,
        ),
        "ExponentialDecay staircase": (
            lambda: schedules.ExponentialDecay(BASE, length // 3, 0.6, staircase=True),
            StepDecay(0.6, every=updates(length // 3)),
            count,
        ),
        "InverseTimeDecay": (
            lambda: schedules.InverseTimeDecay(BASE, length, 0.7),
            InverseTimeDecay(0.7, every=over),
            count,
        ),
        "InverseTimeDecay staircase": (
            lambda: schedules.InverseTimeDecay(BASE, length // 3, 0.7, staircase=True),
            InverseTimeDecay(0.7, every=updates(length // 3), staircase=True),
            count,
        ),
        "PiecewiseConstantDecay": (
            lambda: schedules.PiecewiseConstantDecay([length // 2, length, 2 * length], [BASE, 0.05, 0.08, 0.001]),
            # Keras' boundaries are the last updates that have the value before them.
            steps((0, 1.0), (length // 2 + 1, 0.5), (length + 1, 0.8), (2 * length + 1, 0.01)),
            count,
        ),
        "PolynomialDecay": (
            lambda: schedules.PolynomialDecay(BASE, length, 0.01 * BASE),
            PolynomialDecay(over, end=0.01),
            count,
        ),
        "PolynomialDecay to 0": (
            lambda: schedules.PolynomialDecay(BASE, length, 0.0, power=2.0),
            PolynomialDecay(over, power=2.0),
            count,
        ),
        "PolynomialDecay root": (
            lambda: schedules.PolynomialDecay(BASE, length, 0.2 * BASE, power=0.5),
            PolynomialDecay(over, power=0.5, end=0.2),
            count,
        ),
        "PolynomialDecay cycle": (
            lambda: schedules.PolynomialDecay(BASE, length // 3, 0.2 * BASE, power=2.0, cycle=True),
            CyclingPolynomial(updates(length // 3), power=2.0, end=0.2),
            count,
        ),
        "CosineDecay": (
            lambda: schedules.CosineDecay(BASE, length, alpha=0.1),
            CosineDecay(over, end=0.1),
            count,
        ),
        "CosineDecay to 0": (lambda: schedules.CosineDecay(BASE, length), CosineDecay(over), count),
        "CosineDecay after a warmup": (
            lambda: schedules.CosineDecay(0.01 * BASE, length, alpha=0.1, warmup_target=BASE, warmup_steps=length // 3),
            sequence(Warmup(updates(length // 3), start=0.01), (updates(length // 3), CosineDecay(over, end=0.1))),
            count,
        ),
        **{
            f"CosineDecayRestarts t_mul={growth} m_mul={decay} alpha={end}": (
                lambda growth=growth, decay=decay, end=end: schedules.CosineDecayRestarts(
                    BASE, length // 3, t_mul=growth, m_mul=decay, alpha=end
                ),
                CosineDecay(updates(length // 3), end=end).repeat(updates(length // 3), growth=growth, decay=decay),
                count,
            )
            # alpha is a floor in Keras and decays with the rest here, so that only one of m_mul and alpha is given.
            for growth, decay, end in [(1, 0.7, 0.0), (1, 1.0, 0.1), (2, 0.7, 0.0), (2, 1.0, 0.1), (3, 1.0, 0.1)]
        },
    }


ROWS = {f"{name}, {length}": row for length in (12, 97) for name, row in rows_of_length(length).items()}
# In the longest runs Keras is given all updates at once. Two of its schedules do not take that; its restarts with
# t_mul=3 then compute another logarithm and miss one.
UNBATCHED = ("PiecewiseConstantDecay", "CosineDecay after a warmup", "t_mul=3")
LONG = {name: row for name, row in rows_of_length(10_000).items() if not any(reason in name for reason in UNBATCHED)}


def in_float64(schedule: Any) -> Any:
    """The same schedule with arrays for its numbers, which Keras computes with in their own precision."""

    def widened(value: Any) -> Any:
        if isinstance(value, list):
            return [widened(item) for item in value]
        return np.array(value) if isinstance(value, float) else value

    return type(schedule)(**{name: widened(value) for name, value in schedule.get_config().items()})


def each(schedule: Any, count: int) -> list[float]:
    return [float(schedule(update)) for update in range(count)]


def batched(schedule: Any, count: int) -> list[float]:
    values: list[float] = keras.ops.convert_to_numpy(schedule(np.arange(count))).tolist()
    return values


@pytest.mark.parametrize(
    ("peer", "ours", "count", "run"),
    [*((*row, each) for row in ROWS.values()), *((*row, batched) for row in LONG.values())],
    ids=[*ROWS, *(f"{name}, 10000" for name in LONG)],
)
def test_the_values_are_kerass(
    peer: Peer,
    ours: Schedule,
    count: int,
    run: Callable[[Any, int], list[float]],
) -> None:
    found = [BASE * eta for eta in per_update(ours, count)]
    used, wide = run(peer(), count), run(in_float64(peer()), count)
    assert furthest(found, wide, lost_in_cosine(ours, BASE)) <= 1e-12
    for update in range(count):
        lost = ulps(used[update], wide[update])
        assert ulps(found[update], used[update]) <= max(2, lost + 1), f"update {update}"


@pytest.mark.parametrize(
    ("peer", "ours"),
    [
        (lambda: schedules.PolynomialDecay(BASE, 97, 0.01), PolynomialDecay(updates(97), end=0.1)),
        (lambda: schedules.PolynomialDecay(BASE, 97, 0.02, 2.0, cycle=True), CyclingPolynomial(updates(97), 2.0, 0.2)),
        (lambda: schedules.PolynomialDecay(BASE, 97, 0.01, 0.5), PolynomialDecay(updates(97), power=0.5, end=0.1)),
        (lambda: schedules.InverseTimeDecay(BASE, 97, 0.7), InverseTimeDecay(0.7, every=updates(97))),
        (lambda: schedules.ExponentialDecay(BASE, 97, 0.75), ExponentialDecay(0.75, every=updates(97))),
        (lambda: schedules.CosineDecay(BASE, 97, 0.3), CosineDecay(updates(97), end=0.3)),
        (
            lambda: schedules.CosineDecayRestarts(BASE, 97, 1.0, 1.0, 0.5),
            CosineDecay(updates(97), end=0.5).repeat(updates(97)),
        ),
    ],
    ids=["line", "cycle", "root", "inverse", "power", "cosine", "restarts"],
)
def test_where_float32_loses_nothing_keras_is_within_four_units(peer: Peer, ours: Schedule) -> None:
    found, used = [BASE * eta for eta in per_update(ours, 291)], each(peer(), 291)
    # One or two of the processor's own cosine or power, and of the sums and products around it.
    assert max(map(ulps, found, used)) <= 4


def test_near_0_a_cosine_has_lost_digits_in_keras_that_ours_has() -> None:
    """The last 20 updates before each restart, and the end."""
    length, count = 3333, 9999
    ours = per_update(CosineDecay(updates(length)).repeat(updates(length)), count)
    kerass = batched(in_float64(schedules.CosineDecayRestarts(1.0, length, t_mul=1.0)), count)
    lost = 0.0
    with mpmath.workdps(50):
        for update in range(count):
            if length - update % length <= 20:
                exact = mpmath.cos(mpmath.pi * (update % length) / (2 * length)) ** 2
                assert abs(ours[update] - exact) < exact * 10**-15
                assert abs(kerass[update] - exact) < 2**-53
                lost = max(lost, abs(kerass[update] - exact) / exact)
    assert lost > 10**-10


def test_keras_changes_a_piece_one_update_late() -> None:
    assert each(schedules.PiecewiseConstantDecay([3, 5], [1.0, 0.5, 0.25]), 7) == [1, 1, 1, 1, 0.5, 0.5, 0.25]
    assert per_update(steps((0, 1.0), (3, 0.5), (5, 0.25)), 7) == [1, 1, 1, 0.5, 0.5, 0.25, 0.25]


def near(values: list[float]) -> Any:
    """Equal but for the last two of float32's 24 bits, which the processor's own cosine or power may have otherwise."""
    return pytest.approx(values, rel=2**-22, abs=2**-22)


def test_kerass_cycle_grows_and_a_repeat_begins_again() -> None:
    kerass = each(schedules.PolynomialDecay(1.0, 4, 0.0, cycle=True), 10)
    assert kerass == near([1.0, 0.75, 0.5, 0.25, 0.0, 0.375, 0.25, 0.125, 0.0, 0.25])
    ours = per_update(PolynomialDecay(updates(4)).repeat(updates(4)), 10)
    assert ours == [1.0, 0.75, 0.5, 0.25, 1.0, 0.75, 0.5, 0.25, 1.0, 0.75]
    assert per_update(CyclingPolynomial(updates(4)), 10) == near(kerass)


def test_kerass_alpha_is_a_floor_of_every_cycle_and_ours_decays_with_it() -> None:
    kerass = each(schedules.CosineDecayRestarts(1.0, 2, t_mul=1.0, m_mul=0.5, alpha=0.25), 6)
    assert kerass == near([1.0, 0.625, 0.625, 0.4375, 0.4375, 0.34375])
    ours = per_update(CosineDecay(updates(2), end=0.25).repeat(updates(2), decay=0.5), 6)
    assert ours == pytest.approx([1.0, 0.625, 0.5, 0.3125, 0.25, 0.15625], rel=1e-15, abs=0)


@pytest.mark.parametrize(("first", "growth", "update"), [(10, 1.2, 22), (10, 2.0, 81_910)])
def test_keras_may_miss_a_restart_by_its_logarithm_and_ours_has_it(first: int, growth: float, update: int) -> None:
    kerass = schedules.CosineDecayRestarts(1.0, first, t_mul=growth)
    ours = CosineDecay(updates(first)).repeat(updates(first), growth=growth)
    plan = Plan(Recipe(learning_rate=ours), Clock(updates_per_epoch=1))
    assert min(float(kerass(update)), 1 - float(kerass(update))) == pytest.approx(0.0, abs=1e-6)  # the end, or a start
    assert plan.multiplier("learning_rate", update) == 1.0
    assert float(kerass(update + 1)) == pytest.approx(plan.multiplier("learning_rate", update + 1), rel=1e-6)


def test_keras_counts_updates_in_float32_and_drops_one_early_and_ours_counts_in_integers() -> None:
    kerass = schedules.ExponentialDecay(1.0, 16_777_217, 0.5, staircase=True)
    plan = Plan(Recipe(learning_rate=StepDecay(0.5, every=updates(16_777_217))), Clock(updates_per_epoch=1))
    around = range(16_777_214, 16_777_218)
    assert [float(kerass(update)) for update in around] == [1.0, 1.0, 0.5, 0.5]
    assert [plan.multiplier("learning_rate", update) for update in around] == [1.0, 1.0, 1.0, 0.5]


def test_every_schedule_of_keras_is_accounted_for() -> None:
    kinds = {name for name, kind in vars(schedules).items() if inspect.isclass(kind)}
    assert kinds - {name.split(",")[0].split(" ")[0] for name in ROWS} == {"LearningRateSchedule"}  # the base class
