"""The values that updates really use under every precision, and under a loss scaler that skips some of them."""

from __future__ import annotations

from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins import MixedPrecision

from samestep import SGDW, AdamW, LinearDecay, NAdamW, Position, Recipe, StepDecay, updates
from samestep.lightning import HyperparameterScheduler, build_optimizer

from .tiny_training import sgd, train

HALVED = Recipe(learning_rate=StepDecay(0.5, every=updates(1)))
FUSED = {
    "adamw": lambda module: torch.optim.AdamW(module.parameters(), lr=1.0, weight_decay=0.5, fused=True),
    "adam": lambda module: torch.optim.Adam(module.parameters(), lr=1.0, fused=True),
    "adamw tensor": lambda module: torch.optim.AdamW(module.parameters(), lr=torch.tensor(1.0), fused=True),
    "adagrad": lambda module: torch.optim.Adagrad(module.parameters(), lr=1.0, fused=True),
    "sgd": lambda module: torch.optim.SGD(module.parameters(), lr=1.0, fused=True),
}


class Overflow(pl.Callback):
    """Makes the gradient infinite in some batches of every epoch."""

    def __init__(self, *batches: int) -> None:
        self.batches = batches

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        pl_module.gradient = float("inf") if batch_idx in self.batches else 1.0


def scaled() -> MixedPrecision:
    return MixedPrecision("16-mixed", "cpu", scaler=torch.amp.GradScaler("cpu", init_scale=2.0**10))


@pytest.mark.parametrize("name", FUSED)
@pytest.mark.parametrize("overflow", [(), (0,), (2,), (1, 2, 4)], ids=str)
def test_an_update_that_a_fused_kernel_skips_is_no_position_of_the_plan(name: str, overflow: tuple[int, ...]) -> None:
    run = train(FUSED[name], Overflow(*overflow), HyperparameterScheduler(HALVED), epochs=2, plugins=scaled())
    made = 5 - len(overflow)
    assert run.positions() == [Position(epoch, update) for epoch in range(2) for update in range(made)]
    # Per epoch the plan goes on from where it would be had no update been skipped.
    expected = [0.5 ** (5 * epoch + update) for epoch in range(2) for update in range(made)]
    assert run.trace.column("learning_rate") == expected
    if name == "sgd":
        moved = [-left[0] for left in run.module.left]
        skipped = [batch in overflow for _ in range(2) for batch in range(5)]
        assert [rate for rate, skip in zip(moved, skipped, strict=True) if skip] == [0.0] * skipped.count(True)
        assert [rate for rate, skip in zip(moved, skipped, strict=True) if not skip] == expected


@pytest.mark.parametrize("precision", ["32-true", "64-true", "bf16-true", "16-true", "bf16-mixed", "16-mixed"])
@pytest.mark.parametrize("fused", [False, True])
def test_stock_sgd_uses_the_planned_learning_rates_under_every_precision(precision: str, fused: bool) -> None:
    def sgd(module: torch.nn.Module) -> torch.optim.Optimizer:
        return torch.optim.SGD(module.parameters(), lr=1.0, fused=fused)

    how = {"plugins": scaled()} if precision == "16-mixed" else {"precision": precision}
    run = train(sgd, HyperparameterScheduler(HALVED), batches=4, epochs=2, **how)
    expected = [2.0**-update for update in range(8)]
    assert [-left[0] for left in run.module.left] == expected
    assert run.trace.column("learning_rate") == expected


@pytest.mark.parametrize("precision", ["32-true", "64-true", "bf16-true", "bf16-mixed", "16-mixed"])
@pytest.mark.parametrize("kind", [AdamW, NAdamW, SGDW])
def test_built_optimizers_shrink_the_weights_as_planned_under_every_precision(kind: Any, precision: str) -> None:
    """Powers of two, which bfloat16 has too: 1 - learning_rate * weight_decay is exact down to 1 - 2**-7."""
    spec = kind(learning_rate=0.5, weight_decay=1.0)
    how = {"plugins": scaled()} if precision == "16-mixed" else {"precision": precision}
    scheduler = HyperparameterScheduler(Recipe(spec, learning_rate=StepDecay(0.5, every=updates(1))))
    run = train(lambda m: build_optimizer(spec, m), scheduler, batches=3, epochs=2, gradient=0.0, **how)
    assert run.kept() == [1 - 2.0 ** -(1 + update) for update in range(6)]


@pytest.mark.parametrize("precision", ["64-true", "bf16-true"])
def test_the_module_has_the_precision_that_was_asked_for(precision: str) -> None:
    run = train(sgd(1.0), HyperparameterScheduler(HALVED), precision=precision)
    wanted = {"64-true": torch.float64, "bf16-true": torch.bfloat16}[precision]
    assert {weight.dtype for weight in run.module.weights} == {wanted}


def test_a_learning_rate_that_float32_would_round_is_used_in_float64() -> None:
    line = Recipe(learning_rate=LinearDecay(over=updates(9)))
    run = train(sgd(0.1), HyperparameterScheduler(line), batches=9, epochs=1, precision="64-true")
    assert [-left[0] for left in run.module.left] == run.trace.column("learning_rate")
    assert run.trace.column("learning_rate") == pytest.approx([0.1 * (1 - n / 9) for n in range(9)], rel=1e-15)
