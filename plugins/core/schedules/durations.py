"""Exact time: durations with a unit.

Time is rational (`fractions.Fraction`) and is resolved to updates once, without rounding: `percent(29)` of 100 updates
is 29 updates, and one and a half epochs of 3 updates are 4.5 updates, a boundary that takes effect at update 5.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from numbers import Rational, Real
from operator import index
from typing import Literal, SupportsFloat

from ..arguments.check import checks_arguments

Unit = Literal["epochs", "updates", "percent"]
Amount = int | float | str | Fraction | SupportsFloat  # the last for NumPy's numbers

_UNITS: tuple[Unit, ...] = ("epochs", "updates", "percent")
_ZERO = Fraction(0)
_TEXT = re.compile(r"\s*(?P<amount>\S+?)\s*(?P<unit>epochs?|updates?|%)\s*")
# More are refused, in text, numbers and sums alike. A float has at most 400 of them; Python writes up to 4300.
_DIGITS = 2000
_AMOUNT = re.compile(rf"\d{{1,{_DIGITS}}}(\.\d{{1,{_DIGITS}}}|/\d{{1,{_DIGITS}}})?")
_SPELLINGS = "epochs({0}), updates({0}) or percent({0}), or as text '{0} epochs', '{0} updates' or '{0}%'"


@dataclass(frozen=True)
class Duration:
    """An exact amount of time with a unit. Made by `epochs`, `updates`, `percent`, or from text such as "5 epochs".

    Durations can be added, subtracted and multiplied by a number: `percent(100) - updates(500)` is the rest of a run
    after 500 updates, whatever its length. A negative difference is an error, at the latest once the run's length is
    known.

    Raises:
        TypeError: An amount is not exact, or a factor is not a number.
        ValueError: An amount is negative, or has too many digits to be written down.

    >>> percent(100) - updates(500), str(epochs(1) + updates(10)), 3 * epochs("0.5")
    (percent(100) - updates(500), '1 epoch + 10 updates', epochs('1.5'))
    """

    epochs: Fraction = _ZERO
    updates: Fraction = _ZERO
    percent: Fraction = _ZERO

    def __post_init__(self) -> None:
        for unit in _UNITS:
            found = getattr(self, unit)
            if not isinstance(found, Fraction):
                raise TypeError(f"Duration.{unit}: found {found!r} ({type(found).__name__}); write {unit}({found}).")
        amounts = [amount for _, amount in self._terms()]
        if any(_digits_exceeded(amount) for amount in amounts):
            raise ValueError(
                f"found a duration whose fraction has more than {_DIGITS} digits; expected fewer: write amounts with "
                f"fewer decimals."
            )
        if amounts and max(amounts) < 0:
            raise ValueError(f"found the duration '{self}'; expected one of at least 0.")

    @property
    def units(self) -> tuple[Unit, ...]:
        """The units that it is made of; none for zero."""
        return tuple(unit for unit, _ in self._terms())

    def _terms(self) -> list[tuple[Unit, Fraction]]:
        terms: list[tuple[Unit, Fraction]] = [(unit, getattr(self, unit)) for unit in _UNITS]
        # What is added comes first, so that the text does not begin with a minus.
        return sorted((term for term in terms if term[1]), key=lambda term: term[1] < 0)

    def __add__(self, other: Duration) -> Duration:
        if not isinstance(other, Duration):
            return NotImplemented
        return Duration(*(getattr(self, unit) + getattr(other, unit) for unit in _UNITS))

    def __sub__(self, other: Duration) -> Duration:
        if not isinstance(other, Duration):
            return NotImplemented
        return Duration(*(getattr(self, unit) - getattr(other, unit) for unit in _UNITS))

    def __mul__(self, factor: Amount) -> Duration:
        exact = _exact(factor, "the factor of a duration")
        return Duration(*(getattr(self, unit) * exact for unit in _UNITS))

    __rmul__ = __mul__

    def __repr__(self) -> str:
        return self._join(lambda unit, amount: f"{unit}({amount if amount.isdigit() else repr(amount)})")

    def __str__(self) -> str:
        def text(unit: Unit, amount: str) -> str:
            if unit == "percent":
                return f"{amount}%"
            return f"{amount} {unit[:-1] if amount == '1' else unit}"

        return self._join(text)

    def _join(self, text: Callable[[Unit, str], str]) -> str:
        first, *rest = self._terms() or [("epochs", _ZERO)]
        joined = "-" * (first[1] < 0) + text(first[0], _number_text(abs(first[1])))
        return joined + "".join(f" {'-+'[a > 0]} {text(unit, _number_text(abs(a)))}" for unit, a in rest)


DurationLike = Duration | str


@checks_arguments
def epochs(amount: Amount) -> Duration:
    """A duration in epochs: `epochs(5)`, `epochs("1.5")`, `epochs("1/3")`.

    Args:
        amount: How many; it may be a fraction. A float means the decimal that it prints as.

    Raises:
        TypeError: The amount is not a number.
        ValueError: The amount is negative or not finite.

    >>> epochs(5), epochs("1.5"), str(epochs(1))
    (epochs(5), epochs('1.5'), '1 epoch')
    """
    return Duration(epochs=_exact(amount, "epochs"))


@checks_arguments
def updates(amount: Amount) -> Duration:
    """A duration in updates, applications of the optimizer. A micro-batch of gradient accumulation is not an update.

    Args:
        amount: How many; as for `epochs`.

    Raises:
        TypeError: The amount is not a number.
        ValueError: The amount is negative or not finite.

    >>> updates(500), str(updates(500))
    (updates(500), '500 updates')
    """
    return Duration(updates=_exact(amount, "updates"))


@checks_arguments
def percent(amount: Amount) -> Duration:
    """A duration in percent of the run, whose length must then be known.

    Args:
        amount: How many; as for `epochs`.

    Raises:
        TypeError: The amount is not a number.
        ValueError: The amount is negative or not finite.

    >>> percent(10), str(percent("12.5"))
    (percent(10), '12.5%')
    """
    return Duration(percent=_exact(amount, "percent"))


def as_duration(value: object, name: str) -> Duration:
    """Read a duration, which may be given as text.

    Args:
        value: A Duration or its text.
        name: The argument, for the error message.

    Raises:
        TypeError: It is a bare number, or of another type.
        ValueError: The text is not a duration.

    >>> as_duration("1.5 epochs", "over"), as_duration("10%", "over")
    (epochs('1.5'), percent(10))
    """
    if isinstance(value, Duration):
        return value
    example = "5"
    share = ""
    if isinstance(value, str):
        first, *rest = re.split(r"(?<=[a-z%])\s*([+-])\s*", value)
        terms = [("+", first), *zip(rest[::2], rest[1::2], strict=True)]
        matches = [(sign, _TEXT.fullmatch(term)) for sign, term in terms]
        if all(match for _, match in matches):
            added, subtracted = Duration(), Duration()
            for sign, match in matches:
                unit: Unit = "percent" if match["unit"] == "%" else _plural(match["unit"])  # type: ignore[index]
                term = Duration(**{unit: _exact(match["amount"], name)})  # type: ignore[index]
                added, subtracted = (added + term, subtracted) if sign == "+" else (added, subtracted + term)
            try:
                return added - subtracted
            except ValueError as negative:
                raise ValueError(f"{name}: {negative}") from None
        found = f"{value!r}, which has no known unit"
        number = re.match(r"\s*(\d{1,9})(?![\d.])", value)
        example = number[1] if number else example
    elif isinstance(value, Real) and not isinstance(value, bool):
        found = f"the bare number {value}"
        if 0 < value < 1:  # type: ignore[operator]  # of a Real, it is not known to have an order
            share = f": {value} of the run is '{float(value) * 100:.10g}%'"
        example = str(value) if isinstance(value, int) and value >= 0 else example
    else:
        found = f"{value!r} ({type(value).__name__})"
    error = ValueError if isinstance(value, str) else TypeError
    raise error(f"{name}: found {found}; expected a duration: write {_SPELLINGS.format(example)}{share}.")


def _exact(amount: object, name: str) -> Fraction:
    try:
        if isinstance(amount, str):
            if _AMOUNT.fullmatch(amount.strip()) is None:
                raise ValueError
            exact = Fraction(amount.strip())
        elif isinstance(amount, bool) or str(getattr(amount, "dtype", "")) == "bool":  # an integer for NumPy 1
            raise TypeError
        elif isinstance(amount, Rational):
            exact = Fraction(int(amount.numerator), int(amount.denominator))
        elif isinstance(amount, Real):
            # The shortest decimal of a float is what was typed: epochs(0.1) is a tenth, not 0.1000000000000000055. That
            # of a NumPy float32 has fewer digits, and is a tenth too.
            exact = Fraction(str(float(amount) if isinstance(amount, float) else amount))
        else:
            exact = Fraction(index(amount))  # type: ignore[arg-type]  # an array of one integer
        if exact < 0 or _digits_exceeded(exact):
            raise ValueError
    except TypeError:
        raise TypeError(
            f"{name}: found {amount!r} ({type(amount).__name__}); expected a number of at least 0, such as 5 or '1.5'."
        ) from None
    except (ValueError, ZeroDivisionError):
        raise ValueError(
            f"{name}: found {amount!r}; expected a finite number of at least 0, such as 5 or '1.5'."
        ) from None
    return exact


def _digits_exceeded(amount: Fraction) -> bool:
    most: int = 10**_DIGITS
    return max(abs(amount.numerator), amount.denominator) >= most


def _plural(unit: str) -> Unit:
    return "epochs" if unit.startswith("epoch") else "updates"


def _number_text(amount: Fraction) -> str:
    """The shortest text that reads back as `amount`, which is not negative: '5', '1.5' or '1/3'."""
    if amount.denominator == 1:
        return str(amount.numerator)
    rest = amount.denominator
    digits = 0
    for prime in (2, 5):
        power = 0
        while rest % prime == 0:
            rest //= prime
            power += 1
        digits = max(digits, power)
    if rest != 1 or digits > _DIGITS:
        return f"{amount.numerator}/{amount.denominator}"
    shifted = str(amount.numerator * 10**digits // amount.denominator).rjust(digits + 1, "0")
    return f"{shifted[:-digits]}.{shifted[-digits:]}"
