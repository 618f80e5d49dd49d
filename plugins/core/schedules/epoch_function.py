"""The user's own function of the epoch, as a schedule."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from .durations import Duration, epochs
from .schedule import Schedule
from .serializable import Functions, real
from .ticks import Curve, Ticks

EpochCallable = Callable[[int], float] | Callable[[int, float], float]

_REMEMBERED = 1000


@dataclass(frozen=True, repr=False)
class EpochFunction(Schedule):
    """Your own multiplier of each epoch.

    The multiplier in epoch e is::

        eta(e) = function(e)                    for a function of one argument
        eta(e) = function(e, eta(e - 1))        for one of two, with eta(-1) = 1

    Inside `.after(...)` epochs count from there. The two-argument form is folded over epochs 0 to e, so that a value
    depends on the epoch alone. It is the one schedule whose first value at epoch e costs e + 1 calls; they are made
    once.

    Args:
        function: f(epoch) or f(epoch, multiplier), without side effects, returning a multiplier of at least 0.
            `to_dict` writes its name, and `from_dict` needs `functions={name: function}`.

    Raises:
        TypeError: `function` cannot be called with one or two arguments.
        ValueError: When evaluated, a value is negative or not finite.

    >>> EpochFunction(lambda epoch, eta: eta * 0.5 if epoch >= 2 else eta).preview(epochs=4)
    [1.0, 1.0, 0.5, 0.25]
    """

    function: EpochCallable
    _stepwise: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.function, str):
            raise ValueError(
                f"EpochFunction.function: found the name {self.function!r}, and functions are not imported by name; "
                f"give from_dict(..., functions={{{self.function!r}: the_function}})."
            )
        takes_previous(self.function)

    @classmethod
    def _from_fields(cls, data: dict[str, Any], functions: Functions) -> Self:
        name = data.get("function")
        if isinstance(name, str) and name in functions:
            data = {**data, "function": functions[name]}
        return super()._from_fields(data, functions)

    def durations(self) -> Iterator[Duration]:
        yield epochs(1)

    def curve(self, ticks: Ticks) -> Curve:
        epoch, eta = ticks(epochs(1)), EpochValues(self.function, 1.0)
        return lambda t: eta(t // epoch)

    def __repr__(self) -> str:
        return f"EpochFunction({getattr(self.function, '__qualname__', repr(self.function))})"


def takes_previous(function: EpochCallable) -> bool:
    """Whether a function takes (epoch, previous value) and not (epoch); Keras asks in the same order.

    Raises:
        TypeError: It can be called with neither.
    """
    expected = "expected a function f(epoch) or f(epoch, learning_rate)"
    if isinstance(function, Schedule):
        raise TypeError(f"found {function!r}; {expected}: a schedule belongs in a recipe, Recipe(learning_rate=...).")
    if not callable(function):
        raise TypeError(f"found {function!r} ({type(function).__name__}); {expected}.")
    try:
        signature = inspect.signature(function)
    except ValueError:
        raise TypeError(f"found {function!r}, whose arguments cannot be inspected; {expected}.") from None
    for count in (2, 1):
        try:
            signature.bind(*range(count))
        except TypeError:
            continue
        return count == 2
    raise TypeError(f"found a function of {signature}; {expected}.")


def functions(schedule: Schedule) -> dict[str, EpochCallable]:
    """The user's functions in a schedule, by the names that `to_dict` writes; those without a name are left out."""
    found: dict[str, EpochCallable] = {}
    if isinstance(schedule, EpochFunction) and hasattr(schedule.function, "__qualname__"):
        found[schedule.to_dict()["function"]] = schedule.function
    for part in schedule.parts():
        if isinstance(part, Schedule):
            found.update(functions(part))
    return found


def function_error(who: str, error: Exception) -> ValueError:
    """The error, before training, of a user's function that raises for an epoch of the run."""
    notes = getattr(error, "__notes__", ())
    if not notes:
        return ValueError(f"{who}: {error}")  # what it returned is no value
    said = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".: ")
    return ValueError(f"{who}: found {said}, {notes[-1]}; expected a number for each epoch of the run.")


class EpochValues:
    """The value of each epoch under a user's function, as a pure function of the epoch.

    f(epoch) is called as it is. f(epoch, previous) is folded over epochs 0 to e from `base`, never from what an
    optimizer holds, so that a resumed or repeated run cannot decay twice. Of f(epoch, previous) every value is kept, of
    f(epoch) enough of them that the updates of an epoch share one.
    """

    def __init__(self, function: EpochCallable, base: float) -> None:
        self._function: Callable[..., float] = function
        self._base = base
        self._folded = takes_previous(function)
        self._values: dict[int, float] = {}

    def __call__(self, epoch: int) -> float:
        values = self._values
        if self._folded:
            for e in range(len(values), epoch + 1):
                values[e] = self._asked(e, values[e - 1] if e else self._base)
        elif epoch not in values:
            if len(values) == _REMEMBERED:
                values.clear()
            values[epoch] = self._asked(epoch)
        return values[epoch]

    def _asked(self, epoch: int, *previous: float) -> float:
        try:
            found = self._function(epoch, *previous)
        except Exception as error:
            name = getattr(self._function, "__qualname__", type(self._function).__name__)
            error.add_note(f"raised by {name} for epoch {epoch}")
            raise
        value = real(found, f"the value of {self._function!r} at epoch {epoch}")
        if value < 0:
            raise ValueError(f"{self._function!r} returned {value} at epoch {epoch}; expected a number of at least 0.")
        return value
