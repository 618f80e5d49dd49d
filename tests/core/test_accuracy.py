"""Near both ends of a long run a ramp has all the digits of its formula, calculated here without floats."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

import mpmath
import pytest

from samestep import CosineDecay, LinearDecay, PolynomialDecay, Ramp, Recipe, RexDecay, Schedule, TanhDecay, Warmup

Formula = Callable[[Fraction], Fraction]


def root(number: Fraction) -> Fraction:
    """The square root, to 60 decimals."""
    return Fraction(math.isqrt(int(number * 10**120)), 10**60)


def cosine(tau: Fraction) -> Fraction:
    """(1 + cos(pi * tau)) / 2, to 80 decimals."""
    with mpmath.workdps(100):
        return Fraction(int(mpmath.cos(mpmath.pi * tau.numerator / tau.denominator / 2) ** 2 * 10**80), 10**80)


# (schedule, eta as a function of tau)
FORMULAS: list[tuple[Schedule, Formula]] = [
    (LinearDecay("100%"), lambda tau: 1 - tau),
    (LinearDecay("100%", start=0.5, end=0.25), lambda tau: Fraction(1, 2) - tau / 4),
    (LinearDecay("100%", start=0, end=1), lambda tau: tau),
    (PolynomialDecay("100%", power=2), lambda tau: (1 - tau) ** 2),
    (PolynomialDecay("100%", power=2, end=0.25), lambda tau: Fraction(1, 4) + Fraction(3, 4) * (1 - tau) ** 2),
    (PolynomialDecay("100%", k_decay=0.5), lambda tau: 1 - root(tau)),
    (PolynomialDecay("100%", power=2, k_decay=0.5), lambda tau: (1 - root(tau)) ** 2),
    (PolynomialDecay("100%", k_decay=2), lambda tau: 1 - tau**2),
    (CosineDecay("100%"), cosine),
    (CosineDecay("100%", end=0.25), lambda tau: Fraction(1, 4) + Fraction(3, 4) * cosine(tau)),
    (CosineDecay("100%", start=0, end=1), lambda tau: 1 - cosine(tau)),
    (CosineDecay("100%", k_decay=0.5), lambda tau: cosine(root(tau))),
    (CosineDecay("100%", k_decay=2), lambda tau: cosine(tau**2)),
    (CosineDecay("100%", start=0, end=1, k_decay=2), lambda tau: 1 - cosine(tau**2)),
    (RexDecay("100%"), lambda tau: (1 - tau) / (1 - tau / 2)),
    (RexDecay("100%", end=0.25), lambda tau: Fraction(1, 4) + Fraction(3, 4) * (1 - tau) / (1 - tau / 2)),
    (Warmup("100%"), lambda tau: tau),
    (Warmup("100%", start=0.25), lambda tau: Fraction(1, 4) + Fraction(3, 4) * tau),
    (Warmup("100%", start=1000), lambda tau: 1000 - 999 * tau),
]
RUNS = [10**5, 10**9]


@pytest.mark.parametrize("total", RUNS)
@pytest.mark.parametrize(("schedule", "formula"), FORMULAS, ids=[repr(schedule) for schedule, _ in FORMULAS])
def test_the_first_and_the_last_hundred_updates_have_all_digits(
    schedule: Schedule, formula: Formula, total: int
) -> None:
    plan = Recipe(learning_rate=schedule).plan(updates_per_epoch=1000, epochs=total // 1000)
    for begin in (0, total - 100):
        found = plan.multipliers("learning_rate", begin, begin + 100)
        exact = [formula(Fraction(t, total)) for t in range(begin, begin + 100)]
        # A few roundings of 1.1e-16 each.
        assert all(abs(Fraction(eta) - value) <= value / 10**15 for eta, value in zip(found, exact, strict=True))


@pytest.mark.parametrize(("schedule", "formula"), FORMULAS, ids=[repr(schedule) for schedule, _ in FORMULAS])
def test_every_update_in_between_has_all_digits(schedule: Schedule, formula: Formula) -> None:
    total = 10**5
    found = Recipe(learning_rate=schedule).plan(total, 1).multipliers("learning_rate", 0, total, every=97)
    exact = [formula(Fraction(t, total)) for t in range(0, total, 97)]
    assert all(abs(Fraction(eta) - value) <= value / 10**15 for eta, value in zip(found, exact, strict=True))


@pytest.mark.parametrize("end", [0.0, 0.25])
@pytest.mark.parametrize("bounds", [(-7.0, 3.0), (-4.0, 4.0), (-10.0, 18.0)])
def test_a_tangent_has_its_digits_to_its_end(bounds: tuple[float, float], end: float) -> None:
    (lower, upper), total = bounds, 10**4
    found = (
        Recipe(learning_rate=TanhDecay("100%", end, lower, upper)).plan(total, 1).multipliers("learning_rate", 0, total)
    )
    with mpmath.workdps(50):
        angles = [lower + (upper - lower) * mpmath.mpf(t) / total for t in range(total)]
        exact = [end + (1 - end) * (1 - mpmath.tanh(angle)) / 2 for angle in angles]
        # The angle, which is at most 18, is rounded three times.
        assert max(abs(eta / value - 1) for eta, value in zip(found, exact, strict=True)) < 2e-14


@dataclass(frozen=True, repr=False)
class Passed(Ramp):
    """A ramp that writes down what it was asked."""

    asked: list = field(default_factory=list, compare=False)

    def between(self, tau: float, left: float) -> float:
        self.asked.append((tau, left))
        return 1.0


@pytest.mark.parametrize("total", RUNS)
@pytest.mark.parametrize("parts", [1, 3])
def test_a_ramp_is_given_both_fractions_rounded_once(total: int, parts: int) -> None:
    asked: list[tuple[float, float]] = []
    over = Fraction(total, parts)
    ramp = Passed("100%", asked=asked) if parts == 1 else Passed("100/3%", asked=asked)
    numbers = [0, 1, 7, math.ceil(over) - 7, math.ceil(over) - 1]
    plan = Recipe(learning_rate=ramp).plan(1000, total // 1000)
    for number in numbers:
        plan.multiplier("learning_rate", 0, number)
    assert asked == [(float(number / over), float(1 - number / over)) for number in numbers]
