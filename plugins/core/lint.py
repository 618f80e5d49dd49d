"""What a plan probably does not mean to do: each finding is a sentence, none is an error."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from .compositions import Sequence
from .durations import DurationLike
from .explain import text, when
from .ramps import Ramp, Warmup
from .schedule import After, Repeat, Schedule, Until
from .shapes import MultiStepDecay, StepDecay
from .ticks import Ticks, ticks
from .trace import float32

if TYPE_CHECKING:
    from .plan import Plan

_SAMPLES = 1000


def lint(plan: Plan) -> list[str]:
    """The findings, hyperparameter by hyperparameter."""
    total = plan.updates("lint()")
    found = []
    for name in plan.recipe.driven:
        schedule = plan.recipe.schedule(name)
        time = ticks(schedule, plan.clock)
        sentences = [*_ends(plan, name, total), *_structure(plan, schedule, time, 0, total * time.scale)]
        found += [f"{name}: {sentence}" for sentence in (*sentences, *_lost(plan, name, total))]
    return found


def _ends(plan: Plan, name: str, total: int) -> Iterator[str]:
    # A weight decay or a momentum of 0 leaves an update something to do.
    if name != "learning_rate":
        return
    if plan.multiplier(name, 0) == 0:
        yield "the first update has the value 0 and changes nothing: let the schedule start above 0"
    if plan.between(name, total - 1, total, 1.0) == [0]:
        yield f"{when(plan, total - 1)}, the last one, has the value 0 and changes nothing: leave inclusive=True out"


def _structure(plan: Plan, schedule: Schedule, time: Ticks, begin: int, end: int) -> Iterator[str]:
    """Findings about a part whose own clock runs from `begin` to `end`, in ticks of the run; `end` may be the run's."""
    run = plan.updates() * time.scale

    def never(what: str, duration: DurationLike) -> Iterator[str]:
        if begin < end <= begin + time(duration):
            ends = "the run" if end == run else "its part of the run"
            yield f"{schedule!r}: {what}, after '{duration}', is never reached: {ends} ends before"

    match schedule:
        case After():
            yield from never("its beginning", schedule.begin)
            yield from _structure(plan, schedule.schedule, time, begin + time(schedule.begin), end)
        case Until():
            yield from _structure(plan, schedule.schedule, time, begin, min(end, begin + time(schedule.end)))
        case Sequence():
            starts = [0, *(time(start) for start, _ in schedule.rest)]
            for duration, _ in schedule.rest:
                yield from never("the next schedule", duration)
            parts = (schedule.first, *(part for _, part in schedule.rest))
            for part, start, stop in zip(parts, starts, [*starts[1:], end - begin], strict=True):
                if begin + start < end:
                    yield from _structure(plan, part, time, begin + start, min(begin + stop, end))
        case Repeat():
            yield from never("the second cycle", schedule.every)
            yield from _structure(plan, schedule.schedule, time, begin, min(end, begin + time(schedule.every)))
        case StepDecay():
            yield from never("the first drop", schedule.every if schedule.first is None else schedule.first)
        case MultiStepDecay():
            for drop in dict.fromkeys(schedule.at):
                yield from never("the drop", drop)
        case Ramp():
            yield from _ramp(plan, schedule, time, begin, end)
        case _:
            for inner in schedule.parts():
                if isinstance(inner, Schedule):
                    yield from _structure(plan, inner, time, begin, end)


def _ramp(plan: Plan, ramp: Ramp, time: Ticks, begin: int, end: int) -> Iterator[str]:
    run = plan.updates() * time.scale
    reached = begin + ramp.length(time)
    if begin < end < reached:
        what = "the warmup is longer than" if isinstance(ramp, Warmup) else "the end lies after"
        yield f"{ramp!r}: {what} the {'run' if end == run else 'part'} that it is in, and {ramp.final} is never reached"
    elif end == run and reached < run - time.scale and ramp.final != 1.0:
        number = -(-reached // time.scale)
        yield f"{ramp!r}: is at its end, {text(ramp.final)}, from {when(plan, number)} on, before the run's"


def _lost(plan: Plan, name: str, total: int) -> Iterator[str]:
    """Changes from one update to the next that are gone in float32, in which frameworks hold the values."""
    if plan.clock.updates_per_epoch is None or plan.constant_within_epochs(name) or total < 2:
        return
    numbers = range(0, total - 1, max(1, total // _SAMPLES))
    base = 1.0 if plan.recipe.base(name) is None else None
    pairs = [plan.between(name, number, number + 2, base) for number in numbers]
    changes = [(a, b) for a, b in pairs if a != b]
    lost = sum(float32(a) == float32(b) for a, b in changes)
    if lost > len(changes) / 2:
        yield (
            f"{100 * lost // len(changes)} % of its changes from one update to the next are too small for float32: "
            f"neighbouring updates use the same value"
        )
