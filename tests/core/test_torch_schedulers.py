"""The shapes that name a torch scheduler as their source give its values, read from the real one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler

from samestep import CosineDecay, ExponentialDecay, LinearDecay, Schedule, StepDecay, Warmup, updates

BASE = 0.1
CASES = [
    (StepDecay(0.3, every=updates(4)), lr_scheduler.StepLR, {"step_size": 4, "gamma": 0.3}, 15),
    (ExponentialDecay(0.9, every=updates(1)), lr_scheduler.ExponentialLR, {"gamma": 0.9}, 15),
    # T_max is the last one: after it torch's learning rate rises again, and samestep's stays.
    (CosineDecay(over=updates(12), end=0.1), lr_scheduler.CosineAnnealingLR, {"T_max": 12, "eta_min": 0.1 * BASE}, 13),
    (
        LinearDecay(over=updates(7), end=0.25),
        lr_scheduler.LinearLR,
        {"start_factor": 1.0, "end_factor": 0.25, "total_iters": 7},
        15,
    ),
    (Warmup(over=updates(7), start=0.25), lr_scheduler.LinearLR, {"start_factor": 0.25, "total_iters": 7}, 15),
]


@pytest.mark.parametrize(("schedule", "scheduler", "options", "count"), CASES, ids=[repr(case[0]) for case in CASES])
def test_the_values_are_torchs(per_update, schedule: Schedule, scheduler: Any, options: Any, count: int) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=BASE)
    peer, used = scheduler(optimizer, **options), []
    for _ in range(count):
        used.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        peer.step()
    # torch multiplies the learning rate of the update before, and so adds a rounding in every update.
    assert [BASE * eta for eta in per_update(schedule, count)] == pytest.approx(used, rel=1e-12, abs=0)
