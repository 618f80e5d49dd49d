"""Random compositions of all shapes, and random clocks, for tests of what holds of every schedule."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import accumulate
from typing import Any

from hypothesis import strategies as st

import samestep
from samestep import (
    Clock,
    Constant,
    CosineDecay,
    Duration,
    EpochFunction,
    ExponentialDecay,
    InverseSqrtDecay,
    InverseTimeDecay,
    LinearDecay,
    MultiStepDecay,
    Normalized,
    PolynomialDecay,
    RexDecay,
    Schedule,
    StepDecay,
    Table,
    TanhDecay,
    Triangular,
    Warmup,
    epochs,
    noam,
    one_cycle,
    percent,
    sequence,
    updates,
    warmup_stable_decay,
)

from .epoch_functions import FUNCTIONS, by_fold, by_table

NAMES: dict[str, Any] = {name: getattr(samestep, name) for name in samestep.__all__}
NAMES |= {f.__name__: f for f in FUNCTIONS.values()}


def amounts(least: Fraction, most: int) -> st.SearchStrategy[Fraction]:
    return st.one_of(
        st.integers(math.ceil(least), most).map(Fraction),
        st.fractions(least, most, max_denominator=12),
    )


def sums(whole: st.SearchStrategy[Fraction]) -> st.SearchStrategy[Duration]:
    """Durations of several units, positive in every run that `clocks` draws, which are at least three updates long."""
    return st.one_of(
        st.builds(lambda a, b: epochs(a) + updates(b), whole, whole),
        st.builds(lambda a, b: percent(100 + a) - updates(b), whole, amounts(Fraction(1, 4), 2)),
        st.builds(
            lambda a, b: epochs(1) + updates(2) - percent(b) * Fraction(1, 2 + math.ceil(a)),
            whole,
            amounts(Fraction(1, 4), 5),
        ),
    )


durations = st.one_of(
    st.builds(epochs, amounts(Fraction(0), 12)),
    st.builds(updates, amounts(Fraction(0), 40)),
    st.builds(percent, amounts(Fraction(0), 120)),
    sums(amounts(Fraction(0), 10)),
)
# Lengths are not too short and factors not much above 1, so that no product of powers leaves the floats.
lengths = st.one_of(
    st.builds(epochs, amounts(Fraction(1, 6), 12)),
    st.builds(updates, amounts(Fraction(1, 2), 40)),
    st.builds(percent, amounts(Fraction(1), 120)),
    sums(amounts(Fraction(1, 6), 10)),
)
multipliers = st.one_of(st.sampled_from([0.0, 0.1, 0.5, 1.0, 2.0]), st.floats(0.0, 4.0))
factors = st.one_of(st.sampled_from([0.1, 0.5, 1.0, 1.1]), st.floats(1e-3, 1.1))
powers = st.sampled_from([0.5, 1.0, 2.0, 0.9])
inclusive = st.booleans()

ramps = st.one_of(
    st.builds(LinearDecay, lengths, multipliers, multipliers, inclusive=inclusive),
    st.builds(PolynomialDecay, lengths, powers, multipliers, k_decay=powers, start=multipliers, inclusive=inclusive),
    st.builds(CosineDecay, lengths, multipliers, start=multipliers, k_decay=powers, inclusive=inclusive),
    st.builds(TanhDecay, lengths, multipliers, st.sampled_from([-7.0, -1.0]), inclusive=inclusive),
    st.builds(RexDecay, lengths, multipliers, inclusive=inclusive),
    st.builds(Warmup, durations, multipliers, inclusive=inclusive),
)
stairs = st.one_of(
    st.builds(Constant, multipliers),
    st.builds(StepDecay, factors, lengths, st.none() | durations),
    st.builds(MultiStepDecay, factors, st.lists(durations, min_size=1, max_size=4)),
    st.builds(Table, st.lists(multipliers, min_size=1, max_size=5), lengths),
    st.sampled_from([EpochFunction(by_table), EpochFunction(by_fold)]),
    st.builds(InverseTimeDecay, multipliers, lengths, st.just(True)),
)
shapes = st.one_of(
    stairs,
    ramps,
    st.builds(ExponentialDecay, factors, lengths),
    st.builds(InverseTimeDecay, multipliers, lengths),
    st.builds(InverseSqrtDecay, lengths),
    st.builds(Triangular, lengths, st.none() | lengths, multipliers, st.sampled_from(["triangular", "triangular2"])),
    st.builds(Triangular, lengths, st.none() | lengths, multipliers, st.just("exp_range"), st.floats(0.5, 1.0)),
    st.builds(
        one_cycle,
        st.builds(percent, amounts(Fraction(20), 150)),
        peak=st.none() | st.builds(percent, amounts(Fraction(1), 9)),
        start=multipliers,
        top=multipliers,
        end=multipliers,
        anneal=st.sampled_from(["cosine", "linear"]),
        three_phase=st.booleans(),
        inclusive=inclusive,
    ),
    st.builds(
        warmup_stable_decay,
        st.builds(percent, amounts(Fraction(20), 150)),
        warmup=st.builds(percent, amounts(Fraction(0), 9)),
        cooldown=st.builds(percent, amounts(Fraction(1), 10)),
        start=multipliers,
        end=multipliers,
        anneal=st.sampled_from(["linear", "cosine", "1-sqrt"]),
        inclusive=inclusive,
    ),
    st.builds(noam, lengths),
    st.builds(Normalized, lengths),
)


@st.composite
def sequences(draw: st.DrawFn, parts: st.SearchStrategy[Schedule]) -> Schedule:
    gaps = draw(st.lists(amounts(Fraction(1, 12), 5), min_size=0, max_size=3))
    unit = draw(st.sampled_from([epochs, updates, percent]))
    return sequence(draw(parts), *((unit(time), draw(parts)) for time in accumulate(gaps)))


growths = st.sampled_from([1.0, 1.5, 2.0, 3.0])
decays = st.sampled_from([0.0, 0.5, 0.9, 1.0])


def combined(parts: st.SearchStrategy[Schedule]) -> st.SearchStrategy[Schedule]:
    return st.one_of(
        st.builds(Schedule.after, parts, durations),
        st.builds(Schedule.until, parts, durations),
        st.builds(Schedule.skip, parts, durations),
        st.builds(Schedule.at_least, parts, multipliers),
        st.builds(Schedule.at_most, parts, multipliers),
        st.builds(Schedule.__mul__, parts, st.one_of(parts, multipliers)),
        st.builds(Schedule.__rmul__, parts, multipliers),
        st.builds(Schedule.repeat, parts, lengths, growths, decays),
        sequences(parts),
    )


schedules = st.recursive(shapes, combined, max_leaves=5)
clocks = st.builds(Clock, st.integers(1, 6), st.integers(3, 10))
