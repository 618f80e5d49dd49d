"""What a plan probably does not mean to do: each finding is a sentence, none is an error."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from .compositions import Sequence
from .durations import DurationLike
from .explain import shown, text, when
from .ramps import Ramp, Warmup
from .schedule import After, Repeat, Schedule, Skip, Until
from .shapes import MultiStepDecay, StepDecay, Table
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
        found += [f"{name}: {sentence}" for sentence in _structure(plan, schedule, time, 0, (total - 1) * time.scale)]
        try:
            # Without a spec a multiplier of the momentum has no bound that is known.
            plan.check(name, None if plan.recipe.optimizer is not None else 0.0 if name == "momentum" else 1.0)
            found += [f"{name}: {sentence}" for sentence in (*_ends(plan, name, total), *_lost(plan, name, total))]
        except ValueError as error:
            found.append(str(error))
    return found


def _ends(plan: Plan, name: str, total: int) -> Iterator[str]:
    # A weight decay or a momentum of 0 leaves an update something to do.
    if name != "learning_rate":
        return
    if plan.multiplier(name, 0) == 0:
        yield "the first update has the value 0 and changes nothing: let the schedule start above 0"
    last = plan.multipliers(name, max(total - 2, 0), total)
    if last == [0, 0]:
        yield "the run ends with updates of the value 0, which change nothing"
    elif last[-1] == 0 and total > 1:
        remedy = "leave inclusive=True out, or end above 0" if _inclusive(plan.recipe.learning_rate) else "end above 0"
        yield f"{when(plan, total - 1)}, the last one, has the value 0 and changes nothing: {remedy}"


def _inclusive(schedule: Schedule) -> bool:
    parts = [part for part in schedule.parts() if isinstance(part, Schedule)]
    return getattr(schedule, "inclusive", False) or any(map(_inclusive, parts))


def _structure(plan: Plan, schedule: Schedule, time: Ticks, begin: int, last: int) -> Iterator[str]:
    """Findings about a part whose own clock starts at `begin` and is asked up to `last`, in ticks of the run."""
    of_run = last == (plan.updates() - 1) * time.scale

    def never(what: str, after: int, duration: DurationLike) -> Iterator[str]:
        if begin <= last < begin + after:
            ends = "the run" if of_run else "its part of the run"
            yield f"{schedule!r}: {what}, after '{duration}', is never reached: {ends} ends before"

    def before(end: int) -> int:
        """The last update before a time of this part, unless the part ends earlier."""
        return min(last, (begin + end - 1) // time.scale * time.scale)

    match schedule:
        case After():
            yield from never("its beginning", time(schedule.begin), schedule.begin)
            yield from _structure(plan, schedule.schedule, time, begin + time(schedule.begin), last)
        case Until():
            yield from _structure(plan, schedule.schedule, time, begin, min(last, begin + time(schedule.end)))
        case Skip():
            yield from _structure(plan, schedule.schedule, time, begin - time(schedule.time), last)
        case Sequence():
            starts = [0, *(time(start) for start, _ in schedule.rest)]
            for start, (duration, _) in zip(starts[1:], schedule.rest, strict=True):
                yield from never("the next schedule", start, duration)
            parts = (schedule.first, *(part for _, part in schedule.rest))
            for part, start, end in zip(parts, starts, [*map(before, starts[1:]), last], strict=True):
                yield from _structure(plan, part, time, begin + start, end)
        case Repeat():
            yield from never("the second cycle", time(schedule.every), schedule.every)
            # Of a cycle all of its time: where cycles grow, later ones are asked in between the first one's updates.
            cycle = begin + time(schedule.every) - 1
            yield from _structure(plan, schedule.schedule, time, begin, min(last, cycle))
        case StepDecay():
            first = schedule.every if schedule.first is None else schedule.first
            yield from never("the first drop", time(first), first)
        case MultiStepDecay():
            for drop in dict.fromkeys(schedule.at):
                yield from never("the drop", time(drop), drop)
        case Table():
            places = len(schedule.values) - 1
            yield from never(
                f"the last of {places + 1} values", time(schedule.every) * places, f"{places} x {schedule.every}"
            )
        case Ramp():
            yield from _ramp(plan, schedule, time, begin, last, of_run)
        case _:
            for inner in schedule.parts():
                if isinstance(inner, Schedule):
                    yield from _structure(plan, inner, time, begin, last)


def _ramp(plan: Plan, ramp: Ramp, time: Ticks, begin: int, last: int, of_run: bool) -> Iterator[str]:
    reached = begin + ramp.length(time)
    # An end at the first update after the last one is meant: that is what inclusive=False says.
    if begin <= last and last + time.scale < reached:
        what = "the warmup is longer than" if isinstance(ramp, Warmup) else "its end lies after"
        yield f"{ramp!r}: {what} {'the run' if of_run else 'its part of the run'}, {text(ramp.final)} is never reached"
    elif of_run and reached < last and ramp.final != 1.0:
        number = -(-reached // time.scale)
        yield f"{ramp!r}: its end, {text(ramp.final)}, is reached at {when(plan, number)} and kept until the run's"


def _lost(plan: Plan, name: str, total: int) -> Iterator[str]:
    """Changes from one update to the next that are gone in float32, in which frameworks hold the values."""
    if plan.clock.updates_per_epoch is None or plan.constant_within_epochs(name) or total < 2:
        return
    pairs = [shown(plan, name, number, number + 2) for number in range(0, total - 1, max(1, total // _SAMPLES))]
    changes = [(a, b) for a, b in pairs if a != b]
    lost = sum(float32(a) == float32(b) for a, b in changes)
    if lost > len(changes) / 2:
        yield (
            f"{100 * lost // len(changes)} % of its changes from one update to the next are too small for float32: "
            f"neighbouring updates use the same value"
        )
