"""What the core's tests share: a schedule's multiplier at every update of a run, and how far two runs are apart."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable

import pytest

from samestep import Clock, Plan, Recipe, Schedule

PerUpdate = Callable[..., list[float]]


@pytest.fixture
def per_update() -> PerUpdate:
    """per_update(schedule, count, updates_per_epoch, epochs): eta at the run's updates 0 to count - 1, from a plan."""

    def etas(schedule: Schedule, count: int, updates_per_epoch: int = 1, epochs: int | None = None) -> list[float]:
        # The product with 1.0 changes no bit, and lets Constant() be planned, which alone would drive nothing.
        plan = Plan(Recipe(learning_rate=1.0 * schedule), Clock(updates_per_epoch, epochs))
        positions = (divmod(index, updates_per_epoch) for index in range(count))
        return [plan.multiplier("learning_rate", *position) for position in positions]

    return etas


@pytest.fixture
def furthest() -> Callable[..., float]:
    """furthest(ours, theirs, lost=0.0): the largest elementwise relative difference; infinite where theirs alone is 0.

    lost: what theirs is known to have lost, of which no difference is made.
    """

    def difference(ours: float, theirs: float, lost: float) -> float:
        if abs(ours - theirs) <= lost:
            return 0.0
        return abs(ours - theirs) / abs(theirs) if theirs else math.inf

    return lambda ours, theirs, lost=0.0: max(difference(*pair, lost) for pair in zip(ours, theirs, strict=True))


@pytest.fixture
def lost_in_cosine() -> Callable[[Schedule, float], float]:
    """lost_in_cosine(ours, base): what others lose of a base value in a cosine, if there is one in ours.

    They calculate 1 + cos(x), which near its end keeps of the cosine only what a float keeps of 1. That ours has all
    of its digits there is shown by test_accuracy.
    """
    return lambda ours, base: base * 2**-53 if "CosineDecay" in repr(ours) else 0.0


@pytest.fixture
def ulps() -> Callable[[float, float], int]:
    """ulps(a, b): how many float32 numbers apart a and b are, each rounded to the nearest one first."""

    def ordinal(value: float) -> int:
        bits: int = struct.unpack("<i", struct.pack("<f", value))[0]
        return bits if bits >= 0 else -(bits & 0x7FFFFFFF)

    return lambda a, b: abs(ordinal(a) - ordinal(b))
