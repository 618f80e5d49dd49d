"""A schedule's multiplier at every update of a run, and how far two runs are apart."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable

from samestep import Clock, Plan, Recipe, Schedule


def per_update(schedule: Schedule, count: int, updates_per_epoch: int = 1, epochs: int | None = None) -> list[float]:
    """eta at the run's updates 0 to count - 1, from a plan."""
    # The product with 1.0 changes no bit, and lets Constant() be planned, which alone would drive nothing.
    plan = Plan(Recipe(learning_rate=1.0 * schedule), Clock(updates_per_epoch, epochs))
    positions = (divmod(index, updates_per_epoch) for index in range(count))
    return [plan.multiplier("learning_rate", *position) for position in positions]


def furthest(ours: Iterable[float], theirs: Iterable[float], lost: float = 0.0) -> float:
    """The largest elementwise relative difference; infinite where theirs alone is 0.

    Args:
        ours: Some numbers.
        theirs: As many.
        lost: What theirs is known to have lost; no difference is made of it.
    """

    def difference(ours: float, theirs: float) -> float:
        if abs(ours - theirs) <= lost:
            return 0.0
        return abs(ours - theirs) / abs(theirs) if theirs else math.inf

    return max(difference(*pair) for pair in zip(ours, theirs, strict=True))


def lost_in_cosine(ours: Schedule, base: float) -> float:
    """What others lose of a base value in a cosine, if there is one in ours.

    They calculate 1 + cos(x), which near its end keeps of the cosine only what a float keeps of 1. That ours has all
    of its digits there is shown by test_accuracy.
    """
    return base * 2**-53 if "CosineDecay" in repr(ours) else 0.0


def ulps(a: float, b: float) -> int:
    """How many float32 numbers apart a and b are, each rounded to the nearest one first."""

    def ordinal(value: float) -> int:
        bits: int = struct.unpack("<i", struct.pack("<f", value))[0]
        return bits if bits >= 0 else -(bits & 0x7FFFFFFF)

    return abs(ordinal(a) - ordinal(b))
