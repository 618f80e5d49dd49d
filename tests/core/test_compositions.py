"""The well-known sequences: one cycle, warmup-stable-decay and the Transformer's."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from samestep import (
    AdamW,
    Recipe,
    Schedule,
    epochs,
    noam,
    one_cycle,
    percent,
    updates,
    warmup_stable_decay,
)

from .measures import per_update

EIGHT = updates(8)

# (schedule, eta at updates 0, 1, 2 ... of a run of 4 updates in each of 5 epochs)
ONE_CYCLE = [
    (
        one_cycle(EIGHT, peak=updates(4), start=0, end=0, anneal="linear"),
        [0.0, 0.25, 0.5, 0.75, 1.0, 0.75, 0.5, 0.25, 0.0, 0],
    ),
    (
        one_cycle(EIGHT, peak=updates(2), start=0, end=0.25, anneal="linear"),
        [0.0, 0.5, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.25],
    ),
    (one_cycle(updates(4), peak=updates(2), start=0, end=0), [0.0, 0.5, 1.0, 0.5, 0.0, 0.0]),
    (one_cycle(updates(4), peak=updates(2), start=0.5, top=2, end=0), [0.5, 1.25, 2.0, 1.0, 0.0, 0.0]),
    # The last of the eight updates has the end.
    (
        one_cycle(EIGHT, peak=updates(3), start=0.25, end=0, anneal="linear", inclusive=True),
        [0.25, 0.5, 0.75, 1.0, 0.75, 0.5, 0.25, 0.0, 0.0],
    ),
    # Momentum goes the other way, and comes back.
    (
        one_cycle(EIGHT, peak=updates(4), start=1, top=0.5, end=1, anneal="linear"),
        [1, 0.875, 0.75, 0.625, 0.5, 0.625, 0.75, 0.875, 1, 1],
    ),
    (
        one_cycle(EIGHT, peak=updates(2), start=0.5, end=0, anneal="linear", three_phase=True),
        [0.5, 0.75, 1.0, 0.75, 0.5, 0.375, 0.25, 0.125, 0.0, 0.0],
    ),
    (
        one_cycle(EIGHT, peak=updates(2), start=0.75, end=0, anneal="linear", three_phase=True, inclusive=True),
        [0.75, 0.875, 1.0, 0.875, 0.75, 0.5, 0.25, 0.0, 0.0],
    ),
    (
        one_cycle(EIGHT, peak=updates(2), start=0.5, end=0.25, three_phase=True),
        [0.5, 0.75, 1.0, 0.75, 0.5, 0.46338834764831843, 0.375, 0.28661165235168157, 0.25],
    ),
    # The peak lies at 2.4 unless given: at update 3 the way down has begun.
    (
        one_cycle(EIGHT, start=0.0, end=0.0, anneal="linear"),
        [0.0, 1 / 2.4, 2 / 2.4, 0.8928571428571429, 0.7142857142857143],
    ),
    # In every unit, and in mixed ones: of a run of 20 updates.
    (
        one_cycle(epochs(2), peak=epochs(1), start=0, end=0, anneal="linear"),
        [0.0, 0.25, 0.5, 0.75, 1.0, 0.75, 0.5, 0.25, 0.0],
    ),
    (one_cycle("40%", peak="20%", start=0, end=0, anneal="linear"), [0.0, 0.25, 0.5, 0.75, 1.0, 0.75, 0.5, 0.25, 0.0]),
    (
        one_cycle("40%", peak="1 epoch", start=0, end=0, anneal="linear"),
        [0.0, 0.25, 0.5, 0.75, 1.0, 0.75, 0.5, 0.25, 0.0],
    ),
    (
        one_cycle("2 epochs", peak="4 updates", start=0, end=0, anneal="linear"),
        [0.0, 0.25, 0.5, 0.75, 1.0, 0.75, 0.5, 0.25, 0.0],
    ),
    (
        one_cycle("100% - 3 epochs", peak="10% + 2 updates", start=0, end=0, anneal="linear"),
        [0.0, 0.25, 0.5, 0.75, 1.0, 0.75, 0.5, 0.25, 0.0],
    ),
    (
        one_cycle("40%", peak="2 updates", start=0.5, end=0, anneal="linear", three_phase=True),
        [0.5, 0.75, 1.0, 0.75, 0.5, 0.375, 0.25, 0.125, 0.0],
    ),
    # A part of which nothing is left in this run is over at once: the way up, the way down, the third phase.
    (one_cycle("40%", peak="20% - 1 epoch", start=0.5, end=0, anneal="linear"), [1 - k / 8 for k in range(9)]),
    (one_cycle("40%", peak="2 epochs", start=0, end=0.25, anneal="linear"), [k / 8 for k in range(8)] + [0.25] * 2),
    (
        one_cycle("40%", peak="1 epoch", start=0.5, end=0.25, anneal="linear", three_phase=True),
        [0.5, 0.625, 0.75, 0.875, 1.0, 0.875, 0.75, 0.625, 0.25, 0.25],
    ),
]
STABLE = [
    (
        warmup_stable_decay(EIGHT, warmup=updates(2), cooldown=updates(4)),
        [0.0, 0.5, 1.0, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0, 0.0],
    ),
    (
        warmup_stable_decay(EIGHT, warmup=updates(2), cooldown=updates(4), anneal="cosine"),
        [0.0, 0.5, 1.0, 1.0, 1.0, 0.8535533905932737, 0.5, 0.14644660940672624, 0.0, 0.0],
    ),
    (
        warmup_stable_decay(EIGHT, warmup=updates(2), cooldown=updates(4), anneal="1-sqrt"),
        [0.0, 0.5, 1.0, 1.0, 1.0, 0.5, 0.2928932188134525, 0.13397459621556135, 0.0, 0.0],
    ),
    (
        warmup_stable_decay(EIGHT, warmup=updates(2), cooldown=updates(4), start=0.5, end=0.5),
        [0.5, 0.75, 1.0, 1.0, 1.0, 0.875, 0.75, 0.625, 0.5],
    ),
    # The last of the eight updates has the end.
    (
        warmup_stable_decay(EIGHT, warmup=updates(2), cooldown=updates(3), inclusive=True),
        [0.0, 0.5, 1.0, 1.0, 1.0, 1.0, 0.5, 0.0, 0.0],
    ),
    (
        warmup_stable_decay(EIGHT, warmup=updates(2), cooldown=updates(3), anneal="cosine", inclusive=True),
        [0.0, 0.5, 1.0, 1.0, 1.0, 1.0, 0.5, 0.0, 0.0],
    ),
    (
        warmup_stable_decay(EIGHT, warmup=updates(2), cooldown=updates(5), anneal="1-sqrt", inclusive=True),
        [0.0, 0.5, 1.0, 1.0, 0.5, 0.2928932188134525, 0.13397459621556135, 0.0, 0.0],
    ),
    # No warmup, nothing stable, neither.
    (warmup_stable_decay(EIGHT, warmup=updates(0), cooldown=updates(4)), [1.0] * 5 + [0.75, 0.5, 0.25, 0.0]),
    (
        warmup_stable_decay(EIGHT, warmup=updates(4), cooldown=updates(4)),
        [0.0, 0.25, 0.5, 0.75, 1.0, 0.75, 0.5, 0.25, 0.0],
    ),
    (warmup_stable_decay(updates(4), warmup=updates(0), cooldown=updates(4)), [1.0, 0.75, 0.5, 0.25, 0.0]),
    # Stable until the run's begin, and a cooldown of which nothing is left.
    (warmup_stable_decay("20%", warmup="0%", cooldown="1 epoch"), [1.0, 0.75, 0.5, 0.25, 0.0]),
    (warmup_stable_decay(EIGHT, warmup=updates(2), cooldown="40% - 2 epochs", end=0.5), [0.0, 0.5] + [1.0] * 6 + [0.5]),
    # In every unit, and in mixed ones: of a run of 20 updates.
    (warmup_stable_decay(warmup="10%", cooldown="20%"), [0.0, 0.5] + [1.0] * 15 + [0.75, 0.5, 0.25, 0.0]),
    (warmup_stable_decay(warmup="2 updates", cooldown="1 epoch"), [0.0, 0.5] + [1.0] * 15 + [0.75, 0.5, 0.25, 0.0]),
    (
        warmup_stable_decay("2 epochs", warmup="2 updates", cooldown="20%"),
        [0.0, 0.5, 1.0, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0],
    ),
    # The way down begins at 5.5 and is 2.5 long.
    (
        warmup_stable_decay(EIGHT, warmup=updates(2), cooldown=updates("2.5")),
        [0.0, 0.5, 1.0, 1.0, 1.0, 1.0, 0.8, 0.4, 0.0],
    ),
]
NOAM = [
    (
        noam(updates(4)),
        [0.0, 0.25, 0.5, 0.75, 1.0, 1 / math.sqrt(1.25), 1 / math.sqrt(1.5), 1 / math.sqrt(1.75), 1 / math.sqrt(2)],
    ),
    (noam(epochs(1)), [0.0, 0.25, 0.5, 0.75] + [1.0 / math.sqrt(t / 4) for t in range(4, 20)]),
    (noam(percent(5)), [0.0, 1.0, 1 / math.sqrt(2), 1 / math.sqrt(3), 0.5]),
]
ALL = [*ONE_CYCLE, *STABLE, *NOAM]


@pytest.mark.parametrize(("schedule", "expected"), ALL, ids=[repr(schedule) for schedule, _ in ALL])
def test_values_at_each_update(schedule: Schedule, expected: list[float]) -> None:
    assert per_update(schedule, len(expected), updates_per_epoch=4, epochs=5) == expected


@pytest.mark.parametrize("anneal", ["cosine", "linear"])
@pytest.mark.parametrize("three_phase", [False, True])
@pytest.mark.parametrize("inclusive", [False, True])
def test_one_cycle_goes_up_once_and_down_once_and_stays(anneal: Any, three_phase: bool, inclusive: bool) -> None:
    schedule = one_cycle(start=0.5, end=0.25, anneal=anneal, three_phase=three_phase, inclusive=inclusive)
    eta = per_update(schedule, 130, updates_per_epoch=10, epochs=10)
    assert eta[0] == 0.5
    assert (eta.index(1.0), eta.count(1.0)) == (30, 1)
    assert eta.index(0.25) == (99 if inclusive else 100)
    assert set(eta[100:]) == {0.25}
    assert all(a < b for a, b in pairwise(eta[:31]))
    assert all(a > b for a, b in pairwise(eta[30:100]))
    assert (eta[60] == 0.5) is three_phase


def test_momentum_goes_the_other_way_at_the_same_updates() -> None:
    recipe = Recipe(
        AdamW(betas=(0.96, 0.999)),
        learning_rate=one_cycle(EIGHT, peak=updates(2)),
        momentum=one_cycle(EIGHT, peak=updates(2), start=1, top=0.875, end=1),
    )
    plan = recipe.plan(updates_per_epoch=5, epochs=2)
    rates, momenta = plan.values("learning_rate"), plan.values("momentum")
    assert [momenta[i] for i in (0, 2, 8, 9)] == [0.96, 0.84, 0.96, 0.96]
    assert rates.index(max(rates)) == momenta.index(min(momenta)) == 2
    assert all((a < b) is (c > d) for (a, b), (c, d) in zip(pairwise(rates[:9]), pairwise(momenta[:9]), strict=True))


@pytest.mark.parametrize("shape", [one_cycle(), warmup_stable_decay(warmup="5%", cooldown="20%"), noam("2 epochs")])
def test_they_are_values_made_of_public_parts(shape: Schedule) -> None:
    namespace: dict[str, object] = {}
    exec("from samestep import *", namespace)
    assert eval(repr(shape), namespace) == shape
    assert Schedule.from_dict(shape.to_dict()) == shape


REFUSED = [
    (
        lambda: one_cycle(anneal="sine"),
        ValueError,
        "one_cycle: found anneal='sine'; expected one of 'cosine', 'linear'.",
    ),
    (lambda: one_cycle(5), TypeError, "one_cycle: over: found the bare number 5; expected a duration"),
    (lambda: one_cycle(peak=0.3), TypeError, "one_cycle: peak: found the bare number 0.3; expected a duration"),
    (
        lambda: warmup_stable_decay(warmup="1%", cooldown="1%", anneal="sqrt"),
        ValueError,
        "warmup_stable_decay: found anneal='sqrt'; expected one of 'linear', 'cosine', '1-sqrt'.",
    ),
    (
        lambda: warmup_stable_decay(warmup="1%", cooldown="1%", anneal=["linear"]),
        ValueError,
        "warmup_stable_decay: found anneal=['linear']; expected one of 'linear', 'cosine', '1-sqrt'.",
    ),
    (
        lambda: warmup_stable_decay(warmup=5, cooldown="1%"),
        TypeError,
        "warmup_stable_decay: warmup: found the bare number 5; expected a duration",
    ),
    (
        lambda: warmup_stable_decay(warmup="1%", cooldown=None),
        TypeError,
        "warmup_stable_decay: cooldown: found None (NoneType); expected a duration",
    ),
    (
        lambda: warmup_stable_decay(warmup="1%", cooldown="0 epochs"),
        ValueError,
        "warmup_stable_decay: found cooldown=epochs(0); expected a duration longer than zero.",
    ),
    (
        lambda: warmup_stable_decay("8 updates", warmup="4 updates", cooldown="5 updates"),
        ValueError,
        "warmup_stable_decay: found warmup=updates(4), cooldown=updates(5) and over=updates(8); expected a cooldown "
        "that begins after the warmup.",
    ),
    (
        lambda: warmup_stable_decay(warmup="1%", cooldown="1%", start=-1),
        ValueError,
        "warmup_stable_decay: found start=-1; expected a multiplier of at least 0.",
    ),
    (
        lambda: warmup_stable_decay(warmup="1%", cooldown="1%", end="0"),
        TypeError,
        "warmup_stable_decay: end: found '0' (str); expected a number.",
    ),
    (
        lambda: warmup_stable_decay(warmup="1%", cooldown="1%", inclusive=1),
        TypeError,
        "warmup_stable_decay: found inclusive=1; expected True or False.",
    ),
    (lambda: one_cycle(top=-1), ValueError, "one_cycle: found top=-1; expected a multiplier of at least 0."),
    (lambda: one_cycle(end=float("nan")), ValueError, "one_cycle: end: found nan; expected a finite number."),
    (lambda: one_cycle(inclusive=None), TypeError, "one_cycle: found inclusive=None; expected True or False."),
    (lambda: noam(updates(0)), ValueError, "noam: found warmup=epochs(0); expected a duration longer than zero."),
    (lambda: noam(4000), TypeError, "noam: warmup: found the bare number 4000; expected a duration"),
]


@pytest.mark.parametrize(("make", "error", "words"), REFUSED, ids=[words.split(";")[0] for _, _, words in REFUSED])
def test_a_bad_argument_is_refused_by_name(make: Callable[[], object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(words)}"):
        make()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        # The way down would begin before the way up is over.
        (
            lambda: warmup_stable_decay("2 epochs", warmup="4 updates", cooldown="5 updates"),
            "sequence: found the times 4 updates, 2 epochs - 5 updates",
        ),
        (
            lambda: warmup_stable_decay(warmup="1 epoch", cooldown="9 epochs"),
            "'100% - 9 epochs' is -16 updates in this run",
        ),
        (lambda: one_cycle("39%", peak="2 epochs"), "'39% - 2 epochs' is -1/5 updates in this run"),
        (lambda: one_cycle("39%", peak="1 epoch", three_phase=True), "'39% - 2 epochs' is -1/5 updates in this run"),
        (lambda: noam("40% - 2 epochs"), "'40% - 2 epochs' is zero in this run, where a length is needed"),
    ],
)
def test_parts_that_do_not_fit_are_refused_when_planned(make: Callable[[], Schedule], words: str) -> None:
    schedule = make()
    with pytest.raises(ValueError, match=f"^the learning_rate schedule: {re.escape(words)}"):
        Recipe(learning_rate=schedule).plan(updates_per_epoch=4, epochs=5)


def test_a_cooldown_that_fits_in_no_run_is_refused_when_made() -> None:
    words = "warmup_stable_decay: found cooldown=updates(9) and over=updates(8); expected a shorter cooldown."
    with pytest.raises(ValueError, match=f"^{re.escape(words)}$"):
        warmup_stable_decay("8 updates", warmup="1 update", cooldown="9 updates")


@pytest.mark.parametrize(
    ("peak", "three_phase", "where"),
    [
        (9, False, "before the end"),
        (8, False, "before the end"),
        (0, False, "before the end"),
        (5, True, "in the first half"),
        (4, True, "in the first half"),
        (0, True, "in the first half"),
    ],
)
def test_a_peak_that_fits_in_no_run_is_refused_when_made(peak: int, three_phase: bool, where: str) -> None:
    words = f"found peak={updates(peak)!r} and over=updates(8); expected a peak after the start and {where}."
    with pytest.raises(ValueError, match=f"^one_cycle: {re.escape(words)}$"):
        one_cycle("8 updates", peak=updates(peak), three_phase=three_phase)
