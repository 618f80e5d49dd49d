"""Possible mistakes in a plan: each finding is a sentence, none is an error."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction

from ..schedules.compositions import Sequence
from ..schedules.durations import Duration, DurationLike
from ..schedules.ramps import Ramp, Warmup
from ..schedules.schedule import After, Repeat
from ..schedules.staircases import MultiStepDecay, StepDecay, Table
from ..schedules.timeline import Part, parts
from .float32 import float32
from .looking import Look, look
from .plan_values import PlanValues
from .words import text, when
from .zeros import zeros

_SAMPLES = 1000


def lint(plan: PlanValues, looks: Mapping[str, Look] | None = None, *, remarks: bool = True) -> list[str]:
    """The findings, hyperparameter by hyperparameter.

    Args:
        plan: The plan.
        looks: What was seen of each hyperparameter, if it was looked at before.
        remarks: Whether to say what is often meant: a ramp keeps its end value until the run's end, or changes by less
            than float32 can hold.
    """
    total = plan.updates("lint()")
    found = []
    for name in plan.recipe.driven:
        seen = look(plan, name, total) if looks is None else looks[name]
        places: dict[tuple[int, ...], list[Part]] = {}
        for part in parts(plan.recipe.schedule(name), plan.clock, total):
            places.setdefault(part.place, []).append(part)
        sentences = list(_percents(plan, name))
        for uses in places.values():
            sentences += [*_never(uses, total), *_unreached(uses, total)]
            if remarks:
                sentences += _kept(plan, uses, total)
        if name == "learning_rate":  # a weight decay or a momentum of 0 leaves an update something to do
            sentences += zeros(plan, seen, total)
        if remarks:
            sentences += _lost(plan, name, total)
        found += [f"{name}: {sentence}" for sentence in dict.fromkeys(sentences)]
        found += _unusable(plan, name, seen)
    return found


def _percents(plan: PlanValues, name: str) -> Iterator[str]:
    """Percentages that look like fractions."""
    for duration in dict.fromkeys(plan.recipe.schedule(name).durations()):
        if duration.units == ("percent",) and duration.percent < 1:
            meant = Duration(percent=100 * duration.percent)
            found, other = (str(each).replace("%", " %") for each in (duration, meant))
            yield f"{duration!r} is {found} of the run: write {meant!r} if {other} is meant"


def _never(uses: list[Part], total: int) -> Iterator[str]:
    """Changes of a schedule that come after its end."""
    schedule = uses[0].schedule
    if not _known(uses):
        return

    def never(what: str, duration: DurationLike, times: int = 1) -> Iterator[str]:
        if all(use.clock(use.last) < use.length(duration) * times for use in uses):
            after = f"{duration}" if times == 1 else f"{times} x {duration}"
            yield f"{schedule!r}: {what}, after '{after}', is never reached: {_whole(uses, total)} ends before"

    match schedule:
        case After():
            yield from never("its beginning", schedule.begin)
        case Sequence():
            for start, _ in schedule.rest:
                yield from never("the next schedule", start)
        case Repeat():
            yield from never("the second cycle", schedule.every)
        case StepDecay():
            yield from never("the first drop", schedule.every if schedule.first is None else schedule.first)
        case MultiStepDecay():
            for drop in dict.fromkeys(schedule.at):
                yield from never("the drop", drop)
        case Table():
            yield from never(f"the last of {len(schedule.values)} values", schedule.every, len(schedule.values) - 1)


def _known(uses: list[Part]) -> bool:
    """Whether it is known when a schedule is asked for, and that it is more than its held beginning."""
    return all(use.certain for use in uses) and any(use.begun for use in uses)


def _whole(uses: list[Part], total: int) -> str:
    (part, *others) = uses
    return "its part of the run" if others or part.last < total - 1 or part.stopped else "the run"


def _unreached(uses: list[Part], total: int) -> Iterator[str]:
    ramp = uses[0].schedule
    if isinstance(ramp, Ramp) and _is_unreached(ramp, uses):
        what = "the warmup is longer than" if isinstance(ramp, Warmup) else "its end lies after"
        yield f"{ramp!r}: {what} {_whole(uses, total)}, {text(ramp.final)} is never reached"


def _is_unreached(ramp: Ramp, uses: list[Part]) -> bool:
    return _known(uses) and all(_ends_before(ramp, use) for use in uses)


def _kept(plan: PlanValues, uses: list[Part], total: int) -> Iterator[str]:
    """Where a ramp has its end value long before the run ends."""
    ramp, part = uses[0].schedule, uses[-1]
    if not isinstance(ramp, Ramp) or ramp.final == 1.0 or _is_unreached(ramp, uses):
        return
    of_run, end = part.last == total - 1, _end(ramp, part)
    reached, began = _kept_from(ramp, uses)
    if of_run and reached is not None and reached < total - 1 and part.clock(part.last) > end:
        if not began:
            yield (
                f"{ramp!r}: reaches its end value {text(ramp.final)} at {when(plan, reached)} and stays there for the "
                f"rest of the run"
            )
        else:
            first = when(plan, reached) if reached else "the first update"
            yield f"{ramp!r}: has its end value {text(ramp.final)} already when it begins, from {first} on"


def _kept_from(ramp: Ramp, uses: list[Part]) -> tuple[int | None, bool]:
    """From which number on a ramp has its end value in its last use, and whether it begins with it.

    A use that begins with it goes on from the one just before, if that ends with it.
    """
    last = len(uses) - 1
    found = [use.reached(_end(ramp, use)) for use in uses]
    while last and found[last] == uses[last].first == uses[last - 1].last + 1 and found[last - 1] is not None:
        last -= 1
    return found[last], found[last] == uses[last].first


def _end(ramp: Ramp, part: Part) -> Fraction:
    return part.time(ramp.length(part.ticks))


def _ends_before(ramp: Ramp, part: Part) -> bool:
    """Whether a part of the run stops short of a ramp's end, and of its end value."""
    stop, end = part.clock(part.last), _end(ramp, part)
    # An end at the first update after the last one is intended: that is inclusive=False.
    return (stop < end if part.stopped else stop + 1 < end) and part.value(part.last) != ramp.final


def _lost(plan: PlanValues, name: str, total: int) -> Iterator[str]:
    """Changes from one update to the next that vanish in float32, which frameworks store values in."""
    if plan.clock.updates_per_epoch is None or plan.constant_within_epochs(name) or total < 2:
        return
    stride = max(1, total // _SAMPLES)
    pairs = [plan.looked_at(name, (number, number + 1)) for number in range(0, total - 1, stride)]
    changes = [(a, b) for a, b in pairs if a != b]
    lost = sum(float32(a) == float32(b) for a, b in changes)
    if lost > len(changes) / 2:
        about = "" if stride == 1 else "about "
        yield (
            f"{about}{100 * lost // len(changes)} % of its changes from one update to the next are too small for "
            f"float32: neighbouring updates use the same value"
        )


def _unusable(plan: PlanValues, name: str, seen: Look) -> Iterable[str]:
    """The first value that cannot be used."""
    # Without a spec a multiplier of the momentum has no bound that is known.
    base = None if plan.recipe.optimizer is not None else 0.0 if name == "momentum" else 1.0
    most = 1.0 if name == "momentum" and base is None else float("inf")
    number = next(
        (number for number, value in zip(seen.numbers, seen.values, strict=True) if not 0 <= value < most), None
    )
    if number is None:
        return
    try:
        plan.value(name, *divmod(number, plan.clock.updates_per_epoch or 1), base)
    except ValueError as error:
        yield str(error)
