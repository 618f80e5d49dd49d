"""Every update uses the plan's value for it, read back from the weights that the optimizer left."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from samestep import (
    AdamW,
    CosineDecay,
    InverseTimeDecay,
    LinearDecay,
    Plan,
    Recipe,
    StepDecay,
    Warmup,
    epochs,
    percent,
    updates,
)
from samestep.lightning import EpochGatedDecay, HyperparameterScheduler, build_optimizer

from .tiny_training import sgd, train

LEARNING_RATE = Warmup(over=updates(4), start=0.25) * CosineDecay(over=percent(100), end=0.1)
WEIGHT_DECAY = LinearDecay(over=epochs("2.5"), end=0.2)
RECIPE = Recipe(AdamW(learning_rate=0.1, weight_decay=0.05), LEARNING_RATE, WEIGHT_DECAY)
SCHEDULES = Recipe(learning_rate=LEARNING_RATE)

# What the Trainer is told; updates in each epoch of the run; the run's length as its plan must know it.
RUNS = [
    pytest.param({}, [5, 5, 5], {"updates_per_epoch": 5, "epochs": 3}, id="whole-epochs"),
    pytest.param(
        {"accumulate_grad_batches": 2}, [3, 3, 3], {"updates_per_epoch": 3, "epochs": 3}, id="accumulation-remainder"
    ),
    pytest.param({"limit_train_batches": 3}, [3, 3, 3], {"updates_per_epoch": 3, "epochs": 3}, id="limited"),
    pytest.param({"limit_train_batches": 0.8}, [4, 4, 4], {"updates_per_epoch": 4, "epochs": 3}, id="limited-share"),
    pytest.param(
        {"limit_train_batches": 3, "accumulate_grad_batches": 2},
        [2, 2, 2],
        {"updates_per_epoch": 2, "epochs": 3},
        id="limited-accumulation-remainder",
    ),
    pytest.param(
        {"max_steps": 7}, [5, 2], {"updates_per_epoch": 5, "epochs": 3, "max_updates": 7}, id="ended-by-max-steps"
    ),
    pytest.param(
        {"max_steps": 4, "accumulate_grad_batches": 2},
        [3, 1],
        {"updates_per_epoch": 3, "epochs": 3, "max_updates": 4},
        id="ended-by-max-steps-accumulation",
    ),
    pytest.param(
        {"max_steps": 7, "max_epochs": -1}, [5, 2], {"updates_per_epoch": 5, "max_updates": 7}, id="max-steps-only"
    ),
    pytest.param(
        {"max_steps": 99}, [5, 5, 5], {"updates_per_epoch": 5, "epochs": 3, "max_updates": 99}, id="max-steps-unreached"
    ),
]


def build(module: torch.nn.Module) -> torch.optim.Optimizer:
    return build_optimizer(RECIPE.optimizer, module)


def places(per_epoch: list[int]) -> list[tuple[int, int]]:
    return [(epoch, update) for epoch, count in enumerate(per_epoch) for update in range(count)]


def planned(plan: Plan, name: str, per_epoch: list[int], base: float | None = None) -> list[float]:
    return [plan.value(name, epoch, update, base) for epoch, update in places(per_epoch)]


@pytest.mark.parametrize(("trainer", "per_epoch", "length"), RUNS)
def test_every_update_uses_the_plans_learning_rate_and_weight_decay(
    trainer: dict[str, Any], per_epoch: list[int], length: dict[str, int]
) -> None:
    run = train(build, HyperparameterScheduler(RECIPE), gradient=0.0, **trainer)
    plan = RECIPE.plan(**length)
    learning_rates = planned(plan, "learning_rate", per_epoch)
    weight_decays = planned(plan, "weight_decay", per_epoch)
    assert run.positions() == places(per_epoch)
    assert run.trace.column("learning_rate") == learning_rates
    assert run.trace.column("weight_decay") == weight_decays
    assert run.kept() == [1 - lr * wd for lr, wd in zip(learning_rates, weight_decays, strict=True)]


@pytest.mark.parametrize(("trainer", "per_epoch", "length"), RUNS)
def test_every_update_of_a_stock_optimizer_moves_by_the_plans_learning_rate(
    trainer: dict[str, Any], per_epoch: list[int], length: dict[str, int]
) -> None:
    run = train(sgd(0.1), HyperparameterScheduler(SCHEDULES), **trainer)
    assert run.learning_rates() == planned(SCHEDULES.plan(**length), "learning_rate", per_epoch, base=0.1)
    assert run.positions() == places(per_epoch)


@pytest.mark.parametrize("ahead", [1, 2, 3, 5])
def test_values_that_are_computed_ahead_go_on_where_those_before_ended(
    monkeypatch: pytest.MonkeyPatch, ahead: int
) -> None:
    monkeypatch.setattr("samestep.torch.follower._AHEAD", ahead)
    run = train(build, HyperparameterScheduler(RECIPE), gradient=0.0)
    plan = RECIPE.plan(updates_per_epoch=5, epochs=3)
    for name in ("learning_rate", "weight_decay"):
        assert run.trace.column(name) == plan.values(name)


def test_after_the_run_the_optimizer_holds_the_values_of_its_last_update() -> None:
    run = train(build, HyperparameterScheduler(RECIPE))
    (group,) = run.trainer.optimizers[0].param_groups
    plan = RECIPE.plan(updates_per_epoch=5, epochs=3)
    assert (group["lr"], group["weight_decay"]) == (plan.value("learning_rate", 2, 4), plan.value("weight_decay", 2, 4))


def test_first_update_is_already_scheduled() -> None:
    warmup = Recipe(learning_rate=Warmup(over=updates(4), start=0.0))
    run = train(sgd(2.0), HyperparameterScheduler(warmup), epochs=1)
    assert run.learning_rates() == [0.0, 0.5, 1.0, 1.5, 2.0]


def test_percent_is_of_the_run_that_max_steps_ends() -> None:
    linear = Recipe(learning_rate=LinearDecay(over=percent(100)))
    run = train(sgd(8.0), HyperparameterScheduler(linear), max_steps=8)
    assert run.learning_rates() == [8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]


def test_micro_batches_of_accumulation_are_not_updates() -> None:
    every_second = Recipe(learning_rate=StepDecay(0.5, every=updates(2)))
    run = train(sgd(1.0), HyperparameterScheduler(every_second), epochs=2, accumulate_grad_batches=2)
    assert run.learning_rates() == [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]


@pytest.mark.parametrize("accumulate", [1, 2])
def test_epoch_resolution_holds_the_value_of_the_first_update(accumulate: int) -> None:
    run = train(sgd(0.1), HyperparameterScheduler(SCHEDULES, resolution="epoch"), accumulate_grad_batches=accumulate)
    per_epoch = -(-5 // accumulate)
    plan = SCHEDULES.plan(updates_per_epoch=per_epoch, epochs=3)
    firsts = [plan.value("learning_rate", epoch, 0, 0.1) for epoch in range(3)]
    assert len(set(firsts)) == 3
    assert run.learning_rates() == [value for value in firsts for _ in range(per_epoch)]


def test_legacy_keras_decay_is_reproduced_at_the_optimizer() -> None:
    recipe = Recipe(learning_rate=InverseTimeDecay(0.01, every=updates(1)))
    run = train(sgd(0.1), HyperparameterScheduler(recipe))
    # Written otherwise than our product, the same quotient differs in the last bit of a double.
    assert run.learning_rates() == pytest.approx([0.1 / (1 + 0.01 * k) for k in range(15)], rel=2e-16)


def test_weight_decay_alone_can_be_scheduled() -> None:
    recipe = Recipe(weight_decay=StepDecay(0.5, every=epochs(1)))
    run = train(sgd(0.5, weight_decay=0.25), HyperparameterScheduler(recipe), gradient=0.0, batches=2)
    assert run.kept() == [1 - 0.125, 1 - 0.125, 1 - 0.0625, 1 - 0.0625, 1 - 0.03125, 1 - 0.03125]


def test_a_weight_decay_recipe_works_beside_a_learning_rate_callback() -> None:
    recipe = Recipe(weight_decay=StepDecay(0.5, every=epochs(1)))
    callbacks = [HyperparameterScheduler(recipe), EpochGatedDecay(0.5, start_epoch=1)]
    run = train(sgd(1.0, weight_decay=0.5), *callbacks, gradient=0.0, batches=1)
    assert run.trace.column("learning_rate") == [1.0, 0.5, 0.25]
    assert run.kept() == [1 - 0.5, 1 - 0.5 * 0.25, 1 - 0.25 * 0.125]


def test_a_weight_decay_recipe_works_beside_a_torch_scheduler() -> None:
    def both(module: torch.nn.Module) -> dict[str, Any]:
        optimizer = torch.optim.SGD(module.parameters(), lr=1.0, weight_decay=0.5)
        return {"optimizer": optimizer, "lr_scheduler": torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)}

    recipe = Recipe(weight_decay=StepDecay(0.5, every=epochs(1)))
    run = train(both, HyperparameterScheduler(recipe), gradient=0.0, batches=1)
    assert run.kept() == [1 - 0.5, 1 - 0.5 * 0.25, 1 - 0.25 * 0.125]


def test_a_callback_can_be_used_for_a_second_run() -> None:
    scheduler = HyperparameterScheduler(SCHEDULES)
    first = train(sgd(0.1), scheduler)
    second = train(sgd(0.1), scheduler)
    assert first.learning_rates() == second.learning_rates()
