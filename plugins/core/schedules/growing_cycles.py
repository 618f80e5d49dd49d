"""The cycles of a schedule that starts again, of which each is longer than the one before it, in exact time."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

from .ticks import Curve, Ticks


def growing_cycles(curve: Callable[[Ticks], Curve], ticks: Ticks, every: int, growth: Fraction, decay: float) -> Curve:
    """eta(t) = decay ** n * curve((t - begin) / growth ** n), where cycle n begins at begin.

    Args:
        curve: Makes the curve of a cycle, by the ticks of that cycle.
        ticks: Those of the first one.
        every: Its length.
        growth: Greater than 1.
        decay: What a cycle has of the values of the one before it.
    """
    p, q = growth.as_integer_ratio()

    def begin(n: int) -> int:
        """Where cycle n begins, in ticks of 1 / q ** n of the length, which make it a whole number."""
        grown: int = p**n - q**n
        return every * q * grown // (p - q)

    def cycle(t: int) -> tuple[int, int, int, int, float, Curve]:
        # A logarithm, of integers of any size, says about where; integers say exactly.
        grown = math.log(t * (p - q) + every * q) - math.log(every * q)
        n = max(int(grown / (math.log(p) - math.log(q))), 0)
        while begin(n) > t * q**n:
            n -= 1
        while begin(n + 1) <= t * q ** (n + 1):
            n += 1
        first, last = -(-begin(n) // q**n), -(-begin(n + 1) // q ** (n + 1))
        return first, last, q**n, begin(n), decay**n, curve(ticks.stretched(p**n, q**n))

    present = [cycle(0)]  # kept, because the next time asked for mostly lies in the same cycle

    def eta(t: int) -> float:
        first, last, fineness, start, amplitude, inner = present[0]
        if not first <= t < last:
            present[0] = first, last, fineness, start, amplitude, inner = cycle(t)
        return amplitude * inner(t * fineness - start)

    return eta
