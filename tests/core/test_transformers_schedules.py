"""Every name of transformers.get_scheduler, over whole runs and past their ends.

Where transformers does something else at an edge, a test has its values beside samestep's.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import mpmath
import pytest
import torch
from transformers import SchedulerType, get_scheduler

from samestep import (
    Constant,
    CosineDecay,
    InverseSqrtDecay,
    LinearDecay,
    PolynomialDecay,
    Recipe,
    Schedule,
    Warmup,
    noam,
    sequence,
    updates,
    warmup_stable_decay,
)

from .measures import furthest, lost_in_cosine, per_update

BASE = 0.1


def run(name: str, count: int, warmup: int, total: int | None = None, **options: Any) -> list[float]:
    """The learning rate that the optimizer uses at each of `count` updates."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=BASE)
    scheduler, used = get_scheduler(name, optimizer, warmup, total, options), []
    for number in range(count):
        if number:
            optimizer.step()
            scheduler.step()
        used.append(optimizer.param_groups[0]["lr"])
    return used


def warmed(warmup: int, then: Schedule, start: float = 0.0) -> Schedule:
    return sequence(Warmup(updates(warmup), start=start), (updates(warmup), then))


def trapezoid(warmup: int, total: int, cooldown: int, **options: Any) -> Schedule:
    return warmup_stable_decay(updates(total), warmup=updates(warmup), cooldown=updates(cooldown), **options)


def rows_of_length(w: int, total: int) -> dict[str, tuple[dict[str, Any], Schedule, int]]:
    """transformers' options, samestep's schedule, and the number of updates that the two agree about."""
    left, past, cool = updates(total - w), 2 * total, total // 5
    stable = {"num_decay_steps": cool}
    # This one divides by w in the warmup, and by the rest after it, one update more than have passed.
    early = (updates(w - 1), CosineDecay(left, end=0.1))
    return {
        "constant": ({}, Constant(), past),
        "constant_with_warmup": ({}, Warmup(updates(w)), past),
        "linear": ({}, warmed(w, LinearDecay(left)), past),
        "cosine": ({}, warmed(w, CosineDecay(left)), total + 1),
        "cosine, three halves": (
            {"num_cycles": 1.5},
            warmed(
                w,
                sequence(
                    CosineDecay(left * Fraction(1, 3)),
                    (left * Fraction(1, 3), CosineDecay(left * Fraction(1, 3), end=1.0, start=0.0)),
                    (left * Fraction(2, 3), CosineDecay(left * Fraction(1, 3))),
                ),
            ),
            total + 1,
        ),
        "cosine_with_restarts": (
            {"num_cycles": 3},
            sequence(
                warmed(w, CosineDecay(left * Fraction(1, 3)).repeat(left * Fraction(1, 3))),
                (updates(total), Constant(0.0)),
            ),
            past,
        ),
        "polynomial": ({}, warmed(w, PolynomialDecay(left, end=1e-7 / BASE)), past),
        "polynomial, cubed": (
            {"power": 3.0, "lr_end": 0.002},
            warmed(w, PolynomialDecay(left, power=3.0, end=0.02)),
            past,
        ),
        "inverse_sqrt": ({}, noam(updates(w)), past),
        "inverse_sqrt, timescale": ({"timescale": 7 * w}, warmed(w, InverseSqrtDecay(updates(7 * w))), past),
        "cosine_with_min_lr": ({"min_lr": 0.01}, warmed(w, CosineDecay(left, end=0.1)), total + 1),
        "cosine_with_min_lr, rate": ({"min_lr_rate": 0.3}, warmed(w, CosineDecay(left, end=0.3)), total + 1),
        "cosine_warmup_with_min_lr": (
            {"min_lr": 0.01},
            sequence(Warmup(updates(w - 1), start=1 / w), early),
            total,
        ),
        "cosine_warmup_with_min_lr, rates": (
            {"min_lr_rate": 0.1, "warmup_lr_rate": 0.2},
            sequence(Warmup(updates(w - 1), start=0.2), early),
            total,
        ),
        "warmup_stable_decay": (stable, trapezoid(w, total, cool, anneal="cosine"), past),
        "warmup_stable_decay, linear": (
            {**stable, "decay_type": "linear", "min_lr_ratio": 0.1},
            trapezoid(w, total, cool, start=0.1, end=0.1),
            past,
        ),
        "warmup_stable_decay, 1-sqrt": (
            {**stable, "decay_type": "1-sqrt"},
            trapezoid(w, total, cool, anneal="1-sqrt"),
            past,
        ),
        "warmup_stable_decay, up as a cosine": (
            {**stable, "warmup_type": "cosine", "min_lr_ratio": 0.1},
            sequence(
                CosineDecay(updates(w), end=1.0, start=0.1),
                (updates(total - cool), CosineDecay(updates(cool), end=0.1)),
            ),
            past,
        ),
        "warmup_stable_decay, up as 1-sqrt": (
            {**stable, "warmup_type": "1-sqrt", "decay_type": "1-sqrt", "min_lr_ratio": 0.1},
            sequence(
                PolynomialDecay(updates(w), power=0.5, end=1.0, start=0.1),
                (updates(total - cool), PolynomialDecay(updates(cool), end=0.1, k_decay=0.5)),
            ),
            past,
        ),
    }


LENGTHS = ((3, 20), (13, 97), (500, 10_000))
ROWS = {
    f"{name}, {total}": (name.split(",")[0], w, total, *row)
    for w, total in LENGTHS
    for name, row in rows_of_length(w, total).items()
}


@pytest.mark.parametrize(("name", "w", "total", "options", "ours", "count"), ROWS.values(), ids=ROWS)
def test_the_learning_rates_are_those_of_transformers(
    name: str,
    w: int,
    total: int,
    options: dict[str, Any],
    ours: Schedule,
    count: int,
) -> None:
    found, used = [BASE * eta for eta in per_update(ours, count)], run(name, count, w, total, **options)
    assert furthest(found, used, lost_in_cosine(ours, BASE)) <= 1e-12


@pytest.mark.parametrize(
    ("name", "then"),
    [
        ("constant_with_warmup", Constant()),
        ("linear", LinearDecay(updates(50))),
        ("cosine", CosineDecay(updates(50))),
        ("polynomial", PolynomialDecay(updates(50), end=1e-6)),
        ("inverse_sqrt", InverseSqrtDecay(updates(10_000))),
    ],
)
def test_no_warmup_is_one_of_no_updates(name: str, then: Schedule) -> None:
    ours = [BASE * eta for eta in per_update(warmed(0, then), 51)]
    assert furthest(ours, run(name, 51, 0, 50)) <= 1e-12


def test_where_a_cosine_turns_transformers_has_lost_digits_that_ours_has() -> None:
    w, total = LENGTHS[-1]
    options, ours, count = rows_of_length(w, total)["cosine, three halves"]
    found, used = per_update(ours, count), [rate / BASE for rate in run("cosine", count, w, total, **options)]
    lost = 0.0
    with mpmath.workdps(50):
        for update in range(w, count):
            thirds = Fraction(3 * (update - w), total - w)
            if thirds not in (1, 3) and min(abs(thirds - 1), abs(thirds - 3)) < 0.01:
                exact = mpmath.cos(mpmath.pi * 3 * (update - w) / (total - w) / 2) ** 2
                assert abs(found[update] - exact) < exact * 10**-15
                assert abs(used[update] - exact) < 2**-53
                lost = max(lost, abs(used[update] - exact) / exact)
    assert lost > 10**-10


def test_the_cosine_of_transformers_rises_again_and_ours_stays() -> None:
    assert run("cosine", 7, 0, 3) == pytest.approx([0.1, 0.075, 0.025, 0.0, 0.025, 0.075, 0.1], rel=1e-12)
    ours = [BASE * eta for eta in per_update(CosineDecay(updates(3)), 7)]
    assert ours == pytest.approx([0.1, 0.075, 0.025, 0.0, 0.0, 0.0, 0.0], rel=1e-12)
    theirs = run("cosine_with_min_lr", 7, 0, 3, min_lr=0.02)
    assert theirs == pytest.approx([0.1, 0.08, 0.04, 0.02, 0.04, 0.08, 0.1], rel=1e-12)
    ours = [BASE * eta for eta in per_update(CosineDecay(updates(3), end=0.2), 7)]
    assert ours == pytest.approx([0.1, 0.08, 0.04, 0.02, 0.02, 0.02, 0.02], rel=1e-12)


def test_one_cosine_of_transformers_is_an_update_early_and_rises_within_the_run() -> None:
    """cosine_warmup_with_min_lr(w=2, N=5): the base value at update w - 1, the minimum at N - 1, more at N."""
    theirs = run("cosine_warmup_with_min_lr", 7, 2, 5, min_lr_rate=0.2)
    assert theirs == pytest.approx([0.05, 0.1, 0.08, 0.04, 0.02, 0.04, 0.08], rel=1e-12)
    ours = [BASE * eta for eta in per_update(warmed(2, CosineDecay(updates(3), end=0.2)), 7)]
    assert ours == pytest.approx([0.0, 0.05, 0.1, 0.08, 0.04, 0.02, 0.02], rel=1e-12)


def test_transformers_misses_a_restart_by_rounding_and_ours_has_it() -> None:
    """49 cycles of 2 updates: 49 * (2 / 98) is 0.9999999999999999, the end of a cycle and not the start of the next."""
    theirs = run("cosine_with_restarts", 7, 0, 98, num_cycles=49)
    assert theirs == pytest.approx([0.1, 0.05, 0.0, 0.05, 0.0, 0.05, 0.1], abs=1e-12)
    ours = [BASE * eta for eta in per_update(CosineDecay(updates(2)).repeat(updates(2)), 7)]
    assert ours == pytest.approx([0.1, 0.05, 0.1, 0.05, 0.1, 0.05, 0.1], rel=1e-12)


def test_a_run_that_is_all_warmup_fails_in_transformers_and_here_the_decay_is_said_to_be_never_reached() -> None:
    assert run("polynomial", 5, 5, 5) == pytest.approx([0.0, 0.02, 0.04, 0.06, 0.08], rel=1e-12)
    with pytest.raises(ZeroDivisionError):
        run("polynomial", 6, 5, 5)
    ours = warmed(5, PolynomialDecay(updates(95)))
    assert per_update(ours, 6) == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], rel=1e-15, abs=0)
    plan = Recipe(learning_rate=ours).plan(updates_per_epoch=5, epochs=1)
    late = f"learning_rate: {ours!r}: the next schedule, after '5 updates', is never reached: the run ends before"
    assert late in plan.lint()
    assert late not in Recipe(learning_rate=ours).plan(updates_per_epoch=6, epochs=1).lint()
    with pytest.raises(ValueError, match="expected a duration longer than zero"):
        PolynomialDecay(updates(0))


def test_the_papers_step_num_counts_from_1_and_noam_from_0() -> None:
    """Vaswani et al. 2017, equation 3: d_model ** -0.5 * min(step_num ** -0.5, step_num * warmup_steps ** -1.5)."""
    d_model, warmup = 512, 4000
    papers = [d_model**-0.5 * min(step**-0.5, step * warmup**-1.5) for step in range(1, 20_000)]
    ours = [(d_model * warmup) ** -0.5 * eta for eta in per_update(noam(updates(warmup)), 20_000)]
    assert ours[0] == 0.0
    assert furthest(ours[1:], papers) <= 1e-14
    # From the paper's first step on, without the update of learning rate 0.
    assert per_update(noam(updates(warmup)).skip("1 update"), 5000) == per_update(noam(updates(warmup)), 5001)[1:]


def test_every_name_of_transformers_is_accounted_for() -> None:
    compared = {name for name, *_ in ROWS.values()}
    follow_a_metric = {"reduce_lr_on_plateau", "greedy"}
    assert {kind.value for kind in SchedulerType} - compared == follow_a_metric
