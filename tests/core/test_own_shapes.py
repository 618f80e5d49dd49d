"""A shape of the user's own: its fields are checked, its durations are known, and its values are looked at."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import pytest

from samestep import (
    AdamW,
    Constant,
    Duration,
    DurationLike,
    Plan,
    Recipe,
    Schedule,
    StepDecay,
    Table,
    epochs,
    updates,
)
from samestep.core.schedules.ticks import Curve, Ticks


@dataclass(frozen=True, repr=False)
class Options(Schedule):
    """Each kind of field that may be left out."""

    number: float | None = None
    length: DurationLike | None = None
    many: tuple[float, ...] | None = None
    mode: Literal["up", "down"] | None = None
    switch: bool | None = None
    inner: Schedule | None = None

    def curve(self, ticks: Ticks) -> Curve:
        return lambda t: 1.0


def test_a_field_that_may_be_left_out_is_converted_as_any_other() -> None:
    assert Options() == Options(None, None, None, None, None, None)
    found = Options(1, "5 epochs", [1, 2], "up", True, Constant())
    assert repr(found) == (
        "Options(number=1.0, length=epochs(5), many=(1.0, 2.0), mode='up', switch=True, inner=Constant())"
    )
    assert Schedule.from_dict(found.to_dict()) == found
    assert hash(Schedule.from_dict(Options().to_dict())) == hash(Options())


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Options(number="1"), TypeError, "Options.number: found '1' (str); expected a number."),
        (lambda: Options(number=math.nan), ValueError, "Options.number: found nan; expected a finite number."),
        (lambda: Options(length=5), TypeError, "Options.length: found the bare number 5; expected a duration"),
        (lambda: Options(many=1.0), TypeError, "Options.many: found 1.0 (float); expected a list."),
        (lambda: Options(many=[1, "2"]), TypeError, "Options.many: found '2' (str); expected a number."),
        (lambda: Options(mode="side"), ValueError, "Options.mode: found 'side'; expected one of 'up', 'down'."),
        (lambda: Options(switch=1), TypeError, "Options.switch: found 1 (int); expected True or False."),
        (lambda: Options(inner=0.5), TypeError, "Options.inner: found 0.5 (float); expected a schedule, such as "),
    ],
)
def test_a_field_that_may_be_left_out_is_checked_as_any_other(
    make: Callable[[], object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=f"^{re.escape(words)}"):
        make()


@dataclass(frozen=True, repr=False)
class Undeclared(Schedule):
    """A shape that asks for a duration of which its `durations` say nothing, unless `declared`."""

    declared: bool

    def durations(self) -> Iterator[Duration]:
        yield from super().durations()
        if self.declared:
            yield epochs("1.5")

    def curve(self, ticks: Ticks) -> Curve:
        length = ticks("1.5 epochs")
        return lambda t: 1.0 + t // length


def test_a_duration_that_is_not_declared_is_refused_with_the_remedy() -> None:
    assert Recipe(learning_rate=Undeclared(True)).plan(4, 3).multipliers("learning_rate", 0, 12, every=5) == [1, 1, 2]
    words = (
        "the learning_rate schedule: found '1.5 epochs', which the schedule's durations() does not yield; "
        "yield it there as well."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(words)}$"):
        Recipe(learning_rate=Undeclared(False)).plan(4, 3)


@dataclass(frozen=True, repr=False)
class Falling(Schedule):
    """1 at first and negative from `zero` on."""

    zero: DurationLike

    def curve(self, ticks: Ticks) -> Curve:
        zero = ticks.length(self.zero)
        return lambda t: 1.0 - t / zero


@pytest.mark.parametrize("name", ["learning_rate", "weight_decay", "momentum"])
def test_a_negative_value_is_refused_where_it_is_asked_for(name: str) -> None:
    recipe = Recipe(AdamW(0.5, weight_decay=0.5, betas=(0.5, 0.999)), **{name: Falling("4 updates")})
    plan = recipe.plan(updates_per_epoch=3, epochs=2)
    assert plan.value(name, 1, 1) == plan.between(name, 0, 5)[-1] == 0.0
    words = rf"^the {name} at epoch 1, update 2 is -0\.125; expected a value of at least 0 "
    asked: list[Callable[[], object]] = [
        lambda: plan.value(name, 1, 2),
        lambda: plan.values(name, 1),
        lambda: plan.values(name),
        lambda: plan.between(name, 2, 6),
        lambda: plan.columns(name, 0, 6, [0.25, 0.5]),
        lambda: plan.check(name),
    ]
    for ask in asked:
        with pytest.raises(ValueError, match=words):
            ask()
    assert [sentence for sentence in plan.lint() if "expected" in sentence] == [
        f"the {name} at epoch 1, update 2 is -0.125; expected a value of at least 0 "
        + ("and below 1." if name == "momentum" else "that a float can hold, as .at_most(...) makes it.")
    ]
    recipe.plan(updates_per_epoch=5, epochs=1).check(name)  # the run's last update, 4, has 0


@pytest.mark.parametrize("bad", [Table([1, 3], every=updates(149_999)), Falling("149998.5 updates")])
def test_a_check_looks_at_the_last_update_of_a_run_that_it_samples(bad: Schedule) -> None:
    recipe = Recipe(AdamW(betas=(0.5, 0.999)), momentum=bad)
    recipe.plan(updates_per_epoch=149_999, epochs=1).check("momentum")
    with pytest.raises(ValueError, match=r"^the momentum at epoch 0, update 149999 is .*; expected a value of at"):
        recipe.plan(updates_per_epoch=150_000, epochs=1).check("momentum")


@dataclass(frozen=True, repr=False)
class Stairs(Schedule):
    """A staircase that counts how often it is asked which durations it has."""

    asked: ClassVar[list[int]] = [0]
    _stepwise: ClassVar[bool] = True

    def durations(self) -> Iterator[Duration]:
        self.asked[0] += 1
        yield epochs(1)

    def curve(self, ticks: Ticks) -> Curve:
        return lambda t: 1.0


def test_whether_a_value_can_change_within_epochs_is_found_once() -> None:
    plan = Recipe(AdamW(), learning_rate=Stairs()).plan(updates_per_epoch=5, epochs=100)
    before = Stairs.asked[0]
    for epoch in range(100):
        plan.values("learning_rate", epoch)
    assert plan.constant_within_epochs("learning_rate")
    assert Stairs.asked[0] == before + 1


@pytest.mark.parametrize("growing", [StepDecay(10.0, every=epochs(1)), Constant().repeat(epochs(1), decay=10.0)])
def test_an_upper_bound_also_bounds_what_no_float_can_hold(growing: Schedule) -> None:
    def plan(schedule: Schedule) -> Plan:
        return Recipe(learning_rate=schedule).plan(updates_per_epoch=1, epochs=400)

    bounded = plan(growing.at_most(2))
    assert bounded.values("learning_rate", base=0.5) == [0.5] + [1.0] * 399
    assert plan(growing.at_most(2).at_least(0.5) * 3).multiplier("learning_rate", 399) == 6.0
    assert bounded.multiplier("learning_rate", 10**9) == 2.0
    with pytest.raises(ValueError, match="epoch 309, update 0: the value is too large for a float"):
        plan(growing).multiplier("learning_rate", 309)
    assert plan(growing).between("learning_rate", 0, 3, base=updates(3).updates) == [3.0, 30.0, 300.0]
