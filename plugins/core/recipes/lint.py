"""Possible mistakes in a plan: each finding is a sentence, none is an error."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..schedules.compositions import Sequence
from ..schedules.durations import DurationLike
from ..schedules.ramps import Ramp, Warmup
from ..schedules.schedule import After, Repeat
from ..schedules.staircases import MultiStepDecay, StepDecay, Table
from ..schedules.timeline import CYCLES, Part, parts
from .float32 import float32
from .plan_values import PlanValues
from .words import shown, text, when

_SAMPLES = 1000


def lint(plan: PlanValues) -> list[str]:
    """The findings, hyperparameter by hyperparameter."""
    total = plan.updates("lint()")
    found = []
    for name in plan.recipe.driven:
        for part in parts(plan.recipe.schedule(name), plan.clock, total):
            found += [f"{name}: {sentence}" for sentence in _never(part, total)]
            if isinstance(part.schedule, Ramp):
                found += [f"{name}: {sentence}" for sentence in _ramp(plan, part.schedule, part, total)]
        try:
            # Without a spec a multiplier of the momentum has no bound that is known.
            plan.check(name, None if plan.recipe.optimizer is not None else 0.0 if name == "momentum" else 1.0)
            found += [f"{name}: {sentence}" for sentence in (*_ends(plan, name, total), *_lost(plan, name, total))]
        except ValueError as error:
            found.append(str(error))
    return found


def _ends(plan: PlanValues, name: str, total: int) -> Iterator[str]:
    # A weight decay or a momentum of 0 leaves an update something to do.
    if name != "learning_rate":
        return
    if plan.multiplier(name, 0) == 0:
        yield "the first update has the value 0 and changes nothing: let the schedule start above 0"
    last = plan.multipliers(name, max(total - 2, 0), total)
    if last == [0, 0]:
        yield "the run ends with updates of the value 0, which change nothing"
    elif last[-1] == 0 and total > 1:
        zero = [
            part.schedule.inclusive
            for part in parts(plan.recipe.schedule("learning_rate"), plan.clock, total, CYCLES)
            if isinstance(part.schedule, Ramp) and part.schedule.final == 0
            if part.at(part.schedule.length(part.ticks)) <= total - 1 <= part.last
        ]
        remedy = "leave inclusive=True out, or end above 0" if zero and all(zero) else "end above 0"
        yield f"{when(plan, total - 1)}, the last one, has the value 0 and changes nothing: {remedy}"


def _never(part: Part, total: int) -> Iterator[str]:
    """Changes of a part that come after its end."""
    schedule = part.schedule

    def never(what: str, duration: DurationLike, times: int = 1) -> Iterator[str]:
        if part.begin <= part.last < part.at(part.ticks(duration) * times):
            after = f"{duration}" if times == 1 else f"{times} x {duration}"
            ends = "the run" if part.last == total - 1 else "its part of the run"
            yield f"{schedule!r}: {what}, after '{after}', is never reached: {ends} ends before"

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


def _ramp(plan: PlanValues, ramp: Ramp, part: Part, total: int) -> Iterator[str]:
    reached, of_run = part.at(ramp.length(part.ticks)), part.last == total - 1
    # An end at the first update after the last one is intended: that is inclusive=False.
    if part.begin <= part.last and part.last + 1 < reached:
        what = "the warmup is longer than" if isinstance(ramp, Warmup) else "its end lies after"
        yield f"{ramp!r}: {what} {'the run' if of_run else 'its part of the run'}, {text(ramp.final)} is never reached"
    elif of_run and reached < part.last and ramp.final != 1.0:
        where = when(plan, math.ceil(reached))
        yield f"{ramp!r}: reaches its end value {text(ramp.final)} at {where} and stays there for the rest of the run"


def _lost(plan: PlanValues, name: str, total: int) -> Iterator[str]:
    """Changes from one update to the next that vanish in float32, which frameworks store values in."""
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
