"""Where the parts of a schedule lie in a run: what `lint` looks at, and where `explain` ends a stretch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import NamedTuple

from .clock import Clock
from .compositions import Sequence
from .durations import DurationLike, epochs
from .epoch_function import EpochFunction
from .ramps import Ramp
from .schedule import After, Repeat, Schedule, Skip, Until, ticks
from .shapes import InverseTimeDecay
from .staircases import MultiStepDecay, StepDecay, Table
from .ticks import Ticks

CYCLES = 20  # of a repeat; of one of more, only the first is looked at
_DROPS = 10_000  # of a staircase; the later ones of one of more are not looked at


class Part(NamedTuple):
    """A schedule within a schedule: its own clock starts at `begin`, and the run asks for it up to `last`.

    Both are in the unit of the run's clock. `ticks` are the part's own, which a growing cycle stretches.
    """

    schedule: Schedule
    ticks: Ticks
    begin: Fraction
    last: Fraction

    def at(self, time: int) -> Fraction:
        """When `time`, in ticks, has passed on the part's own clock."""
        return self.begin + Fraction(time, self.ticks.scale * self.ticks.fineness)

    def after(self, duration: DurationLike) -> Fraction:
        """When `duration` has passed on the part's own clock."""
        return self.at(self.ticks(duration))


def parts(schedule: Schedule, clock: Clock, total: int, cycles: int = 1) -> Iterator[Part]:
    """A schedule and everything it is made of, in a run.

    Args:
        schedule: The schedule.
        clock: Of the run.
        total: The number of updates in the run, or of epochs if their length is unknown.
        cycles: The number of cycles up to which each cycle of a repeat has its parts; of a repeat with more, only the
            first has.
    """
    return _within(Part(schedule, ticks(schedule, clock), Fraction(0), Fraction(total - 1)), cycles)


def _within(part: Part, cycles: int) -> Iterator[Part]:
    yield part
    schedule, time, begin, last = part
    inner: Iterable[Part]
    match schedule:
        case After():
            inner = [part._replace(schedule=schedule.schedule, begin=part.after(schedule.begin))]
        case Until():
            inner = [part._replace(schedule=schedule.schedule, last=min(last, part.after(schedule.end)))]
        case Skip():
            inner = [part._replace(schedule=schedule.schedule, begin=part.at(-time(schedule.time)))]
        case Sequence():
            starts = [begin, *(part.after(start) for start, _ in schedule.rest)]
            # Each is asked up to the last update before the next begins, unless the part ends earlier.
            ends = [*(min(last, Fraction(math.ceil(start) - 1)) for start in starts[1:]), last]
            schedules = (schedule.first, *(following for _, following in schedule.rest))
            inner = [Part(each, time, *span) for each, *span in zip(schedules, starts, ends, strict=True)]
        case Repeat():
            inner = _cycles(schedule, part, cycles)
        case _:
            inner = [part._replace(schedule=each) for each in schedule.parts() if isinstance(each, Schedule)]
    for each in inner:
        yield from _within(each, cycles)


def _cycles(repeat: Repeat, part: Part, most: int) -> list[Part]:
    growth, found = Fraction(repr(repeat.growth)), list[Part]()
    begin, length = part.begin, part.after(repeat.every) - part.begin
    while begin <= part.last:
        if len(found) == most:
            return found[:1]
        stretched = part.ticks.stretched(*(growth ** len(found)).as_integer_ratio())
        # Of a cycle all of its time: where cycles grow, later ones are asked in between the first one's updates.
        last = begin + length - Fraction(1, stretched.scale * stretched.fineness)
        found.append(Part(repeat.schedule, stretched, begin, min(part.last, last)))
        begin, length = begin + length, length * growth
    return found


def boundaries(schedule: Schedule, clock: Clock, total: int, grid: int) -> Iterator[set[int]]:
    """For each part of a schedule, when it begins, ends, drops or restarts: after how many times `grid` updates."""
    for part in parts(schedule, clock, total, CYCLES):
        times = (part.begin, *map(part.at, _changes(part, grid)))
        yield {math.ceil(time / grid) for time in times if 0 < time <= part.last}


def _changes(part: Part, grid: int) -> Iterable[int]:
    """When a part ends or drops, in ticks of its own clock."""
    schedule, time = part.schedule, part.ticks

    def stairs(every: int, first: int, most: int = _DROPS) -> range:
        period = part.at(every) - part.begin
        if period <= grid:  # of drops at every point of the grid none is another one than those around it
            return range(0)
        count = min(int((part.last - part.begin) / period) + 1, most)
        return range(first, first + count * every, every)

    match schedule:
        case Ramp():
            return (schedule.length(time),)
        case Until():
            return (time(schedule.end),)
        case MultiStepDecay():
            return map(time, schedule.at)
        case StepDecay():
            every = time(schedule.every)
            return stairs(every, every if schedule.first is None else time(schedule.first))
        case Table():
            return stairs(time(schedule.every), time(schedule.every), len(schedule.values) - 1)
        case InverseTimeDecay(staircase=True):
            return stairs(time(schedule.every), time(schedule.every))
        case EpochFunction():
            return stairs(time(epochs(1)), time(epochs(1)))
    return ()
