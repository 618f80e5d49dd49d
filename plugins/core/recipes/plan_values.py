"""A recipe resolved against a clock: the exact float64 value of each hyperparameter at each position."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from operator import index
from typing import Any, Protocol

from ..schedules.clock import Clock
from ..schedules.schedule import Schedule, resolve
from ..schedules.serializable import real
from ..schedules.ticks import Curve, finite
from ..specs.spec import HYPERPARAMETERS


class Schedules(Protocol):
    """What a plan needs from a recipe."""

    @property
    def optimizer(self) -> Any:
        """The spec, or None."""

    @property
    def driven(self) -> tuple[str, ...]:
        """The hyperparameters that it decides."""

    def schedule(self, hyperparameter: str) -> Schedule:
        """The schedule of a hyperparameter."""

    def base(self, hyperparameter: str) -> float | None:
        """The base value of a hyperparameter, or None without a spec."""


class PlanValues:
    """The values of a plan; see `Plan`."""

    def __init__(self, recipe: Schedules, clock: Clock) -> None:
        if not isinstance(clock, Clock):
            raise TypeError(
                f"Plan: found {clock!r} ({type(clock).__name__}); expected a Clock, as recipe.plan(...) makes."
            )
        self.recipe: Any = recipe  # a Recipe; its module imports this one
        self.clock = clock
        self._curves = {}
        self._constant: dict[str, bool] = {}
        for name in HYPERPARAMETERS:
            try:
                self._curves[name] = resolve(recipe.schedule(name), clock)
            except ValueError as error:
                raise ValueError(f"the {name} schedule: {error}") from None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.recipe!r}, {self.clock!r})"

    def __reduce__(self) -> tuple[type[PlanValues], tuple[Schedules, Clock]]:
        return type(self), (self.recipe, self.clock)

    def multiplier(self, hyperparameter: str, epoch: int, update: int = 0) -> float:
        """eta of a hyperparameter at a position.

        Args:
            hyperparameter: "learning_rate", "weight_decay" or "momentum".
            epoch: Counted from 0.
            update: Counted from 0 within the epoch.

        Raises:
            ValueError: As for `value`.
        """
        curve, scale = self._curve(hyperparameter)
        epoch, update = _position(epoch, update)
        if self.clock.updates_per_epoch is not None:
            time = epoch * self.clock.updates_per_epoch + update
        elif update == 0 or self.constant_within_epochs(hyperparameter):
            time = epoch
        else:
            raise ValueError(
                f"the {hyperparameter} schedule changes within an epoch, so its value at update {update} needs "
                f"updates_per_epoch=, which is unknown."
            )
        try:
            return finite(curve, time * scale)
        except ValueError as error:
            raise ValueError(f"the {hyperparameter} schedule at epoch {epoch}, update {update}: {error}") from None

    def value(self, hyperparameter: str, epoch: int, update: int = 0, base: float | None = None) -> float:
        """The value of a hyperparameter for the update at a position.

        Args:
            hyperparameter: "learning_rate", "weight_decay" or "momentum".
            epoch: Counted from 0.
            update: Counted from 0 within the epoch; updates_per_epoch of them reach the next epoch's first.
            base: The base value if the recipe has no spec, or if a parameter group has its own.

        Raises:
            ValueError: The name is unknown, the position negative or the base value missing; the schedule changes
                within an epoch and the number of its updates is unknown; or the value cannot be used: it is too large
                for a float, or a momentum of 1 or more.
        """
        value = self._base(hyperparameter, base) * self.multiplier(hyperparameter, epoch, update)
        if not _usable(hyperparameter, value):
            expected = _EXPECTED[hyperparameter]
            raise ValueError(f"the {hyperparameter} at epoch {epoch}, update {update} is {value}; expected {expected}.")
        return value

    def values(self, hyperparameter: str, epoch: int | None = None, base: float | None = None) -> list[float]:
        """The value for each update of an epoch, or of the whole run; one per epoch if its length is unknown.

        Args:
            hyperparameter: "learning_rate", "weight_decay" or "momentum".
            epoch: Which one, or None for the whole run.
            base: As for `value`.

        Raises:
            ValueError: As for `value`; or the length of the run is unknown.
        """
        known = self.clock.updates_per_epoch
        if known is None and not self.constant_within_epochs(hyperparameter):
            raise ValueError(
                f"the {hyperparameter} schedule changes within an epoch, so its values need updates_per_epoch=, "
                f"which is unknown."
            )
        count = known or 1
        if epoch is None:
            return self.between(hyperparameter, 0, self.updates("values()"), base)
        epoch, _ = _position(epoch, 0)
        if self.constant_within_epochs(hyperparameter):
            return [self.value(hyperparameter, epoch, 0, base)] * count
        return self.between(hyperparameter, epoch * count, (epoch + 1) * count, base)

    def between(
        self, hyperparameter: str, begin: int, end: int, base: float | None = None, every: int = 1
    ) -> list[float]:
        """The value for each of the run's updates `begin` to `end` - 1, or epochs if their length is unknown.

        Args:
            hyperparameter: "learning_rate", "weight_decay" or "momentum".
            begin: The first update, counted over the run.
            end: The one after the last.
            base: As for `value`.
            every: Take only each so-many-th of them.

        Raises:
            ValueError: As for `value`.
        """
        return self.columns(hyperparameter, begin, end, [self._base(hyperparameter, base)], every)[0]

    def columns(
        self, hyperparameter: str, begin: int, end: int, bases: Sequence[float], every: int = 1
    ) -> list[list[float]]:
        """As `between`, for each of several base values, such as those of parameter groups; equal ones share a list.

        Raises:
            ValueError: As for `value`.
        """
        etas = self.multipliers(hyperparameter, begin, end, every)
        bases = [self._base(hyperparameter, base) for base in bases]
        by_base = {base: [base * eta for eta in etas] for base in bases}
        largest = by_base[max(bases)] if bases and etas else [0.0]
        too_large = not math.isfinite(sum(largest)) or (hyperparameter == "momentum" and max(largest) >= 1)
        if too_large or min(largest) < 0:
            count = self.clock.updates_per_epoch or 1
            for number in range(begin, end, every):
                self.value(hyperparameter, *divmod(number, count), max(bases))  # raises at the unusable value
        return [by_base[base] for base in bases]

    def multipliers(self, hyperparameter: str, begin: int, end: int, every: int = 1) -> list[float]:
        """eta for each of the run's updates `begin` to `end` - 1, or epochs if their length is unknown.

        Args:
            hyperparameter: "learning_rate", "weight_decay" or "momentum".
            begin: The first update, counted over the run.
            end: The one after the last.
            every: Take only each so-many-th of them.

        Raises:
            ValueError: As for `value`.
        """
        curve, scale = self._curve(hyperparameter)
        begin, end, every = index(begin), index(end), index(every)  # as in `multiplier`
        if begin < 0 or every < 1:
            raise ValueError(f"found begin={begin} and every={every}; expected at least 0 and at least 1.")
        try:
            etas = list(map(curve, range(begin * scale, end * scale, every * scale)))
            # A sum is the fastest check of all; it can overflow although every value is finite.
            if math.isfinite(sum(etas)):
                return etas
        except (OverflowError, ValueError):
            etas = []
        count = self.clock.updates_per_epoch or 1
        for number in range(begin, end, every):
            self.multiplier(hyperparameter, *divmod(number, count))  # raises at the position without a value
        return etas

    def looked_at(self, hyperparameter: str, numbers: Iterable[int]) -> list[float]:
        """The value at each of these updates of the run, or the multiplier if the recipe has no spec.

        Args:
            hyperparameter: "learning_rate", "weight_decay" or "momentum".
            numbers: The updates, counted over the run; epochs if their length is unknown.

        Returns:
            The values: infinite where they are too large for a float, NaN where a user's function gives none.
        """
        (curve, scale), base = self._curve(hyperparameter), self.recipe.base(hyperparameter)
        base = 1.0 if base is None else base

        def value(number: int) -> float:
            try:
                return float(base * curve(number * scale))
            except OverflowError:
                return math.inf
            except ValueError:
                return math.nan

        return list(map(value, numbers))

    def check(self, hyperparameter: str, base: float | None = None) -> None:
        """Raise, as `value` does, if a value of the run cannot be used; samples 100,000 updates of a long run."""
        length = self.clock.length()
        total = 1 if length is None else int(length)
        for begin, every in ((0, -(-total // 100_000)), (total - 1, 1)):
            self.between(hyperparameter, begin, total, base, every)

    def updates(self, what: str = "this") -> int:
        """The number of updates in the run, or of epochs if their length is unknown.

        Args:
            what: What needs it, for the error message.

        Raises:
            ValueError: The run's length is unknown.
        """
        length = self.clock.length()
        if length is None and self.clock.max_updates is not None:
            raise ValueError(f"{what} needs the number of updates in an epoch; give plan(updates_per_epoch=...).")
        if length is None:
            raise ValueError(f"{what} needs the number of epochs, which is unknown; give plan(epochs=...).")
        return int(length)

    def _curve(self, hyperparameter: str) -> tuple[Curve, int]:
        if hyperparameter not in self._curves:
            self.recipe.schedule(hyperparameter)  # raises
        return self._curves[hyperparameter]

    def _base(self, hyperparameter: str, base: float | None) -> float:
        if base is None:
            base = self.recipe.base(hyperparameter)
        if base is None:
            raise ValueError(
                f"this recipe has no optimizer, so the value of {hyperparameter} needs base=, the base value."
            )
        number = real(base, "base")
        if number < 0:
            raise ValueError(f"base: found {number}; expected a number of at least 0.")
        return number

    def constant_within_epochs(self, hyperparameter: str) -> bool:
        """Whether the value can only change at the first update of an epoch."""
        if hyperparameter not in self._constant:
            schedule, length = self.recipe.schedule(hyperparameter), self.clock.updates_per_epoch or 1
            self._constant[hyperparameter] = schedule.stepwise and all(
                self.clock.exact(duration) % length == 0 for duration in schedule.durations()
            )
        return self._constant[hyperparameter]

    def in_epochs_alone(self, hyperparameter: str) -> bool:
        """Whether the schedule's durations are independent of the number of updates in an epoch."""
        units = {unit for duration in self.recipe.schedule(hyperparameter).durations() for unit in duration.units}
        return "updates" not in units and ("percent" not in units or self.clock.max_updates is None)


_EXPECTED = dict.fromkeys(HYPERPARAMETERS, "a value of at least 0 that a float can hold, as .at_most(...) makes it")
_EXPECTED["momentum"] = "a value of at least 0 and below 1"


def _usable(hyperparameter: str, value: float) -> bool:
    return 0 <= value < (1 if hyperparameter == "momentum" else math.inf)


def _position(epoch: int, update: int) -> tuple[int, int]:
    epoch, update = index(epoch), index(update)  # a NumPy integer would overflow, and a float is not a position
    if epoch < 0 or update < 0:
        raise ValueError(f"found epoch {epoch}, update {update}; both count from 0 and cannot be negative.")
    return epoch, update
