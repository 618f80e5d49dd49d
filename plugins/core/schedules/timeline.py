"""When a run asks for the parts of a schedule: what `lint` looks at, and where `explain` ends a stretch."""

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
from .schedule import After, AtLeast, AtMost, Product, Repeat, Schedule, Skip, Until, ticks
from .shapes import InverseTimeDecay, Triangular
from .staircases import MultiStepDecay, StepDecay, Table
from .ticks import Ticks

CYCLES = 200  # of a repeat, of which later ones are not looked at, but for the last
_DROPS = 10_000  # of a staircase, likewise
_COUNTED = 500  # cycles that grow, until the first that the run asks for


class Part(NamedTuple):
    """A schedule within a schedule, from the first to the last number that the run asks it for without a break.

    A number is one of the run's updates, or of its epochs if their length is unknown. For number n, the part's own
    clock shows n + shift, but at least `low` and at most `high`.

    Attributes:
        schedule: The schedule.
        place: Where it stands in the whole; the cycles of a repeat stand in one place.
        ticks: The part's own, which a growing cycle stretches.
        shift: See above.
        low: The held beginning of `.after`.
        high: The held end of `.until`.
        first: The first number.
        last: The last one.
        certain: Whether the parts of this place are all there are, and their clocks are known.
    """

    schedule: Schedule
    place: tuple[int, ...]
    ticks: Ticks
    shift: Fraction
    low: Fraction
    high: Fraction | float
    first: int
    last: int
    certain: bool = True

    def clock(self, number: int) -> Fraction:
        """What the part's own clock shows."""
        return Fraction(min(max(number + self.shift, self.low), self.high))

    def time(self, of_ticks: int) -> Fraction:
        """A number of ticks as a time on the part's own clock."""
        return Fraction(of_ticks, self.ticks.scale * self.ticks.fineness)

    def length(self, duration: DurationLike) -> Fraction:
        """A duration as a time on the part's own clock."""
        return self.time(self.ticks(duration))

    def value(self, number: int) -> float:
        """The part's value."""
        return self.schedule.curve(self.ticks)(int(self.clock(number) * self.ticks.scale * self.ticks.fineness))

    @property
    def begun(self) -> bool:
        """Whether the clock ever leaves the held beginning."""
        return self.last + self.shift >= self.low

    @property
    def stopped(self) -> bool:
        """Whether the clock stops before the part's last number."""
        return self.last + self.shift > self.high

    def reached(self, time: Fraction) -> int | None:
        """The first number for which the clock shows at least `time`; None if it never does."""
        number = max(self.first, math.ceil(time - self.shift))
        if self.clock(self.first) >= time:
            return self.first
        return number if number <= self.last and self.clock(number) >= time else None

    def within(self, index: int, schedule: Schedule, begin: Fraction, end: Fraction | float) -> Part | None:
        """A schedule that is asked while the clock shows `begin` or more and less than `end`, with its own from there.

        None if the run never asks for it.
        """
        first, after = self.reached(begin), None if end == math.inf else self.reached(Fraction(end))
        last = self.last if after is None else after - 1
        if first is None or first > last:
            return None
        shift, low, high = self.shift - begin, self.low - begin, self.high - begin
        return Part(schedule, (*self.place, index), self.ticks, shift, low, high, first, last, self.certain)


def parts(schedule: Schedule, clock: Clock, total: int, cycles: int = CYCLES) -> Iterator[Part]:
    """A schedule and everything it is made of, as the run asks for it; what it never asks for is left out.

    Args:
        schedule: The schedule.
        clock: Of the run.
        total: The number of updates in the run, or of epochs if their length is unknown.
        cycles: Of a repeat, the number of cycles that have their parts; of one within it, as many fewer.
    """
    zero = Fraction(0)
    left = [(Part(schedule, (), ticks(schedule, clock), zero, zero, math.inf, 0, total - 1), cycles)]
    while left:
        part, most = left.pop()
        yield part
        inner = [each for each in _within(part, most) if each is not None]
        if isinstance(part.schedule, Repeat):
            most = max(most // max(len(inner), 1), 2)
        left += [(each, most) for each in reversed(inner)]


def _within(part: Part, cycles: int) -> Iterable[Part | None]:
    schedule, low, high = part.schedule, part.low, part.high
    match schedule:
        case After():
            begin = part.length(schedule.begin)
            low, high = max(low - begin, Fraction(0)), max(high - begin, Fraction(0))
            return [_same(part, 0, schedule.schedule)._replace(shift=part.shift - begin, low=low, high=high)]
        case Until():
            end = part.length(schedule.end)
            return [_same(part, 0, schedule.schedule)._replace(low=min(low, end), high=min(high, end))]
        case Skip():
            time = part.length(schedule.time)
            inner = _same(part, 0, schedule.schedule)
            return [inner._replace(shift=part.shift + time, low=low + time, high=high + time)]
        case Sequence():
            starts = [Fraction(0), *(part.length(start) for start, _ in schedule.rest)]
            schedules = (schedule.first, *(following for _, following in schedule.rest))
            ends: list[Fraction | float] = [*starts[1:], math.inf]
            spans = zip(schedules, starts, ends, strict=True)
            return [part.within(index, *span) for index, span in enumerate(spans)]
        case Repeat():
            return _cycles(schedule, part, cycles)
    own = (each for each in schedule.parts() if isinstance(each, Schedule))
    # What a combination of the user's own does with time is unknown.
    certain = part.certain and isinstance(schedule, (AtLeast, AtMost, Product))
    return [_same(part, index, each)._replace(certain=certain) for index, each in enumerate(own)]


def _same(part: Part, index: int, schedule: Schedule) -> Part:
    return part._replace(schedule=schedule, place=(*part.place, index))


def _cycles(repeat: Repeat, part: Part, most: int) -> list[Part]:
    growth, length, found = Fraction(repr(repeat.growth)), part.length(repeat.every), list[Part]()
    number, begin, first = 0, Fraction(0), part.first
    while first <= part.last and len(found) <= most:
        if len(found) == most and growth == 1:
            first = part.last
        now = part.clock(first)
        if growth == 1:  # not counted up to the one that is asked for
            number = int(now // length)
            begin = number * length
        while begin + length <= now and number < _COUNTED:
            begin, length, number = begin + length, length * growth, number + 1
        inner = part.within(0, repeat.schedule, begin, begin + length)
        if inner is None or (len(found) == most and growth != 1):
            break
        found.append(inner._replace(ticks=part.ticks.stretched(*(growth**number).as_integer_ratio())))
        first = inner.last + 1
    # Of cycles of the same length, as many as a whole number of updates takes are asked for at all times of a cycle.
    complete = first > part.last and len(found) <= most
    certain = complete or (growth == 1 and length.denominator <= most - 1)
    return [each._replace(certain=each.certain and certain) for each in found]


def boundaries(schedule: Schedule, clock: Clock, total: int, grid: int, corners: bool = False) -> Iterable[set[int]]:
    """For each place in a schedule, when its parts begin, end, drop or restart: after how many times `grid` updates.

    Args:
        schedule: The schedule.
        clock: Of the run.
        total: As for `parts`.
        grid: The number of updates from one value that is looked at to the next.
        corners: Whether to add the corners of a `Triangular`, where its direction changes without a jump.
    """
    found: dict[tuple[int, ...], set[int]] = {}
    for part in parts(schedule, clock, total):
        changes = _corners(part) if corners and isinstance(part.schedule, Triangular) else _changes(part, grid)
        numbers = {part.first, *(part.reached(part.time(time)) for time in changes)}
        found.setdefault(part.place, set()).update(-(-number // grid) for number in numbers if number)
    return found.values()


def _changes(part: Part, grid: int) -> Iterable[int]:
    """When a part ends or drops, in ticks of its own clock."""
    schedule, time = part.schedule, part.ticks

    def stairs(every: int, first: int, most: int = _DROPS) -> range:
        # Of drops at every point of the grid none is another one than those around it.
        return range(0) if part.time(every) <= grid else _stairs(part, every, first, most)

    match schedule:
        case Ramp():
            return (schedule.length(time),)
        case After():
            return (time(schedule.begin),)
        case Until():
            return (time(schedule.end),)
        case MultiStepDecay():
            return map(time, schedule.at)
        case StepDecay():
            every = time(schedule.every)
            return stairs(every, every if schedule.first is None else time(schedule.first))
        case Table():
            every = time(schedule.every)
            return (each for each in stairs(every, every) if each < every * len(schedule.values))
        case InverseTimeDecay(staircase=True):
            return stairs(time(schedule.every), time(schedule.every))
        case EpochFunction():
            return stairs(time(epochs(1)), time(epochs(1)))
    return ()


def _corners(part: Part) -> Iterator[int]:
    assert isinstance(part.schedule, Triangular)
    up = part.ticks(part.schedule.up)
    down = up if part.schedule.down is None else part.ticks(part.schedule.down)
    for begin in _stairs(part, up + down, 0, _DROPS // 2):
        yield from (begin, begin + up)


def _stairs(part: Part, every: int, first: int, most: int) -> range:
    """The times first, first + every, ... that the run reaches, in ticks: not those that it begins after."""
    scale = part.ticks.scale * part.ticks.fineness
    begun, ended = (int(part.clock(number) * scale) for number in (part.first, part.last))
    skipped = max((begun - first) // every, 0)
    return range(first + skipped * every, min(ended, first + (skipped + most) * every) + 1, every)
