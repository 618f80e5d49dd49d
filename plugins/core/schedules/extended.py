"""Numbers of at least 0 that no exponent is too large or too small for."""

from __future__ import annotations

import math


class Extended:
    """A number of at least 0, held as its binary logarithm: what a product has for factors that no float holds.

    >>> float(Extended(0.1) ** 2000 * (Extended(2.0) ** 2000) * 1e300) == 0.0, float(Extended(2.0) ** 3 * 0.5)
    (True, 4.0)
    """

    def __init__(self, value: float) -> None:
        self.log2 = math.log2(value) if value > 0 else -math.inf

    @staticmethod
    def _of(log2: float) -> Extended:
        made = Extended(1.0)
        made.log2 = log2
        return made

    def __pow__(self, exponent: float) -> Extended:
        # 0 ** 0 is 1, and 1 to any power: an int of any size may not be a float.
        return Extended._of(self.log2 * exponent if exponent and self.log2 else 0.0)

    def __mul__(self, other: Extended | float) -> Extended:
        logs = (self.log2, other.log2 if isinstance(other, Extended) else Extended(other).log2)
        return Extended._of(-math.inf if -math.inf in logs else sum(logs))

    __rmul__ = __mul__

    def __gt__(self, other: Extended | float) -> bool:
        return self.log2 > (other.log2 if isinstance(other, Extended) else Extended(other).log2)

    def __lt__(self, other: Extended | float) -> bool:
        return self.log2 < (other.log2 if isinstance(other, Extended) else Extended(other).log2)

    def __float__(self) -> float:
        """The nearest float; raises OverflowError if it is too large for one."""
        return math.pow(2.0, self.log2)
