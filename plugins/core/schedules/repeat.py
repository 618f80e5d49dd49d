"""Warm restarts of any schedule."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from .durations import DurationLike
from .schedule import Schedule, operand
from .ticks import Curve, Ticks


@dataclass(frozen=True, repr=False)
class Repeat(Schedule):
    """`schedule.repeat(every, growth, decay)`: warm restarts, in cycles n = 0, 1, 2, ...

    eta(t) = decay ** n * schedule((t - begin) / growth ** n), where cycle n begins at
    begin = every * (1 + growth + ... + growth ** (n - 1)) and is every * growth ** n long

    Cycles begin exactly where the decimal that growth was written as says. A growth with decimals costs time, the more
    the nearer it is to 1: its cycles are many, and begin at fractions with n times as many digits.

    >>> LinearDecay(over=epochs(2)).repeat(epochs(2), decay=0.5).preview(epochs=5)
    [1.0, 0.5, 0.5, 0.25, 0.25]
    """

    schedule: Schedule
    every: DurationLike
    growth: float = 1.0
    decay: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_length("every")
        # Between the two, the fractions that say where the cycles begin have too many digits to calculate with.
        self._require(self.growth == 1 or self.growth >= 1.01, "growth", "1, or a factor of at least 1.01")
        self._require(self.decay >= 0, "decay", "a multiplier of at least 0")

    @property
    def stepwise(self) -> bool:
        return self.schedule.stepwise and self.growth.is_integer()

    def curve(self, ticks: Ticks) -> Curve:
        every, decay = ticks.length(self.every), self.decay
        if self.growth == 1:
            inner = self.schedule.curve(ticks)
            if decay == 1:
                return lambda t: inner(t % every)
            return lambda t: decay ** (t // every) * inner(t % every)

        growth = Fraction(repr(self.growth))  # 1.1 is eleven tenths, as durations read their floats
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
            return first, last, q**n, begin(n), decay**n, self.schedule.curve(ticks.stretched(p**n, q**n))

        present = [cycle(0)]  # kept, because the next time asked for mostly lies in the same cycle

        def eta(t: int) -> float:
            first, last, fineness, start, amplitude, inner = present[0]
            if not first <= t < last:
                present[0] = first, last, fineness, start, amplitude, inner = cycle(t)
            return amplitude * inner(t * fineness - start)

        return eta

    def __repr__(self) -> str:
        options = "".join(f", {name}={value!r}" for name in ("growth", "decay") if (value := getattr(self, name)) != 1)
        return f"{operand(self.schedule)}.repeat({self.every!r}{options})"
