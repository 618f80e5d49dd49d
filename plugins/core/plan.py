"""A plan: a recipe resolved against a clock. For every position, the exact float64 value of every hyperparameter."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from .durations import Clock
from .optimizers import HYPERPARAMETERS
from .schedule import resolve

if TYPE_CHECKING:
    from .recipe import Recipe


class Plan:
    """The values of a recipe's hyperparameters at every position of a run.

    A value depends on the position alone: the same position gives the same bits in any order of asking, in another
    process and after a resume. Positions past the end of the run are allowed and follow the same schedules.

    Raises ValueError where a schedule needs a length that the clock does not know.
    """

    def __init__(self, recipe: Recipe, clock: Clock) -> None:
        self.recipe = recipe
        self.clock = clock
        self._curves = {}
        for name in HYPERPARAMETERS:
            try:
                self._curves[name] = resolve(recipe.schedule(name), clock)
            except ValueError as error:
                raise ValueError(f"the {name} schedule: {error}") from None

    def __repr__(self) -> str:
        return f"Plan({self.recipe!r}, {self.clock!r})"

    def __reduce__(self) -> tuple[type[Plan], tuple[Recipe, Clock]]:
        return Plan, (self.recipe, self.clock)

    def multiplier(self, hyperparameter: str, epoch: int, update: int = 0) -> float:
        """eta of `hyperparameter` at a position, both counted from 0; arguments and errors as for `value`."""
        if hyperparameter not in self._curves:
            self.recipe.schedule(hyperparameter)
        if epoch < 0 or update < 0:
            raise ValueError(f"found epoch {epoch}, update {update}; both count from 0 and cannot be negative.")
        curve, scale = self._curves[hyperparameter]
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
            return curve(time * scale)
        except OverflowError:
            raise ValueError(
                f"the {hyperparameter} schedule is too large for a float at epoch {epoch}, update {update}: "
                f"{self.recipe.schedule(hyperparameter)!r}."
            ) from None

    def value(self, hyperparameter: str, epoch: int, update: int = 0, base: float | None = None) -> float:
        """The value of `hyperparameter` for the update at a position.

        epoch: from 0. update: from 0 within the epoch; updates_per_epoch of them reach the next epoch's first.
        base: the base value where the recipe has no spec (or where a parameter group has its own).
        Raises ValueError for an unknown name, a negative position, a missing base value, or an update within an epoch
        of unknown length where the schedule changes within epochs.
        """
        if base is None:
            base = self.recipe.base(hyperparameter)
        if base is None:
            raise ValueError(
                f"this recipe has no optimizer, so the value of {hyperparameter} needs base=, the base value."
            )
        return base * self.multiplier(hyperparameter, epoch, update)

    def values(self, hyperparameter: str, epoch: int, base: float | None = None) -> list[float]:
        """The value of `hyperparameter` for each update of an epoch; a single value where their number is unknown.

        Raises ValueError as `value` does, and for an epoch of unknown length within which the schedule changes.
        """
        count = self.clock.updates_per_epoch
        if count is None and not self.constant_within_epochs(hyperparameter):
            raise ValueError(
                f"the {hyperparameter} schedule changes within an epoch, so its values need updates_per_epoch=, "
                f"which is unknown."
            )
        return [self.value(hyperparameter, epoch, update, base) for update in range(count or 1)]

    def constant_within_epochs(self, hyperparameter: str) -> bool:
        """Whether the value can only change at the first update of an epoch."""
        schedule = self.recipe.schedule(hyperparameter)
        length = self.clock.updates_per_epoch or 1
        return schedule.stepwise and all(self.clock.exact(duration) % length == 0 for duration in schedule.durations())

    def in_epochs_alone(self, hyperparameter: str) -> bool:
        """Whether the schedule's durations mean the same whatever the number of updates in an epoch."""
        units = {duration.unit for duration in self.recipe.schedule(hyperparameter).durations()}
        return "updates" not in units and ("percent" not in units or self.clock.max_updates is None)

    def table(self) -> str:
        """One row per epoch: its first update, counted over the run, and each value there and at the epoch's end."""
        names = self.recipe.driven
        rows = [("epoch", "first update", *names)]
        for epoch in range(self._known_epochs("table()")):
            first = epoch * (self.clock.updates_per_epoch or 0)
            cells = [str(epoch), str(first) if self.clock.updates_per_epoch else "?"]
            for name in names:
                start = self._shown(name, epoch, 0)
                end = self._shown(name, epoch, (self.clock.updates_per_epoch or 1) - 1)
                cells.append(_text(start) if start == end else f"{_text(start)} .. {_text(end)}")
            rows.append(tuple(cells))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)

    def explain(self) -> str:
        """The plan in words: what each hyperparameter starts from, when it changes, and to which value.

        The values of a recipe without a spec are shown as multiples of the base value. Raises ValueError where the
        number of epochs is unknown.
        """
        epochs = self._known_epochs("explain()")
        count = self.clock.updates_per_epoch
        lines = [f"{epochs} epochs of {count or 'an unknown number of'} updates."]
        for name in self.recipe.driven:
            of_base = "" if self.recipe.base(name) is not None else " (as a multiple of the base value)"
            lines.append(f"{name}{of_base}: {self.recipe.schedule(name)!r}")
            lines += [f"  {line}" for line in self._changes(name, epochs)]
        if self.recipe.optimizer is not None:
            lines += ["weights without a gradient:", *self._shrink(epochs)]
        return "\n".join(lines)

    def _changes(self, name: str, epochs: int) -> Iterator[str]:
        """The runs of a hyperparameter's values: stretches that stay, single changes, stretches that move."""
        count = self.clock.updates_per_epoch
        per_epoch = 1 if count is None or self.constant_within_epochs(name) else count
        values = [self._shown(name, e, u) for e in range(epochs) for u in range(per_epoch)]
        changed = [i for i in range(1, len(values)) if values[i] != values[i - 1]]
        yield f"from the start: {_text(values[0])}"
        while changed:
            first = last = changed.pop(0)
            rises = values[first] > values[first - 1]
            while changed and changed[0] == last + 1 and (values[last + 1] > values[last]) == rises:
                last = changed.pop(0)
            begin = self._when(first, per_epoch)
            if last - first < 2:
                for i in range(first, last + 1):
                    yield f"from {self._when(i, per_epoch)}: {_text(values[i - 1])} -> {_text(values[i])}"
            else:
                each = "epoch" if per_epoch == 1 else "update"
                yield (
                    f"from {begin} at every {each} until {self._when(last, per_epoch)}: "
                    f"{_text(values[first - 1])} -> {_text(values[last])}"
                )

    def _when(self, index: int, per_epoch: int) -> str:
        epoch, update = divmod(index, per_epoch)
        count = self.clock.updates_per_epoch
        place = f"the first update of epoch {epoch}" if update == 0 else f"epoch {epoch}, update {update}"
        return place if count is None else f"update {epoch * count + update} ({place})"

    def _shrink(self, epochs: int) -> Iterator[str]:
        """What the weight decay alone does to a weight, at the start and over the run."""
        count = self.clock.updates_per_epoch
        rate = self.value("learning_rate", 0) * self.value("weight_decay", 0)
        yield f"  shrink by {_text(rate)} of themselves in the first update"
        if count is not None:
            rates = [
                a * b
                for e in range(epochs)
                for a, b in zip(self.values("learning_rate", e), self.values("weight_decay", e), strict=True)
            ]
            logs = [math.log1p(-r) if r < 1 else -math.inf for r in rates]
            epoch, run = (-math.expm1(math.fsum(part)) for part in (logs[:count], logs))
            yield f"  by {_text(epoch)} in the first epoch, by {_text(run)} in the run"
        if 0 < rate < 1:
            yield f"  and at the first update's rate would halve in {_text(math.log(0.5) / math.log1p(-rate))} updates"

    def _shown(self, name: str, epoch: int, update: int) -> float:
        """The value where there is a spec, otherwise the multiplier."""
        base = self.recipe.base(name)
        update = update if self.clock.updates_per_epoch is not None else 0
        return self.multiplier(name, epoch, update) * (1.0 if base is None else base)

    def _known_epochs(self, what: str) -> int:
        if self.clock.epochs is None:
            raise ValueError(f"{what} needs the number of epochs, which is unknown; give plan(epochs=...).")
        return self.clock.epochs


def _text(value: float) -> str:
    return f"{value:.6g}"
