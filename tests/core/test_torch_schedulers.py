"""Every torch scheduler that is a function of time, over whole runs and past their ends, as a torch user gets it.

Where torch does something else at an edge, a test has its values beside samestep's.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler as lrs

from samestep import (
    Constant,
    CosineDecay,
    ExponentialDecay,
    InverseTimeDecay,
    LinearDecay,
    MultiStepDecay,
    PolynomialDecay,
    Schedule,
    StepDecay,
    Triangular,
    Warmup,
    one_cycle,
    sequence,
    updates,
)

from .measures import furthest, lost_in_cosine, per_update

BASE = 0.1
LENGTHS = (5, 97, 10_000)


def run(peer: Any, count: int, read: str = "lr", kind: Any = torch.optim.SGD) -> list[float]:
    """What the optimizer uses at each of `count` updates: its "lr", its "momentum", or the first of its "betas"."""
    optimizer = kind([torch.zeros(1, requires_grad=True)], lr=BASE)
    scheduler, used = peer(optimizer), []
    for number in range(count):
        if number:
            optimizer.step()
            scheduler.step()
        value = optimizer.param_groups[0][read]
        used.append(value[0] if read == "betas" else value)
    return used


def times(*numbers: int) -> list[Any]:
    return [updates(number) for number in numbers]


# name: (torch's, samestep's, updates); the learning rate is BASE where torch has no other.
ROWS = {
    "StepLR": (lambda o: lrs.StepLR(o, 4, 0.3), StepDecay(0.3, every=updates(4)), 100),
    "StepLR, long": (lambda o: lrs.StepLR(o, 97, 0.9), StepDecay(0.9, every=updates(97)), 10_000),
    "MultiStepLR": (lambda o: lrs.MultiStepLR(o, [3, 7, 31], 0.3), MultiStepDecay(0.3, times(3, 7, 31)), 100),
    "MultiStepLR, one twice": (lambda o: lrs.MultiStepLR(o, [7, 3, 7], 0.3), MultiStepDecay(0.3, times(3, 7, 7)), 20),
    "ExponentialLR": (lambda o: lrs.ExponentialLR(o, 0.9), ExponentialDecay(0.9, every=updates(1)), 100),
    "ExponentialLR, long": (lambda o: lrs.ExponentialLR(o, 0.999), ExponentialDecay(0.999, every=updates(1)), 10_000),
    "MultiplicativeLR": (
        lambda o: lrs.MultiplicativeLR(o, lambda epoch: 0.999),
        ExponentialDecay(0.999, every=updates(1)),
        10_000,
    ),
    "LambdaLR as the legacy decay=": (
        lambda o: lrs.LambdaLR(o, lambda epoch: 1.0 / (1.0 + 0.01 * epoch)),
        InverseTimeDecay(0.01, every=updates(1)),
        10_000,
    ),
    "SequentialLR: warmup, cosine": (
        lambda o: lrs.SequentialLR(o, [lrs.LinearLR(o, 0.1, 1.0, 7), lrs.CosineAnnealingLR(o, 40)], [7]),
        sequence(Warmup(updates(7), start=0.1), (updates(7), CosineDecay(updates(40)))),
        48,
    ),
    "SequentialLR: three": (
        lambda o: lrs.SequentialLR(
            o, [lrs.ConstantLR(o, 0.2, 3), lrs.PolynomialLR(o, 30, 2.0), lrs.StepLR(o, 4, 0.5)], [5, 40]
        ),
        sequence(
            sequence(Constant(0.2), (updates(3), Constant())),
            (updates(5), PolynomialDecay(updates(30), power=2.0)),
            (updates(40), StepDecay(0.5, every=updates(4))),
        ),
        100,
    ),
    "ChainedScheduler: warmup * exponential": (
        lambda o: lrs.ChainedScheduler([lrs.LinearLR(o, 0.1, 1.0, 7), lrs.ExponentialLR(o, 0.99)]),
        Warmup(updates(7), start=0.1) * ExponentialDecay(0.99, every=updates(1)),
        1000,
    ),
    "ChainedScheduler: three": (
        lambda o: lrs.ChainedScheduler(
            [lrs.ConstantLR(o, 0.1, 4), lrs.MultiStepLR(o, [9, 31], 0.3), lrs.CosineAnnealingLR(o, 97)]
        ),
        MultiStepDecay(10, times(4)) * 0.1 * MultiStepDecay(0.3, times(9, 31)) * CosineDecay(updates(97)),
        98,
    ),
    "CyclicLR": (
        lambda o: lrs.CyclicLR(o, 0.01, BASE, 3, 8, cycle_momentum=False),
        Triangular(up=updates(3), down=updates(8), start=0.1),
        1000,
    ),
    "CyclicLR, as long down as up": (
        lambda o: lrs.CyclicLR(o, 0.01, BASE, 2000, cycle_momentum=False),
        Triangular(up=updates(2000), start=0.1),
        10_000,
    ),
    "CyclicLR, between updates": (
        lambda o: lrs.CyclicLR(o, 0.01, BASE, 2.5, 4.25, cycle_momentum=False),
        Triangular(up=updates(2.5), down=updates(4.25), start=0.1),
        300,
    ),
    "CyclicLR triangular2": (
        lambda o: lrs.CyclicLR(o, 0.01, BASE, 5, 2, mode="triangular2", cycle_momentum=False),
        Triangular(up=updates(5), down=updates(2), start=0.1, mode="triangular2"),
        1000,
    ),
    "CyclicLR exp_range": (
        lambda o: lrs.CyclicLR(o, 0.01, BASE, 5, 8, mode="exp_range", gamma=0.99, cycle_momentum=False),
        Triangular(up=updates(5), down=updates(8), start=0.1, mode="exp_range", gamma=0.99),
        1000,
    ),
}


def rows_of_length(length: int) -> dict[str, tuple[Any, Schedule, int]]:
    over = updates(length)
    return {
        "ConstantLR": (
            lambda o: lrs.ConstantLR(o, 1 / 3, length),
            sequence(Constant(1 / 3), (over, Constant())),
            2 * length,
        ),
        "LinearLR": (lambda o: lrs.LinearLR(o, 0.25, 1.0, length), LinearDecay(over, start=0.25, end=1.0), 2 * length),
        "LinearLR as a warmup": (lambda o: lrs.LinearLR(o, 0.01, 1.0, length), Warmup(over, start=0.01), 2 * length),
        "LinearLR to 0": (lambda o: lrs.LinearLR(o, 1.0, 0.0, length), LinearDecay(over), 2 * length),
        "PolynomialLR": (lambda o: lrs.PolynomialLR(o, length), PolynomialDecay(over), 2 * length),
        "PolynomialLR squared": (
            lambda o: lrs.PolynomialLR(o, length, 2.0),
            PolynomialDecay(over, power=2.0),
            2 * length,
        ),
        "PolynomialLR root": (lambda o: lrs.PolynomialLR(o, length, 0.5), PolynomialDecay(over, power=0.5), 2 * length),
        # `length` is the last one of a cosine that torch and samestep agree about; after it torch's rises again.
        "CosineAnnealingLR": (lambda o: lrs.CosineAnnealingLR(o, length), CosineDecay(over), length + 1),
        "CosineAnnealingLR eta_min": (
            lambda o: lrs.CosineAnnealingLR(o, length, eta_min=0.1 * BASE),
            CosineDecay(over, end=0.1),
            length + 1,
        ),
        **{
            f"CosineAnnealingWarmRestarts T_mult={growth}": (
                lambda o, growth=growth: lrs.CosineAnnealingWarmRestarts(o, length, growth, eta_min=0.1 * BASE),
                CosineDecay(over, end=0.1).repeat(over, growth=growth),
                min(60 * length, 40_000),
            )
            for growth in (1, 2, 3)
        },
        "CosineAnnealingWarmRestarts to 0": (
            lambda o: lrs.CosineAnnealingWarmRestarts(o, length, 2),
            CosineDecay(over).repeat(over, growth=2),
            min(60 * length, 40_000),
        ),
    }


ROWS |= {f"{name}, {length}": row for length in LENGTHS for name, row in rows_of_length(length).items()}


@pytest.mark.parametrize(("peer", "ours", "count"), ROWS.values(), ids=ROWS)
def test_the_learning_rates_are_torchs(peer: Any, ours: Schedule, count: int) -> None:
    found = [BASE * eta for eta in per_update(ours, count)]
    assert furthest(found, run(peer, count), lost_in_cosine(ours, BASE)) <= 1e-12


def torchs_one_cycle(total: int, pct_start: float, anneal: str, **options: Any) -> Any:
    return lambda o: lrs.OneCycleLR(o, BASE, total, pct_start=pct_start, anneal_strategy=anneal, **options)


@pytest.mark.parametrize("anneal", ["cosine", "linear"])
@pytest.mark.parametrize("three_phase", [False, True])
@pytest.mark.parametrize(("total", "pct_start"), [(10, 0.4), (97, 0.3), (10_000, 0.123)])
@pytest.mark.parametrize(("kind", "read"), [(torch.optim.SGD, "momentum"), (torch.optim.Adam, "betas")])
def test_one_cycle_is_torchs_and_cycles_the_momentum_inversely(
    anneal: Any,
    three_phase: bool,
    total: int,
    pct_start: float,
    kind: Any,
    read: str,
) -> None:
    peer = torchs_one_cycle(total, pct_start, anneal.removesuffix("ine"), three_phase=three_phase)
    over, peak = updates(total - 1), updates(Fraction(str(pct_start)) * total - 1)
    learning_rate = one_cycle(over, peak=peak, anneal=anneal, three_phase=three_phase)
    momentum = one_cycle(over, peak=peak, start=1.0, top=0.85 / 0.95, end=1.0, anneal=anneal, three_phase=three_phase)
    ours, torchs = [BASE * eta for eta in per_update(learning_rate, total)], run(peer, total, "lr", kind)
    assert furthest([0.95 * eta for eta in per_update(momentum, total)], run(peer, total, read, kind)) <= 1e-12
    assert furthest(ours[:-1], torchs[:-1], lost_in_cosine(learning_rate, BASE)) <= 1e-12
    # At its end torch computes (end - start) * 1 + start, which leaves 4e-7 the last digits of 0.1.
    assert ours[-1] == pytest.approx(4e-7, rel=1e-15, abs=0)
    straight_down = anneal == "linear" and not three_phase
    assert torchs[-1] == pytest.approx(3.999999999976e-7 if straight_down else 4e-7, rel=1e-12, abs=0)


@pytest.mark.parametrize(
    ("mode", "gamma"), [("triangular", 1.0), ("triangular2", 1.0), ("exp_range", 0.99)], ids=lambda value: str(value)
)
def test_a_cyclical_momentum_is_torchs(mode: Any, gamma: float) -> None:
    """The base value is the low point, and the schedule starts above it: at 0.9 of 0.8."""
    used = run(lambda o: lrs.CyclicLR(o, 0.01, BASE, 5, 8, mode=mode, gamma=gamma), 1000, "momentum")
    ours = Triangular(up=updates(5), down=updates(8), start=0.9 / 0.8, mode=mode, gamma=gamma)
    assert furthest([0.8 * eta for eta in per_update(ours, 1000)], used) <= 1e-12


def test_torchs_cosine_rises_again_and_ours_stays() -> None:
    torchs = run(lambda o: lrs.CosineAnnealingLR(o, 3, eta_min=0.02), 10)
    assert torchs == pytest.approx([0.1, 0.08, 0.04, 0.02, 0.04, 0.08, 0.1, 0.08, 0.04, 0.02], rel=1e-12)
    ours = [BASE * eta for eta in per_update(CosineDecay(updates(3), end=0.2), 10)]
    assert ours == pytest.approx([0.1, 0.08, 0.04, *[0.02] * 7], rel=1e-12)


def test_torchs_one_cycle_goes_past_its_end_and_then_raises_and_ours_stays() -> None:
    peer = torchs_one_cycle(5, 0.4, "linear", final_div_factor=1.0)
    assert run(peer, 6) == pytest.approx([0.004, 0.1, 0.068, 0.036, 0.004, -0.028], rel=1e-12)
    with pytest.raises(ValueError, match="Tried to step 6 times"):
        run(peer, 7)
    ours = one_cycle(updates(4), peak=updates(1), start=0.04, end=0.04, anneal="linear")
    found = [BASE * eta for eta in per_update(ours, 7)]
    assert found == pytest.approx([0.004, 0.1, 0.068, 0.036, 0.004, 0.004, 0.004], rel=1e-12)


def test_torchs_line_may_miss_its_end_of_0_and_ours_has_it() -> None:
    torchs = run(lambda o: lrs.LinearLR(o, 0.3, 0.0, 12), 30)
    ours = [BASE * eta for eta in per_update(LinearDecay(updates(12), start=0.3, end=0.0), 30)]
    assert ours[:12] == pytest.approx(torchs[:12], rel=1e-12, abs=0)
    assert ours[12:] == [0.0] * 18
    assert len(set(torchs[12:])) == 1
    assert 0 < abs(torchs[12]) < 1e-16  # of sums, products and quotients of Python's floats, everywhere the same


def test_torch_cannot_start_from_0_and_we_can() -> None:
    with pytest.raises(ZeroDivisionError):
        run(lambda o: lrs.ConstantLR(o, 0.0, 2), 3)
    with pytest.raises(ValueError, match="Starting multiplicative factor expected to be greater than 0"):
        run(lambda o: lrs.LinearLR(o, 0.0, 1.0, 2), 3)
    assert per_update(sequence(Constant(0.0), (updates(2), Constant())), 3) == [0.0, 0.0, 1.0]
    assert per_update(Warmup(updates(2)), 3) == [0.0, 0.5, 1.0]


def test_a_milestone_between_two_updates_never_comes_in_torch_and_is_the_next_update_here() -> None:
    assert run(lambda o: lrs.MultiStepLR(o, [4.5], 0.5), 7) == [BASE] * 7
    assert per_update(MultiStepDecay(0.5, times(4.5)), 7) == [1.0] * 5 + [0.5] * 2


def test_torch_misses_a_restart_when_told_the_epoch_and_ours_has_it_at_any_position() -> None:
    scheduler = lrs.CosineAnnealingWarmRestarts(torch.optim.SGD([torch.zeros(1)], lr=1.0), 10, 10)
    found = []
    for epoch in (109, 110, 1109, 1110):
        scheduler.step(epoch)
        found.append(scheduler.get_last_lr()[0])
    ours = per_update(CosineDecay(updates(10)).repeat(updates(10), growth=10), 1111)
    assert found[:3] == pytest.approx([ours[109], 1.0, ours[1109]], rel=1e-12)
    # By the C library's logarithm, that of 1000 to the base 10 is 2.9999999999999996.
    assert (found[3], ours[1110]) == (0.0 if math.log(1000, 10) < 3 else 1.0, 1.0)


def test_torchs_cycles_lose_digits_as_they_pass_and_ours_do_not() -> None:
    count = 20_000
    torchs = run(lambda o: lrs.CyclicLR(o, 0.001, BASE, 1, 2, cycle_momentum=False), count)
    ours = [BASE * eta for eta in per_update(Triangular(up=updates(1), down=updates(2), start=0.01), count)]
    heights = [Fraction(n, 2) for n in (0, 2, 1)]
    exact = [float(Fraction("0.001") + Fraction("0.099") * heights[t % 3]) for t in range(count)]
    assert furthest(ours, exact) < 1e-15
    assert furthest(torchs, exact) > 1e-12
    assert furthest(ours[:300], torchs[:300]) <= 1e-12


def test_every_scheduler_of_torch_is_accounted_for() -> None:
    compared = {name.split(":")[0].split(",")[0].split(" ")[0] for name in ROWS} | {"OneCycleLR"}
    assert set(lrs.__all__) - compared == {"LRScheduler", "ReduceLROnPlateau"}  # the base class; follows a metric
