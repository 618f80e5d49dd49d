"""The values that the tests of fvcore and of Composer expect of their schedules, written in this package's shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

from samestep import (
    Clock,
    Constant,
    CosineDecay,
    ExponentialDecay,
    LinearDecay,
    MultiStepDecay,
    Plan,
    PolynomialDecay,
    Recipe,
    Schedule,
    StepDecay,
    Warmup,
    epochs,
    percent,
    sequence,
    updates,
)

from .measures import per_update

COSINE = [0.1, 0.0976, 0.0905, 0.0794, 0.0655, 0.05, 0.0345, 0.0206, 0.0095, 0.0024]
RISING = [0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.09]
THIRDS = [0.1] * 3 + [0.01] * 3 + [0.001] * 3 + [0.0001] * 3


def constants(*lengths_and_values: tuple[float, float]) -> Schedule:
    """One constant after another, each with its share of the run."""
    begun, parts = 0.0, []
    for length, value in lengths_and_values:
        parts.append((percent(round(begun, 4)), Constant(value)))
        begun += length
    return sequence(parts[0][1], *parts[1:])


# A schedule, what it multiplies, and fvcore's values at the updates of a run of as many, to as many digits as given.
FVCORE: dict[str, tuple[Schedule, float, list[float]]] = {
    "constant": (Constant(), 0.1, [0.1] * 10),
    "cosine": (CosineDecay("100%"), 0.1, COSINE),
    "cosine upwards": (CosineDecay("100%", start=0.0, end=1.0), 0.1, [0.0, *reversed(COSINE[1:])]),
    "linear": (LinearDecay("100%"), 0.1, [0.1, *reversed(RISING[1:])]),
    "linear upwards": (Warmup("100%"), 0.1, RISING),
    "polynomial": (PolynomialDecay("100%", power=1), 0.1, [0.1, *reversed(RISING[1:])]),
    "exponential": (
        ExponentialDecay(0.1, percent(100)),
        2.0,
        [2.0, 1.5887, 1.2619, 1.0024, 0.7962, 0.6325, 0.5024, 0.3991, 0.3170, 0.2518],
    ),
    "multi-step": (
        MultiStepDecay(0.1, [updates(4), updates(6), updates(8)]),
        0.1,
        [0.1] * 4 + [0.01] * 2 + [0.001] * 2 + [0.0001] * 4,
    ),
    "multi-step, equal parts": (StepDecay(0.1, every=percent(25)), 0.1, THIRDS),
    "step": (StepDecay(0.1, every=updates(3)), 0.1, THIRDS),
    "step with a fixed gamma": (StepDecay(0.1, every=percent(25)), 1.0, [10 * value for value in THIRDS]),
    "composite": (
        constants((20, 0.1), (40, 0.2), (10, 0.3), (30, 0.4)),
        1.0,
        [0.1, 0.1, 0.2, 0.2, 0.2, 0.2, 0.3, 0.4, 0.4, 0.4],
    ),
    "composite, a little less than the whole": (constants((70, 0.1), (29.99, 0.2)), 1.0, [0.1] * 7 + [0.2] * 3),
    "composite of lines": (
        sequence(LinearDecay("50%", start=0.0, end=0.5), ("50%", LinearDecay("50%", start=0.5, end=1.0))),
        1.0,
        [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9],
    ),
}


@pytest.mark.parametrize("name", FVCORE)
def test_the_values_of_fvcore(name: str) -> None:
    schedule, base, expected = FVCORE[name]
    found = [base * eta for eta in per_update(schedule, len(expected), epochs=len(expected))]
    assert [round(value, 4) for value in found] == [round(value, 4) for value in expected]


class Row(NamedTuple):
    """A schedule, Composer's values at updates, and the length of the run in epochs of 1,000 updates."""

    schedule: Schedule
    expected: dict[int, float]
    length: int = 1000


def warmed(over: object, then: Callable[[object], Schedule], rest: object) -> Schedule:
    """A warmup, after which the other schedule begins."""
    return Warmup(over) * then(rest).after(over)  # type: ignore[arg-type]


def cosine_to(end: float) -> Callable[[object], Schedule]:
    return lambda over: CosineDecay(over, end=end)  # type: ignore[arg-type]


def square_to(end: float) -> Callable[[object], Schedule]:
    return lambda over: PolynomialDecay(over, power=2, end=end)  # type: ignore[arg-type]


HALVES = MultiStepDecay(0.5, [updates(100), epochs(1), percent(1)])
QUARTER = LinearDecay(percent(25), start=0.0, end=1.0)
K = 1000
# Composer scales durations by the ratio of the run's length to the planned one; here the run has its length and the
# durations are those after scaling.
COMPOSER: dict[str, Row] = {
    "step": Row(StepDecay(0.1, updates(10)), {5: 1.0, 15: 0.1, 35: 0.001}),
    "step, of the run": Row(StepDecay(0.8, percent(0.2)), {1 * K: 1.0, 3 * K: 0.8, 7 * K: 0.512}),
    "step, of an epoch": Row(StepDecay(0.5, epochs(1)), {500: 1.0, 1500: 0.5, 3500: 0.125}),
    "step, scaled": Row(StepDecay(0.5, updates(5)), {3: 1.0, 8: 0.5, 18: 0.125}, 500),
    "multi-step": Row(
        MultiStepDecay(0.1, [updates(10), updates(30), updates(70)]), {5: 1.0, 20: 0.1, 50: 0.01, 100: 0.001}
    ),
    "multi-step of three units": Row(HALVES, {50: 1.0, 500: 0.5, 5 * K: 0.25, 50 * K: 0.125}),
    "multi-step, scaled": Row(
        MultiStepDecay(0.5, [updates(400), epochs(4), percent(1)]),
        {200: 1.0, 2 * K: 0.5, 20 * K: 0.25, 200 * K: 0.125},
        4000,
    ),
    "linear": Row(LinearDecay("100%"), {100 * K: 0.9, 200 * K: 0.8, 400 * K: 0.6}),
    "linear upwards": Row(LinearDecay("100%", start=0.0, end=2.0), {100 * K: 0.2, 200 * K: 0.4, 400 * K: 0.8}),
    "linear, a quarter": Row(QUARTER, {100 * K: 0.4, 200 * K: 0.8, 400 * K: 1.0}),
    "linear, a quarter of twice as long": Row(QUARTER, {100 * K: 0.2, 200 * K: 0.4, 400 * K: 0.8}, 2000),
    "exponential": Row(ExponentialDecay(0.5, epochs(1)), {1 * K: 0.5, 2 * K: 0.25, 4 * K: 0.0625}),
    "exponential, scaled": Row(ExponentialDecay(0.5, epochs(2)), {2 * K: 0.5, 4 * K: 0.25, 8 * K: 0.0625}, 2000),
    "cosine": Row(CosineDecay("100%"), {0: 1.0, 333333: 0.75, 500000: 0.5, 666667: 0.25, 10**6: 0.0}),
    "cosine, of 30": Row(CosineDecay(updates(30), end=0.5), {0: 1.0, 10: 0.875, 15: 0.75, 20: 0.625, 30: 0.5, 50: 0.5}),
    "cosine, scaled": Row(
        CosineDecay(updates(6), end=0.5), {0: 1.0, 2: 0.875, 3: 0.75, 4: 0.625, 6: 0.5, 10: 0.5}, 200
    ),
    "restarts": Row(
        CosineDecay(updates(30)).repeat(updates(30)), {0: 1.0, 10: 0.75, 15: 0.5, 20: 0.25, 30: 1.0, 40: 0.75}
    ),
    "restarts that grow": Row(
        CosineDecay(percent(0.3)).repeat(percent(0.3), growth=1.5),
        {0: 1.0, 1000: 0.75, 3000: 1.0, 4500: 0.75, 7500: 1.0, 14250: 1.0},
    ),
    "restarts, scaled": Row(
        CosineDecay(epochs(15), end=0.5).repeat(epochs(15), growth=2),
        {0: 1.0, 5 * K: 0.875, 15 * K: 1.0, 25 * K: 0.875},
        500,
    ),
    "polynomial": Row(PolynomialDecay("100%", power=2), {0: 1.0, 100 * K: 0.81, 200 * K: 0.64, 500 * K: 0.25}),
    "polynomial, of 100": Row(square_to(0.5)(updates(100)), {0: 1.0, 10: 0.905, 20: 0.82, 50: 0.625}),
    "polynomial, scaled": Row(square_to(0.5)(updates(50)), {0: 1.0, 10: 0.82, 20: 0.68, 50: 0.5}, 500),
    "warmup, multi-step": Row(
        Warmup(updates(10)) * MultiStepDecay(0.1, [updates(20), updates(40)]),
        {0: 0.0, 5: 0.5, 15: 1.0, 25: 0.1, 45: 0.01},
    ),
    "warmup, multi-step, scaled": Row(
        Warmup(updates(10)) * MultiStepDecay(0.5, [epochs(1), epochs(2)]),
        {0: 0.0, 5: 0.5, 15: 1.0, 1500: 0.5, 2500: 0.25},
        500,
    ),
    "warmup, multi-step, warmup scaled": Row(
        Warmup(updates(5)) * MultiStepDecay(0.5, [epochs(1), epochs(2)]),
        {0: 0.0, 5: 1.0, 15: 1.0, 1500: 0.5, 2500: 0.25},
        500,
    ),
    "warmup all along": Row(Warmup("100%"), {0: 0.0, 100 * K: 0.1, 1000 * K: 1.0}),
    "warmup": Row(Warmup(epochs(500)), {0: 0.0, 250 * K: 0.5, 500 * K: 1.0, 750 * K: 1.0, 1000 * K: 1.0}),
    "warmup to three": Row(
        3.0 * Warmup(epochs(500)), {0: 0.0, 250 * K: 1.5, 500 * K: 3.0, 500500: 3.0, 501000: 3.0, 502000: 3.0}
    ),
    "warmup, of the run": Row(Warmup(percent(0.05)), {0: 0.0, 250: 0.5, 500: 1.0, 499750: 1.0}),
    "warmup, linear": Row(
        warmed(epochs(500), LinearDecay, epochs(500)),
        {0: 0.0, 250 * K: 0.5, 500 * K: 1.0, 750 * K: 0.5, 1000 * K: 0.0},
    ),
    "warmup, linear from three to two": Row(
        3.0 * warmed(epochs(500), lambda over: LinearDecay(over, end=2 / 3), epochs(1)),  # type: ignore[arg-type]
        {0: 0.0, 250 * K: 1.5, 500 * K: 3.0, 500500: 2.5, 501000: 2.0, 502000: 2.0},
        500,
    ),
    "warmup, linear, of the run": Row(
        warmed(percent(0.05), LinearDecay, percent(99.95)), {0: 0.0, 250: 0.5, 500: 1.0, 499750: 0.5}
    ),
    "warmup, linear, scaled": Row(
        warmed(updates(500), LinearDecay, percent(99.9)), {0: 0.0, 250: 0.5, 500: 1.0, 249875: 0.5}, 500
    ),
    "warmup, linear, warmup scaled": Row(
        warmed(updates(250), LinearDecay, percent(99.95)), {0: 0.0, 125: 0.5, 250: 1.0, 249875: 0.5}, 500
    ),
    "warmup, cosine": Row(
        warmed(percent(90), cosine_to(0.0), percent(10)),
        {0: 0.0, 450 * K: 0.5, 900 * K: 1.0, 933333: 0.75, 950 * K: 0.5, 1000 * K: 0.0},
    ),
    "warmup, cosine, scaled": Row(
        warmed(percent(90), cosine_to(0.5), percent(10)),
        {0: 0.0, 4500: 0.5, 9000: 1.0, 9333: 0.875, 9500: 0.75, 10000: 0.5},
        10,
    ),
    "warmup, polynomial": Row(
        warmed(percent(90), square_to(0.0), percent(10)),
        {0: 0.0, 450 * K: 0.5, 900 * K: 1.0, 913397: 0.75, 929289: 0.5, 1000 * K: 0.0},
    ),
    "warmup, polynomial, scaled": Row(
        warmed(percent(90), square_to(0.5), percent(10)),
        {0: 0.0, 4500: 0.5, 9000: 1.0, 9134: 0.875, 9293: 0.75, 10000: 0.5},
        10,
    ),
}


@pytest.mark.parametrize("name", COMPOSER)
def test_the_values_of_composer(name: str) -> None:
    schedule, expected, length = COMPOSER[name]
    plan = Plan(Recipe(learning_rate=1.0 * schedule), Clock(K, length))
    found = {update: plan.multiplier("learning_rate", *divmod(update, K)) for update in expected}
    assert found == pytest.approx(expected, abs=1e-3)  # theirs; the updates in their table are rounded
