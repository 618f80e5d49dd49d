"""A run that goes on: whether it does so by the recipe that it was trained with, and by which length of the run."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from .callbacks import ScheduleMixin
from .durations import Clock, Position
from .optimizers import Spec
from .parameters import Rule
from .saved import Driver, Progress
from .schedule import Schedule


class Continued(NamedTuple):
    """What a run goes on by: the callback or, with on_change="use_saved", one of the saved settings; and a clock."""

    part: ScheduleMixin
    clock: Clock


def driver_of(part: ScheduleMixin, clock: Clock) -> Driver:
    """What a checkpoint has of a callback that drives an optimizer in a run of this clock."""
    settings, memory = part.settings(), tuple(part.memory())
    return Driver(type(part).__name__, part.driven, settings, clock, memory, part.reduces)


def driver_before(part: ScheduleMixin, drivers: Sequence[Driver]) -> Driver | None:
    """Which of these did before what a callback does now, or None if none did."""
    return Progress(drivers=tuple(drivers)).driver(type(part).__name__, part.driven, part.reduces)


def continued(part: ScheduleMixin, saved: Driver, clock: Clock, where: Position) -> Continued:
    """What a run goes on by from a position, where `saved` is what it was driven by up to there.

    The run's own clock holds with on_change="use_new". Otherwise the run is the one that it was: its percentages are
    of the length that it had at its start, whatever has been added since.

    Raises ValueError for other settings than the saved ones with on_change="raise", for saved ones that cannot be read
    with "use_saved", and, unless it is "use_new", for another number of updates in an epoch where a schedule counts
    updates.
    """
    if part.on_change == "use_new":
        return Continued(part, clock)
    part, holds = _held(part, saved, clock, where)
    return Continued(part, clock if holds else _clock(part, saved.clock, clock, where))


def check_loaded(part: ScheduleMixin, saved: Driver, where: Position, names: Sequence[str] = ()) -> None:
    """Refuse, before a framework loads an optimizer, settings of which `continued` would not go on.

    names: the fields of a spec, besides its type and amsgrad, that decide which moments the optimizer has, and whose.
    """
    where = _normal(where, saved.clock)
    if part.on_change == "raise":
        _held(part, saved, saved.clock, where)
    recipe = (saved.settings or {}).get("recipe")
    before = recipe.get("optimizer") if isinstance(recipe, Mapping) else None
    if not isinstance(before, Mapping) or part.spec is None:
        return
    now = part.spec.to_dict()
    for name in ("type", "amsgrad", *names):
        if before.get(name) != now.get(name):
            raise part.refuse(
                f"an optimizer that cannot go on with the moments of the run up to {where}: {name} was "
                f"{_shown(before.get(name))} and is {_shown(now.get(name))}",
                "give the one that it was trained with, or begin a run of its own",
            )


def _held(part: ScheduleMixin, saved: Driver, clock: Clock, where: Position) -> tuple[ScheduleMixin, bool]:
    """Which callback holds, and whether it is a new one."""
    before = _read(part, saved)
    settings, found = part.settings(), saved.settings if before is None else before.settings()
    if saved.callback != type(part).__name__:
        changes = [f"the callback was {saved.callback} and is {type(part).__name__}"]
    else:
        changes = [] if settings is None or found is None else list(differences(found, settings))
    if not changes:
        return part, False
    if part.on_change == "use_saved":
        if before is None:
            raise part.refuse(
                f"{_found(where)}, and the latter cannot be read here: {', '.join(changes)}",
                "import the classes of its schedules, give a recipe with the functions that it names, or write "
                "on_change='use_new'",
            )
        return before, False
    values = [] if before is None else list(_values(before, saved.clock, _with(part, settings, saved), clock, where))
    there = f"; there the saved and the new give {', '.join(values)}" if values else ""
    message = f"{_found(where)}: {', '.join(changes)}{there}"
    if part.on_change == "raise":
        raise part.refuse(message, "give what it was trained with, or write on_change='use_new' or 'use_saved'")
    warnings.warn(f"{part.who}: found {message}; the new one holds.", stacklevel=2)
    return part, True


def _normal(where: Position, clock: Clock) -> Position:
    """A position after an epoch's last update is that of the next epoch's first."""
    updates = clock.updates_per_epoch
    return Position(where.epoch + 1) if updates is not None and where.update >= updates else where


def _found(where: Position) -> str:
    return f"other settings than those that the run was trained with up to {where}"


def _read(part: ScheduleMixin, saved: Driver) -> ScheduleMixin | None:
    """A callback of the saved settings, or None where they cannot be read here."""
    try:
        return None if saved.settings is None else _with(part, saved.settings, saved)
    except (KeyError, TypeError, ValueError):
        return None


def _with(part: ScheduleMixin, settings: Mapping[str, Any] | None, saved: Driver) -> ScheduleMixin:
    """A callback of these settings, and of what the saved one had seen."""
    made = part.of_settings(settings or {})
    made.recall(saved.memory)
    return made


def _values(before: ScheduleMixin, its: Clock, part: ScheduleMixin, clock: Clock, where: Position) -> Iterator[str]:
    """What each hyperparameter is at a position by the one and by the other, in words."""
    for name in part.driven:
        found = [_value(each, name, time, where) for each, time in ((before, its), (part, clock))]
        if None not in found:
            yield f"{name} {found[0]} and {found[1]}"


def _value(part: ScheduleMixin, name: str, clock: Clock, where: Position) -> str | None:
    try:
        part.prepare(clock)
        if part.spec is None:
            return f"{part.value(name, 1.0, where)!r} times its base value"
        return repr(part.value(name, float(getattr(part.spec, name)), where))
    except ValueError:  # it needs a length that is not known
        return None


def _clock(part: ScheduleMixin, its: Clock, clock: Clock, where: Position) -> Clock:
    """The clock of a run that goes on, from its own at its start and the one of what is trained now."""
    units = part.units()
    counts_updates = "updates" in units or ("percent" in units and its.max_updates is not None)
    began, now = its.updates_per_epoch, clock.updates_per_epoch
    if None not in (began, now) and began != now and counts_updates and where > Position(0):
        raise part.refuse(
            f"{now} updates in an epoch, where the run up to {where} had {began}, the same settings, and a schedule "
            f"that counts updates",
            "keep the size of the batches and the number of devices, write the schedule in epochs, or write "
            "on_change='use_new'",
        )
    if "percent" not in units or (its.epochs, its.max_updates) in ((clock.epochs, clock.max_updates), (None, None)):
        return clock
    warnings.warn(
        f"{part.who}: found a run of {_length(clock)}, which began as one of {_length(its)}; percentages are still of "
        f"{_length(its)}: write on_change='use_new' to have them of {_length(clock)}.",
        stacklevel=2,
    )
    return Clock(now, its.epochs, its.max_updates)


def _length(clock: Clock) -> str:
    if clock.max_updates is not None:
        return f"{clock.max_updates} updates"
    return "unknown length" if clock.epochs is None else f"{clock.epochs} epochs"


def differences(saved: Any, new: Any, name: str = "") -> Iterator[str]:
    """Where two canonical forms differ, field by field, in words.

    >>> list(differences({"type": "AdamW", "epsilon": 1e-8}, {"type": "AdamW", "epsilon": 1e-6}, "optimizer"))
    ['optimizer.epsilon was 1e-08 and is 1e-06']
    """
    both = isinstance(saved, Mapping) and isinstance(new, Mapping)
    if both and saved.get("type") == new.get("type") and saved.keys() == new.keys():
        for key in saved:
            yield from differences(saved[key], new[key], f"{name}.{key}" if name else str(key))
    elif saved != new and not (saved != saved and new != new):
        yield f"{name} was {_shown(saved)} and is {_shown(new)}"


def _shown(value: Any) -> str:
    """A canonical form as one would write it: StepDecay(factor=0.1, every=epochs(5)), if it can be read here."""
    if isinstance(value, Mapping) and "type" in value:
        for family in (Schedule, Spec, Rule):
            try:
                return repr(family.from_dict(value))
            except ValueError:
                continue
        fields = ", ".join(f"{key}={_shown(each)}" for key, each in value.items() if key != "type")
        return f"{value['type']}({fields})"
    if isinstance(value, list):
        return f"[{', '.join(map(_shown, value))}]"
    return repr(value)
