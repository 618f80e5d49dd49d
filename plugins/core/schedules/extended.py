"""Numbers of at least 0 that no exponent is too large or too small for."""

from __future__ import annotations

import math
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal

_DIGITS = Context(prec=40, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[])


class Extended:
    """A number of at least 0 with 40 digits: what a product has for factors that no float holds.

    A logarithm would do, but its last bit, which no C library promises, is multiplied by the exponent.

    >>> float(Extended(0.1) ** 2000 * (Extended(2.0) ** 2000) * 1e300) == 0.0, float(Extended(2.0) ** 3 * 0.5)
    (True, 4.0)
    """

    def __init__(self, value: float | Decimal) -> None:
        self.decimal: Decimal = Decimal(value)

    def __pow__(self, exponent: float) -> Extended:
        return Extended(_DIGITS.power(self.decimal, Decimal(exponent)) if exponent else 1.0)

    def __mul__(self, other: Extended | float) -> Extended:
        factors = (self.decimal, _decimal(other))
        return Extended(_DIGITS.multiply(*factors) if all(factors) else 0.0)

    __rmul__ = __mul__

    def __gt__(self, other: Extended | float) -> bool:
        return self.decimal > _decimal(other)

    def __lt__(self, other: Extended | float) -> bool:
        return self.decimal < _decimal(other)

    def __float__(self) -> float:
        """The nearest float; raises OverflowError if it is too large for one."""
        number = float(self.decimal)
        if number == math.inf:
            raise OverflowError
        return number


def _decimal(number: Extended | float) -> Decimal:
    return number.decimal if isinstance(number, Extended) else Decimal(number)
