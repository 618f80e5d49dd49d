"""Conformance with optax's schedules over whole runs and past their ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import optax
import pytest

from samestep import (
    Constant,
    CosineDecay,
    ExponentialDecay,
    LinearDecay,
    Recipe,
    Schedule,
    StepDecay,
    Warmup,
    sequence,
    updates,
)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (Constant(0.3), optax.constant_schedule(0.3)),
        (LinearDecay(over=updates(20), end=0.25), optax.linear_schedule(1.0, 0.25, 20)),
        (CosineDecay(over=updates(20), end=0.1), optax.cosine_decay_schedule(1.0, 20, alpha=0.1)),
        (ExponentialDecay(0.5, every=updates(7)), optax.exponential_decay(1.0, 7, 0.5)),
        (StepDecay(0.5, every=updates(7)), optax.exponential_decay(1.0, 7, 0.5, staircase=True)),
        (LinearDecay(over=updates(20)).after(updates(5)), optax.linear_schedule(1.0, 0.0, 20, transition_begin=5)),
        (
            sequence(Warmup(over=updates(5)), (updates(5), CosineDecay(over=updates(20)))),
            optax.warmup_cosine_decay_schedule(0.0, 1.0, 5, 25),
        ),
    ],
)
def test_every_value_is_that_of_optax(ours: Schedule, theirs: Callable[[int], Any]) -> None:
    plan = Recipe(learning_rate=ours).plan(updates_per_epoch=10, epochs=4)
    found = [plan.multiplier("learning_rate", *divmod(update, 10)) for update in range(40)]
    # optax computes in float32: two of its units in the last place, and as much of 1 where the value comes near zero.
    assert found == pytest.approx([float(theirs(update)) for update in range(40)], rel=2.4e-7, abs=1.2e-7)
