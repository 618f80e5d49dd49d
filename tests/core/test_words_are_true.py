"""Each sentence of explain() and lint() is true of the values, and what is true of them is said.

The values are walked update by update, and every part of a schedule is watched to see when it is asked for what.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from fractions import Fraction
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from samestep import (
    SGDW,
    AdamW,
    Clock,
    Constant,
    Duration,
    MultiStepDecay,
    Plan,
    Ramp,
    Recipe,
    Schedule,
    StepDecay,
    Table,
)
from samestep.core.recipes.float32 import float32
from samestep.core.schedules.compositions import Sequence
from samestep.core.schedules.schedule import After, Repeat
from samestep.core.schedules.ticks import Curve, Ticks

from .strategies import clocks, schedules


@dataclass(frozen=True)
class Asked:
    """A time for which a part of a schedule was asked: by its own clock, in the unit of the run's."""

    number: int
    time: Fraction
    held: bool  # by an `.after` that has not begun
    ticks: Ticks
    value: float

    def length(self, duration: Any) -> Fraction:
        return Fraction(self.ticks(duration), self.ticks.scale * self.ticks.fineness)


@dataclass
class Now:
    number: int = 0
    held: int = 0


@dataclass(frozen=True, repr=False)
class Watched(Schedule):
    """A part of a schedule, of which everything that it is asked is written down."""

    part: Schedule
    written: str = ""
    now: Now = field(default_factory=Now, compare=False)
    asked: list[Asked] = field(default_factory=list, compare=False)

    def curve(self, ticks: Ticks) -> Curve:
        inner, part = self.part.curve(ticks), self.part
        gate = ticks(part.begin) if isinstance(part, After) else 0

        def eta(t: int) -> float:
            held = self.now.held
            self.now.held += t < gate
            value = inner(t)
            self.now.held = held
            time = Fraction(t, ticks.scale * ticks.fineness)
            self.asked.append(Asked(self.now.number, time, bool(held), ticks, value))
            return value

        return eta


def watch(schedule: Schedule, now: Now, found: list[Watched]) -> Watched:
    """A copy of a schedule in which each part is watched."""

    def inside(value: Any) -> Any:
        if isinstance(value, Schedule):
            return watch(value, now, found)
        return tuple(map(inside, value)) if isinstance(value, tuple) else value

    copied = replace(schedule, **{f.name: inside(getattr(schedule, f.name)) for f in fields(schedule)})
    found.append(Watched(copied, repr(schedule), now, []))
    return found[-1]


def walk(schedule: Schedule, plan: Plan) -> tuple[list[float], list[Watched]]:
    """The multiplier of each update, and what each part was asked for them."""
    now, found = Now(), list[Watched]()
    watched = Plan(Recipe(learning_rate=watch(schedule, now, found)), plan.clock)
    etas = []
    for now.number in range(plan.updates()):
        etas.append(watched.multiplier("learning_rate", *divmod(now.number, plan.clock.updates_per_epoch or 1)))
    return etas, found


# What must be said of the parts, what may be said, and what may not.


def changes_of(part: Schedule) -> Iterator[tuple[str, Any, int]]:
    match part:
        case After():
            yield "its beginning", part.begin, 1
        case Sequence():
            yield from (("the next schedule", begin, 1) for begin, _ in part.rest)
        case Repeat():
            yield "the second cycle", part.every, 1
        case StepDecay():
            yield "the first drop", part.every if part.first is None else part.first, 1
        case MultiStepDecay():
            yield from (("the drop", at, 1) for at in part.at)
        case Table():
            yield f"the last of {len(part.values)} values", part.every, len(part.values) - 1


def of_parts(found: list[Watched], total: int, when: Any) -> tuple[set[str], set[str]]:
    """The sentences about parts that must be said, and those that may be said, without what comes at the end."""
    must, may = set[str](), set[str]()
    for watched in found:
        asked, part = watched.asked, watched.part
        if not asked:
            continue
        begun = any(not each.held for each in asked)
        for what, duration, times in changes_of(part):
            if all(each.time < each.length(duration) * times for each in asked):
                after = f"{duration}" if times == 1 else f"{times} x {duration}"
                sentence = f"{watched.written}: {what}, after '{after}', is never reached"
                may.add(sentence)
                must |= {sentence} if begun else set()
        if isinstance(part, Ramp):
            for sentence, needed in of_ramp(watched, part, total, begun, when):
                may.add(sentence)
                must |= {sentence} if needed else set()
    return must, may


def of_ramp(watched: Watched, ramp: Ramp, total: int, begun: bool, when: Any) -> Iterator[tuple[str, bool]]:
    asked, final = watched.asked, f"{ramp.final:.6g}"

    def end(each: Asked) -> Fraction:
        return Fraction(ramp.length(each.ticks), each.ticks.scale * each.ticks.fineness)

    if all(each.time < end(each) and each.value != ramp.final for each in asked):
        # The end may be meant to come at the update after the last one.
        missed = all(each.time + 1 < end(each) for each in asked)
        yield f"{watched.written}: {final} is never reached", begun and missed
    if ramp.final == 1.0 or asked[-1].number != total - 1 or asked[-1].time < end(asked[-1]):
        return
    stays = len(asked) - 1
    while stays and (before := asked[stays - 1]).number == asked[stays].number - 1 and before.time >= end(before):
        stays -= 1
    number = asked[stays].number
    assert all(each.value == ramp.final for each in asked[stays:])
    on_its_way = stays and asked[stays - 1].number == number - 1
    needed = number < total - 1 and asked[-1].time > end(asked[-1])
    if on_its_way:
        yield f"{watched.written}: reaches its end value {final} at {when(number)} and stays", needed
    else:
        where = when(number) if number else "the first update"
        yield f"{watched.written}: has its end value {final} already when it begins, from {where} on", needed


def without_place(sentence: str) -> str:
    """A sentence of lint about a part as `of_parts` has it."""
    sentence = re.sub(r": (the run|its part of the run) ends before$", "", sentence)
    sentence = re.sub(
        r": (the warmup is longer than|its end lies after) (the run|its part of the run), ", ": ", sentence
    )
    return sentence.removesuffix(" there for the rest of the run")


def zeros_of(values: list[float]) -> list[tuple[int, int]]:
    stretches: list[tuple[int, int]] = []
    for number, value in enumerate(values):
        if float32(value) == 0:
            if stretches and stretches[-1][1] == number - 1:
                stretches[-1] = stretches[-1][0], number
            else:
                stretches.append((number, number))
    return stretches


def zeros_said(sentence: str, total: int) -> list[tuple[int, int]]:
    if sentence.startswith("every update"):
        return [(0, total - 1)]
    numbers = re.match(r"updates? ([0-9, -]+)", sentence)
    assert numbers
    spans = [span.split("-") for span in numbers[1].strip(" ,").split(", ")]
    return [(int(span[0]), int(span[-1])) for span in spans]


def check_lint(plan: Plan, schedule: Schedule, values: list[float], found: list[Watched]) -> None:
    total, count = plan.updates(), plan.clock.updates_per_epoch or 1

    def when(number: int) -> str:
        epoch, update = divmod(number, count)
        return f"update {number} ({f'update {update}' if update else 'first update'} of epoch {epoch})"

    must, may = of_parts(found, total, when)
    said, zeros = set[str](), list[tuple[int, int]]()
    for sentence in plan.lint():
        name, _, sentence = sentence.partition(": ")
        assert "\n" not in sentence
        if name != "learning_rate":
            assert "%" in sentence  # of a constant, nothing can be said
        elif "float32: neighbouring" in sentence:
            changes = [(a, b) for a, b in itertools.pairwise(values) if a != b]
            lost = sum(float32(a) == float32(b) for a, b in changes)
            assert sentence.startswith(f"{100 * lost // len(changes)} % of its changes")
            assert lost > len(changes) / 2
        elif " of the run: write percent(" in sentence:
            (given, meant) = (
                eval(each, {"percent": lambda x: Duration(percent=Fraction(x))})
                for each in re.findall(r"percent\(.+?\)", sentence)
            )
            assert given in set(schedule.durations())
            assert given.percent < 1
            assert meant == 100 * given
        elif "the value 0" in sentence and not sentence.startswith("after"):
            stretches = zeros_said(sentence, total)
            zeros += stretches
            exact = all(values[n] == 0 for first, last in stretches for n in (first, last))
            assert ("in float32" in sentence) != exact
            assert ("the last one" in sentence or "every" in sentence) == (stretches[-1][1] == total - 1)
        elif not sentence.startswith("after"):
            said.add(without_place(sentence))
    assert must <= said, must - said
    assert said <= may, said - may
    expected = [stretch for stretch in zeros_of(values) if stretch != (0, 0) or total == 1]
    assert sorted(zeros) == expected[: len(zeros)]
    assert len(zeros) == len(expected) or len(zeros) >= 19


def is_text(text: str, value: float) -> bool:
    return any(text == f"{value:.{digits}g}" for digits in range(6, 18))


def check_changes(lines: list[str], values: list[float], count: int) -> None:
    start = re.fullmatch(r"  from the start: (\S+)", lines[0])
    assert start
    assert is_text(start[1], values[0])
    told, more = list[int](), 0
    for line in lines[1:]:
        if line.startswith("  ... and "):
            more = int(line.split()[2])
            continue
        found = re.fullmatch(
            r"  updates? (\d+)(?:-(\d+))? \((.+)\): (\S+) -> ([^\s,]+)(, every update|, every epoch)?", line
        )
        assert found, line
        first, last = int(found[1]), int(found[2] or found[1])
        assert is_text(found[4], values[first - 1])
        assert is_text(found[5], values[last])
        assert found[4] != found[5]
        if not found[2]:
            epoch, update = divmod(first, count)
            assert found[3] == f"{f'update {update}' if update else 'first update'} of epoch {epoch}"
            told.append(first)
            continue
        one = first // count == last // count
        assert found[3] == (f"epoch {first // count}" if one else f"epochs {first // count}-{last // count}")
        each = count if "every epoch" in found[6] else 1
        changed = range(first, last + 1, each)
        assert changed[-1] == last
        assert {values[n] > values[n - 1] for n in changed} == {values[last] > values[first - 1]}
        told += changed
    changes = [n for n in range(1, len(values)) if values[n] != values[n - 1]]
    assert told == changes[: len(told)]
    assert (len(told) < len(changes)) == (more > 0)
    assert more <= len(changes) - len(told)


def check_shrink(lines: list[str], spec: Any, rates: list[float], decays: list[float], count: int) -> None:
    """The product of what each update leaves of a weight."""
    shrinks = [(1 - spec.l1_ratio) * spec.shrink(*pair) for pair in zip(rates, decays, strict=True)]
    numbers = [float(found) for found in re.findall(r"by (\S+) %", " ".join(lines))]
    assert math.isclose(numbers[0], 100 * shrinks[0], rel_tol=1e-5)
    if max(shrinks) >= 1:
        assert "vanish or change their sign" in lines[1]
        return
    for found, of in zip(numbers[1:], (shrinks[:count], shrinks), strict=True):
        left = math.prod(1 - shrink for shrink in of)
        assert math.isclose(found, 100 * (1 - left), rel_tol=1e-5, abs_tol=1e-9)
    halved = re.search(r"halve in (\S+) updates", " ".join(lines))
    assert (halved is not None) == (shrinks[0] > 0)
    if halved and shrinks[0] > 1e-6:
        assert math.isclose((1 - shrinks[0]) ** float(halved[1]), 0.5, rel_tol=1e-3)


specs = st.sampled_from(
    [None, AdamW(0.5, 0.1), SGDW(1e-41, weight_decay=1.0), AdamW(2.0, 0.4, weight_decay_basis="update")]
)
some_updates = st.none() | st.integers(3, 20)


def check_words(schedule: Schedule, clock: Clock, spec: Any) -> None:
    plan = Plan(Recipe(spec, learning_rate=1.0 * schedule, weight_decay=Constant(0.5)), clock)
    base, count = 1.0 if spec is None else spec.learning_rate, clock.updates_per_epoch or 1
    etas, found = walk(schedule, plan)
    values = [base * eta for eta in etas]
    check_lint(plan, schedule, values, found)
    lines = plan.explain().splitlines()
    total = len(values)
    ends = f", ending after {total} updates" if total % count else ""
    assert lines[0] == f"{-(-total // count)} epochs of {count} updates{ends}."
    assert lines[1].startswith("learning_rate")
    assert lines[1].endswith(f": {1.0 * schedule!r}")
    end = next(i for i, line in enumerate(lines) if line.startswith("weight_decay"))
    check_changes(lines[2:end], values, count)
    if spec is not None:
        begin = lines.index("weights without a gradient:") + 1
        of_shrink = lines[begin:]
        if "possible mistakes:" in of_shrink:
            of_shrink = of_shrink[: of_shrink.index("possible mistakes:")]
        check_shrink(of_shrink, spec, values, [0.5 * spec.weight_decay] * total, count)
    mistakes = lines[lines.index("possible mistakes:") + 1 :] if "possible mistakes:" in lines else []
    assert mistakes == [f"  {sentence}" for sentence in plan.lint()]


@settings(deadline=None, max_examples=300, derandomize=True)
@given(schedules, clocks, some_updates, specs)
def test_what_is_said_is_so_and_what_is_so_is_said(
    schedule: Schedule, clock: Clock, most: int | None, spec: Any
) -> None:
    check_words(schedule, replace(clock, max_updates=most), spec)
