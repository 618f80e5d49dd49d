"""Every schedule of optax, over whole runs and past their ends.

optax computes in JAX's float32, which loses digits on the way. So each of its formulas is asked twice. In float64 every
value must agree to 1e-12. In float32, as a user gets it, every value must agree to 2 units in the last place, or to 1
more than what float32 has lost against optax's own float64.

Where optax does something else at an edge, a test has its values beside samestep's.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
import pytest

from samestep import (
    Constant,
    CosineDecay,
    ExponentialDecay,
    LinearDecay,
    MultiStepDecay,
    PolynomialDecay,
    Ramp,
    Schedule,
    StepDecay,
    Warmup,
    one_cycle,
    sequence,
    updates,
)

from .measures import furthest, per_update, ulps

BASE = 0.1
Peer = Callable[[Any], Any]


@dataclass(frozen=True, repr=False)
class CosinePower(Ramp):
    """optax's exponent: a power of half a cosine."""

    exponent: float = 1.0
    end: float = 0.0

    def between(self, tau: float, left: float) -> float:
        return self.end + (1.0 - self.end) * ((1.0 + math.cos(math.pi * tau)) / 2.0) ** self.exponent


def values(peer: Peer, count: int, exact: bool = False) -> list[float]:
    with jax.enable_x64(exact):
        if count <= 300:
            return [float(peer(update)) for update in range(count)]
        batched: list[float] = jax.vmap(peer)(jnp.arange(count)).tolist()
        return batched


def line(over: int, start: float, end: float) -> LinearDecay:
    return LinearDecay(updates(over), start=start, end=end)


def rows_of_length(length: int) -> dict[str, tuple[Peer, Schedule, int]]:
    over, tenth, count = updates(length), length // 10, 2 * length
    begin = updates(tenth)
    return {
        "linear_schedule": (optax.linear_schedule(BASE, 0.025, length), line(length, 1.0, 0.25), count),
        "linear_schedule up, later": (
            optax.linear_schedule(0.01, BASE, length, tenth),
            line(length, 0.1, 1.0).after(begin),
            count,
        ),
        "polynomial_schedule": (
            optax.polynomial_schedule(BASE, 0.01, 2, length),
            PolynomialDecay(over, 2.0, 0.1),
            count,
        ),
        "polynomial_schedule root, later": (
            optax.polynomial_schedule(BASE, 0.01, 0.5, length, tenth),
            PolynomialDecay(over, 0.5, 0.1).after(begin),
            count,
        ),
        "exponential_decay": (optax.exponential_decay(BASE, length, 0.3), ExponentialDecay(0.3, every=over), count),
        "exponential_decay later, to an end": (
            optax.exponential_decay(BASE, length, 0.01, transition_begin=tenth, end_value=0.002),
            ExponentialDecay(0.01, every=over).after(begin).at_least(0.02),
            count,
        ),
        "exponential_decay growing, to an end": (
            optax.exponential_decay(BASE, length, 3.0, end_value=0.2),
            ExponentialDecay(3.0, every=over).at_most(2.0),
            count,
        ),
        "exponential_decay staircase, later, to an end": (
            optax.exponential_decay(BASE, tenth, 0.8, transition_begin=3, staircase=True, end_value=0.02),
            StepDecay(0.8, every=begin).after(updates(3)).at_least(0.2),
            count,
        ),
        "cosine_decay_schedule": (optax.cosine_decay_schedule(BASE, length, 0.1), CosineDecay(over, end=0.1), count),
        "cosine_decay_schedule exponent": (
            optax.cosine_decay_schedule(BASE, length, 0.1, exponent=1.5),
            CosinePower(over, exponent=1.5, end=0.1),
            count,
        ),
        "piecewise_constant_schedule": (
            optax.piecewise_constant_schedule(BASE, {tenth: 0.3, 5 * tenth: 0.3, length: 0.3}),
            MultiStepDecay(0.3, [begin, updates(5 * tenth), over]),
            count,
        ),
        "piecewise_interpolate_schedule linear": (
            optax.piecewise_interpolate_schedule("linear", BASE, {tenth: 2.0, length: 0.25}),
            sequence(line(tenth, 1.0, 2.0), (begin, line(length - tenth, 2.0, 0.5))),
            count,
        ),
        "piecewise_interpolate_schedule cosine": (
            optax.piecewise_interpolate_schedule("cosine", BASE, {tenth: 2.0, length: 0.25}),
            sequence(CosineDecay(begin, 2.0, start=1.0), (begin, CosineDecay(updates(length - tenth), 0.5, start=2.0))),
            count,
        ),
        "linear_onecycle_schedule": (
            optax.linear_onecycle_schedule(length, BASE, 0.3, 0.8, 20.0, 50.0),
            sequence(
                line(3 * tenth, 0.05, 1.0),
                (updates(3 * tenth), line(5 * tenth, 1.0, 0.05)),
                (updates(8 * tenth), line(2 * tenth, 0.05, 0.001)),
            ),
            count,
        ),
        "cosine_onecycle_schedule": (
            optax.cosine_onecycle_schedule(length, BASE, 0.3, 20.0, 50.0),
            one_cycle(over, peak=updates(3 * tenth), start=0.05, end=0.001),
            count,
        ),
        "warmup_constant_schedule": (optax.warmup_constant_schedule(0.0, BASE, length), Warmup(over), count),
        "warmup_cosine_decay_schedule": (
            optax.warmup_cosine_decay_schedule(0.01, BASE, tenth, length, 0.02),
            sequence(Warmup(begin, start=0.1), (begin, CosineDecay(updates(length - tenth), end=0.2))),
            count,
        ),
        "warmup_exponential_decay_schedule": (
            optax.warmup_exponential_decay_schedule(0.01, BASE, tenth, length, 0.3, transition_begin=5, end_value=0.05),
            sequence(
                Warmup(begin, start=0.1),
                (begin, ExponentialDecay(0.3, every=over).after(updates(5)).at_least(0.5)),
            ),
            count,
        ),
        "sgdr_schedule": (
            optax.sgdr_schedule(
                [
                    {
                        "init_value": 0.01,
                        "peak_value": BASE,
                        "warmup_steps": 3,
                        "decay_steps": tenth,
                        "end_value": 0.01,
                    },
                    {
                        "init_value": 0.02,
                        "peak_value": 0.05,
                        "warmup_steps": tenth,
                        "decay_steps": length,
                        "end_value": 0.02,
                    },
                ]
            ),
            sequence(
                line(3, 0.1, 1.0),
                (updates(3), CosineDecay(updates(tenth - 3), 0.1)),
                (begin, line(tenth, 0.2, 0.5)),
                (updates(2 * tenth), CosineDecay(updates(length - tenth), 0.2, start=0.5)),
            ),
            count,
        ),
        "join_schedules": (
            optax.join_schedules(
                [
                    optax.constant_schedule(BASE),
                    optax.linear_schedule(0.2, 0.1, length),
                    optax.exponential_decay(BASE, 7, 0.99),
                ],
                [tenth, 5 * tenth],
            ),
            sequence(
                Constant(),
                (begin, line(length, 2.0, 1.0)),
                (updates(5 * tenth), ExponentialDecay(0.99, every=updates(7))),
            ),
            count,
        ),
    }


ROWS: dict[str, tuple[Peer, Schedule, int]] = {
    "constant_schedule": (optax.constant_schedule(BASE), Constant(), 100),
    "linear_schedule to 0": (optax.linear_schedule(BASE, 0.0, 97), LinearDecay(updates(97)), 300),
    "polynomial_schedule to 0": (optax.polynomial_schedule(BASE, 0.0, 3, 97), PolynomialDecay(updates(97), 3.0), 300),
    "cosine_decay_schedule to 0": (optax.cosine_decay_schedule(BASE, 97), CosineDecay(updates(97)), 300),
    "cosine_decay_schedule to 0, squared": (
        optax.cosine_decay_schedule(BASE, 97, exponent=2),
        CosineDecay(updates(97)) * CosineDecay(updates(97)),
        300,
    ),
    "warmup_cosine_decay_schedule to 0": (
        optax.warmup_cosine_decay_schedule(0.0, BASE, 7, 97),
        sequence(Warmup(updates(7)), (updates(7), CosineDecay(updates(90)))),
        300,
    ),
    **{f"{name}, {length}": row for length in (40, 590, 10_000) for name, row in rows_of_length(length).items()},
}


@pytest.mark.parametrize(("peer", "ours", "count"), ROWS.values(), ids=ROWS)
def test_every_value_is_that_of_optax(peer: Peer, ours: Schedule, count: int) -> None:
    found = [BASE * eta for eta in per_update(ours, count)]
    used, wide = values(peer, count), values(peer, count, exact=True)
    assert furthest(found, wide) <= 1e-12
    for update in range(count):
        lost = ulps(used[update], wide[update])
        assert ulps(found[update], used[update]) <= max(2, lost + 1), f"update {update}"


# Of the rows, those in which optax's float32 loses next to nothing; one of each kind of formula.
FAITHFUL = (
    "constant_schedule",
    "cosine_decay_schedule exponent, 40",
    "exponential_decay growing, to an end",
    "exponential_decay staircase, later, to an end",
    "exponential_decay, 40",
    "join_schedules, 40",
    "linear_schedule, 40",
    "linear_schedule, 590",
    "piecewise_constant_schedule",
    "sgdr_schedule, 40",
    "warmup_exponential_decay_schedule, 40",
)


@pytest.mark.parametrize("name", [name for name in ROWS if name.startswith(FAITHFUL)])
def test_where_float32_loses_nothing_optax_is_within_four_units(name: str) -> None:
    peer, ours, count = ROWS[name]
    # One or two of the processor's own cosine or power, and of the sums and products around it.
    assert max(map(ulps, [BASE * eta for eta in per_update(ours, count)], values(peer, count))) <= 4


def test_optax_one_cycle_loses_its_first_phase_in_a_short_run_and_ours_does_not() -> None:
    optaxs = values(optax.linear_onecycle_schedule(2, 1.0), 4)
    assert optaxs == pytest.approx([1.0, 0.04, 4e-6, 4e-6], rel=1e-6)  # int(0.3 * 2) updates is the start already
    ours = per_update(one_cycle(updates(2), anneal="linear"), 4)
    assert ours == pytest.approx([0.04, 1 - (1 - 4e-6) * 0.4 / 1.4, 4e-6, 4e-6], rel=1e-15, abs=0)


def test_optax_makes_a_constant_of_what_is_0_and_ours_drops_to_0_or_refuses() -> None:
    assert values(optax.exponential_decay(1.0, 2, 0.0, staircase=True), 4) == [1.0, 1.0, 1.0, 1.0]
    assert per_update(StepDecay(0.0, every=updates(2)), 4) == [1.0, 1.0, 0.0, 0.0]
    assert values(optax.linear_schedule(1.0, 0.0, 0), 3) == [1.0, 1.0, 1.0]
    with pytest.raises(ValueError, match="expected a duration longer than zero"):
        LinearDecay(updates(0))


def test_optax_begins_where_ours_does() -> None:
    """The boundary of a piece is its first update; what begins at 5 has its first other value at 6."""
    assert values(optax.piecewise_constant_schedule(1.0, {5: 0.5}), 7) == [1.0] * 5 + [0.5] * 2
    assert per_update(StepDecay(0.5, every=updates(100), first=updates(5)), 7) == [1.0] * 5 + [0.5] * 2
    assert values(optax.linear_schedule(1.0, 0.0, 4, transition_begin=5), 8) == [1.0] * 6 + [0.75, 0.5]
    assert per_update(LinearDecay(updates(4)).after(updates(5)), 8) == [1.0] * 6 + [0.75, 0.5]


def test_optax_drops_a_schedule_without_a_boundary_and_ours_cannot_be_written_so() -> None:
    constants = [optax.constant_schedule(value) for value in (1.0, 0.5, 0.25)]
    assert values(optax.join_schedules(constants, [2]), 5) == [1.0, 1.0, 0.5, 0.5, 0.5]
    with pytest.raises(TypeError, match="expected pairs of a duration and a schedule"):
        sequence(Constant(1.0), (updates(2), Constant(0.5)), Constant(0.25))  # type: ignore[arg-type]


def test_compiled_optax_may_miss_its_end_and_ours_has_it_exactly() -> None:
    """A division by 40 may be compiled to a multiplication with the float32 nearest to 1 / 40, 40 of which exceed 1.

    Whether it is, and what comes of it, depends on the processor.
    """
    line, root = optax.linear_schedule(1.0, 0.0, 40), optax.polynomial_schedule(1.0, 0.0, 0.5, 40)
    assert (float(line(40)), float(root(40))) == (0.0, 0.0)
    assert abs(float(jax.jit(line)(40))) < 1e-7
    assert all(math.isnan(value) or value < 1e-3 for value in map(float, map(jax.jit(root), (40, 1000))))
    assert per_update(LinearDecay(updates(40)), 42)[40:] == [0.0, 0.0]
    assert per_update(PolynomialDecay(updates(40), power=0.5), 42)[40:] == [0.0, 0.0]


def test_every_schedule_of_optax_is_accounted_for() -> None:
    compared = {name.split(",")[0].split(" ")[0] for name in ROWS}
    others = {name for name in vars(optax.schedules) if name.startswith("inject_")}  # these put one in an optimizer
    named = {name for name, made in vars(optax.schedules).items() if inspect.isfunction(made)}
    assert named - others == compared
