"""Parameter groups keep their ratios, and a tensor stays the tensor that it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from samestep import AdamW, InverseTimeDecay, LinearDecay, Recipe, StepDecay, epochs, updates
from samestep.core.version_numbers import is_older
from samestep.lightning import EpochGatedDecay, HyperparameterScheduler, LearningRateScheduler, build_optimizer

from .tiny_training import refusal, sgd, train

RATIOS = (0.3, 1.7)
HALVE = Recipe(learning_rate=StepDecay(0.5, every=epochs(1)))
SMOOTH = Recipe(learning_rate=InverseTimeDecay(0.25, every=updates(1)))


@pytest.mark.parametrize(
    "make",
    [
        lambda: HyperparameterScheduler(HALVE),
        lambda: EpochGatedDecay(0.5, start_epoch=1),
        lambda: LearningRateScheduler(lambda epoch, lr: lr / 2 if epoch else lr),
    ],
    ids=["schedule", "gated-decay", "function"],
)
def test_groups_keep_their_ratio_through_epochs(make: Callable[[], Any]) -> None:
    run = train(sgd(*RATIOS), make(), weights=2, batches=2)
    for weight, base in enumerate(RATIOS):
        assert run.learning_rates(weight) == [base, base, base / 2, base / 2, base / 4, base / 4]


def test_groups_keep_their_ratio_at_every_update() -> None:
    run = train(sgd(*RATIOS), HyperparameterScheduler(SMOOTH), weights=2)
    for weight, base in enumerate(RATIOS):
        assert run.learning_rates(weight) == [base * (1 / (1 + 0.25 * k)) for k in range(15)]


def test_trace_names_the_groups() -> None:
    run = train(sgd(*RATIOS), EpochGatedDecay(0.5, start_epoch=1), weights=2, batches=1)
    assert run.trace.column("learning_rate") == [0.3, 0.15, 0.075]
    assert run.trace.column("learning_rate/1") == [1.7, 0.85, 0.425]


def test_floor_holds_for_each_group() -> None:
    run = train(sgd(1.0, 4.0), EpochGatedDecay(0.5, start_epoch=1, floor=0.75), weights=2, batches=1, epochs=4)
    assert run.learning_rates(0) == [1.0, 0.75, 0.75, 0.75]
    assert run.learning_rates(1) == [4.0, 2.0, 1.0, 0.75]


def test_group_without_weight_decay_stays_without() -> None:
    def build(module: torch.nn.Module) -> torch.optim.Optimizer:
        decayed, plain = module.parameters()
        plain_group = {"params": [plain], "weight_decay": 0.0}
        return torch.optim.AdamW([{"params": [decayed]}, plain_group], lr=0.5, weight_decay=0.5)

    recipe = Recipe(weight_decay=LinearDecay(over=updates(4), start=0.0, end=2.0))
    run = train(build, HyperparameterScheduler(recipe), weights=2, gradient=0.0, batches=6, epochs=1)
    assert run.kept(0) == [1 - 0.5 * wd for wd in (0.0, 0.25, 0.5, 0.75, 1.0, 1.0)]
    assert run.kept(1) == [1.0] * 6
    assert run.trace.column("weight_decay/1") == [0.0] * 6


def test_only_what_is_scheduled_is_touched() -> None:
    run = train(sgd(0.5, weight_decay=0.125), EpochGatedDecay(0.5, start_epoch=1), gradient=0.0, batches=1)
    assert run.trace.column("weight_decay") == [0.125] * 3
    assert run.kept() == [1 - 0.5 * 0.125, 1 - 0.25 * 0.125, 1 - 0.125 * 0.125]


@pytest.mark.parametrize(
    "make",
    [lambda: HyperparameterScheduler(HALVE), lambda: EpochGatedDecay(0.5, start_epoch=1)],
    ids=["schedule", "gated-decay"],
)
def test_tensor_learning_rate_is_filled_in_place(make: Callable[[], Any]) -> None:
    given = torch.tensor(0.5)
    run = train(lambda m: torch.optim.SGD(m.parameters(), lr=given), make(), batches=2)
    assert run.learning_rates() == [0.5, 0.5, 0.25, 0.25, 0.125, 0.125]
    assert run.trainer.optimizers[0].param_groups[0]["lr"] is given


def test_tensor_learning_rate_follows_the_recipe_to_the_last_float32_bit() -> None:
    given = torch.tensor(0.1)
    recipe = Recipe(AdamW(learning_rate=0.1, weight_decay=0.5), InverseTimeDecay(0.3, every=updates(1)))
    run = train(
        lambda m: torch.optim.AdamW(m.parameters(), lr=given, weight_decay=0.5), HyperparameterScheduler(recipe)
    )
    plan = recipe.plan(updates_per_epoch=5, epochs=3)
    values = [plan.value("learning_rate", epoch, update) for epoch in range(3) for update in range(5)]
    assert run.trace.column("learning_rate") == [torch.tensor(value).item() for value in values]
    assert run.trainer.optimizers[0].param_groups[0]["lr"] is given


def test_built_optimizer_keeps_floats() -> None:
    recipe = Recipe(AdamW(learning_rate=0.1), learning_rate=StepDecay(0.5, every=epochs(1)))
    run = train(lambda m: build_optimizer(recipe.optimizer, m), HyperparameterScheduler(recipe))
    group = run.trainer.optimizers[0].param_groups[0]
    assert type(group["lr"]) is float
    assert type(group["weight_decay"]) is float


@pytest.mark.skipif(is_older(torch.__version__, "2.6"), reason="needs torch >= 2.6: transformers does")
def test_a_learning_rate_that_an_optimizer_computes_itself_is_none_that_a_schedule_can_drive() -> None:
    """Adafactor of transformers has None for it."""
    from transformers import Adafactor

    def adafactor(module: Any) -> Adafactor:
        return Adafactor(module.parameters(), weight_decay=0.5, relative_step=True, scale_parameter=False)

    decay = Recipe(weight_decay=LinearDecay("2 epochs"))
    run = train(adafactor, HyperparameterScheduler(decay, resolution="epoch", verify=True), batches=2, epochs=2)
    assert run.trace.column("weight_decay") == [0.5, 0.5, 0.25, 0.25]
    assert set(run.trace.entries[0].values) == {"weight_decay"}
    message = refusal(adafactor, HyperparameterScheduler(Recipe(learning_rate=LinearDecay("2 epochs"))))
    assert "found the optimizer Adafactor, which has no learning_rate" in message
