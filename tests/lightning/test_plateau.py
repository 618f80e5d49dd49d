"""ReduceOnPlateau: what the updates used after the scores that a module logged, whatever schedules the values."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import LearningRateMonitor
from pytorch_lightning.loggers import CSVLogger

from samestep import SGDW, CosineDecay, LinearDecay, Recipe, StepDecay, Warmup, epochs, percent, updates
from samestep.lightning import (
    EpochGatedDecay,
    HyperparameterScheduler,
    LearningRateScheduler,
    ReduceOnPlateau,
    build_optimizer,
)

from .tiny_training import Scored, sgd, train

SCORES = [1.0, 0.5, 0.5, 0.25, 0.75, 0.5]  # those of the epochs 2, 4 and 5 are bad
REDUCED = [1.0, 1.0, 1.0, 0.5, 0.5, 0.25]  # what is left in each epoch, with a factor of a half and no patience
RECORDED = json.loads((Path(__file__).parents[1] / "golden" / "plateau_scores.json").read_text())

everywhere = pytest.mark.parametrize("at", ["validation", "batches", "end"])
both_orders = pytest.mark.parametrize("first", [True, False], ids=["before", "after"])


def halving(**arguments: Any) -> ReduceOnPlateau:
    return ReduceOnPlateau(**{"factor": 0.5, "patience": 0, **arguments})


def reduced(plan: Any, name: str = "learning_rate", count: int = 6) -> list[float]:
    """The values of a plan, times what is left in each epoch."""
    return [value * REDUCED[epoch] for epoch in range(count) for value in plan.values(name, epoch)]


@everywhere
@pytest.mark.parametrize("validates", [True, False])
def test_an_epoch_is_reduced_by_the_scores_of_those_before(at: str, validates: bool) -> None:
    if at == "validation" and not validates:
        return
    callback = halving()
    options = {} if validates else {"limit_val_batches": 0}
    run = train(None, callback, module=Scored(sgd(1.0), SCORES, at), batches=2, epochs=6, **options)
    assert run.of_each_epoch() == REDUCED
    assert callback.scores == dict(enumerate(SCORES))


def test_where_lightning_differs_it_steps_torchs_own_again_in_an_epoch_without_a_score() -> None:
    def theirs(module: torch.nn.Module) -> Any:
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer := sgd(1.0)(module), factor=0.5, patience=0)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "monitor": "val_loss", "strict": False},
        }

    options = {"batches": 1, "epochs": 6, "check_val_every_n_epoch": 2}
    scores = [1.0] * 6
    assert train(None, module=Scored(theirs, scores), **options).of_each_epoch() == [1.0, 1.0, 1.0, 0.5, 0.25, 0.125]
    ours = ReduceOnPlateau.like_torch(factor=0.5, patience=0)
    assert train(None, ours, module=Scored(sgd(1.0), scores), **options).of_each_epoch() == [
        1.0,
        1.0,
        1.0,
        1.0,
        0.5,
        0.5,
    ]


@everywhere
@both_orders
@pytest.mark.parametrize("verify", [True, False])
def test_a_schedule_that_changes_at_every_update_is_multiplied(at: str, first: bool, verify: bool) -> None:
    recipe = Recipe(
        SGDW(0.5, 0.25), Warmup(over=updates(4)) * CosineDecay(over=percent(100)), StepDecay(0.5, "2 epochs")
    )
    callbacks = [HyperparameterScheduler(recipe, verify=verify), halving()]
    module = Scored(lambda module: build_optimizer(recipe.optimizer, module), SCORES, at)
    run = train(None, *callbacks[:: -1 if first else 1], module=module, batches=3, epochs=6)
    plan = recipe.plan(updates_per_epoch=3, epochs=6)
    assert run.learning_rates() == reduced(plan)
    assert run.trace.column("weight_decay") == plan.values("weight_decay")


@pytest.mark.parametrize(
    ("scheduler", "scheduled"),
    [
        (EpochGatedDecay(0.25, start_epoch=2, every_epochs=2), [1.0, 1.0, 0.25, 0.25, 0.0625, 0.0625]),
        (LearningRateScheduler(lambda epoch, rate: rate * 2), [2.0, 4.0, 8.0, 16.0, 32.0, 64.0]),
        (LearningRateScheduler(lambda epoch: 1.0 + epoch), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
        (
            HyperparameterScheduler(Recipe(learning_rate=LinearDecay(over=updates(16))), resolution="epoch"),
            [1.0, 0.875, 0.75, 0.625, 0.5, 0.375],
        ),
    ],
    ids=["gated", "folded function", "function", "resolution"],
)
def test_every_callback_that_schedules_is_multiplied(scheduler: Any, scheduled: list[float]) -> None:
    run = train(None, halving(), scheduler, module=Scored(sgd(1.0), SCORES), batches=2, epochs=6)
    assert run.of_each_epoch() == [value * left for value, left in zip(scheduled, REDUCED, strict=True)]


def test_no_reduction_goes_below_the_floor_and_a_schedule_may() -> None:
    warmup = HyperparameterScheduler(Recipe(learning_rate=Warmup(over=epochs(4))))
    run = train(None, halving(floor=0.375), warmup, module=Scored(sgd(1.0), [1.0] * 6), batches=1, epochs=6)
    assert run.of_each_epoch() == [0.0, 0.25, 0.375, 0.375, 0.375, 0.375]


@pytest.mark.parametrize("scheduled", [True, False])
def test_the_weight_decay_is_reduced_by_a_callback_of_its_own(scheduled: bool) -> None:
    recipe = Recipe(SGDW(0.5, 0.5), weight_decay=StepDecay(0.5, "3 epochs"))
    callbacks = [halving(hyperparameter="weight_decay"), halving(start_epoch=4)]
    callbacks += [HyperparameterScheduler(recipe)] if scheduled else []
    module = Scored(lambda module: build_optimizer(recipe.optimizer, module), SCORES, gradient=0.0)
    run = train(None, *callbacks, module=module, batches=1, epochs=6)
    rates = [0.5] * 6  # the score of epoch 4 is the first that counts, and that of epoch 5 comes too late
    decays = [0.5 * left * (0.5 if scheduled and epoch >= 3 else 1.0) for epoch, left in enumerate(REDUCED)]
    assert run.trace.column("learning_rate") == rates
    assert run.kept() == [1 - rate * decay for rate, decay in zip(rates, decays, strict=True)]


def test_each_group_of_parameters_is_reduced_from_its_own() -> None:
    run = train(None, halving(), module=Scored(sgd(1.0, 0.25), SCORES, weights=2), batches=1, epochs=6)
    assert run.learning_rates(0) == REDUCED
    assert run.learning_rates(1) == [0.25 * left for left in REDUCED]


class Pair(pl.LightningModule):
    """Two weights with an optimizer each, which are stepped by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.generator, self.discriminator = (
            torch.nn.ParameterList([torch.nn.Parameter(torch.zeros(()))]) for _ in "ab"
        )
        self.used: list[list[float]] = []

    def training_step(self, batch: Any, batch_idx: int) -> None:
        for optimizer in self.optimizers():
            optimizer.zero_grad()
        self.manual_backward(self.generator[0] + self.discriminator[0])
        before = [weight.item() for weight in self.parameters()]
        for optimizer in self.optimizers():
            optimizer.step()
        self.used.append([old - new.item() for old, new in zip(before, self.parameters(), strict=True)])

    def on_train_epoch_end(self) -> None:
        self.log("val_loss", SCORES[self.current_epoch])

    def configure_optimizers(self) -> Any:
        return [torch.optim.SGD(part.parameters(), lr=1.0) for part in (self.generator, self.discriminator)]


@both_orders
def test_of_several_optimizers_each_is_reduced_whether_it_is_scheduled_or_not(first: bool) -> None:
    scheduler = HyperparameterScheduler({"generator": Recipe(learning_rate=StepDecay(0.5, "1 epoch"))}, verify=True)
    module, callbacks = Pair(), [scheduler, halving()]
    run = train(None, *callbacks[:: -1 if first else 1], module=module, batches=1, epochs=6)
    assert module.used == [[left * 0.5**epoch, left] for epoch, left in enumerate(REDUCED)]
    logged = {name: value.item() for name, value in run.trainer.callback_metrics.items()}
    last = {"learning_rate/generator": 0.25 * 0.5**5, "learning_rate/discriminator": 0.25, "val_loss": 0.5}
    assert logged == last


def test_an_epoch_without_validation_has_no_score() -> None:
    callback = halving()
    module = Scored(sgd(1.0), [None, 1.0, None, 1.0, None, 1.0, None])
    run = train(None, callback, module=module, batches=1, epochs=7, check_val_every_n_epoch=2)
    assert callback.scores == {1: 1.0, 3: 1.0, 5: 1.0}
    assert run.of_each_epoch() == [1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.25]


@pytest.mark.parametrize("at", ["batches", "end"])
def test_a_metric_of_some_epochs_is_not_taken_again_in_the_others(at: str) -> None:
    callback = halving()
    train(None, callback, module=Scored(sgd(1.0), [1.0, None, 2.0, None, None], at), batches=2, epochs=5)
    assert callback.scores == {0: 1.0, 2: 2.0}


@pytest.mark.parametrize("sanity", [0, 2, -1])
def test_the_last_score_of_an_epoch_counts_and_none_of_the_sanity_check(sanity: int) -> None:
    callback = halving()
    module = Scored(sgd(1.0), [[9.0, score] for score in SCORES])
    options = {"val_check_interval": 0.5, "num_sanity_val_steps": sanity}
    run = train(None, callback, module=module, batches=2, epochs=6, **options)
    assert callback.scores == dict(enumerate(SCORES))
    assert run.of_each_epoch() == REDUCED


@both_orders
def test_the_monitor_and_the_csv_have_what_was_used(tmp_path: Path, first: bool) -> None:
    logger = CSVLogger(tmp_path, name="", version="")
    scheduler = HyperparameterScheduler(Recipe(learning_rate=StepDecay(0.5, every=epochs(2))))
    callbacks = [halving(), scheduler, LearningRateMonitor("epoch")]
    module = Scored(sgd(1.0), SCORES)
    run = train(None, *callbacks[:: -1 if first else 1], module=module, batches=1, epochs=6, logger=logger)
    with (tmp_path / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    used = [left * 0.5 ** (epoch // 2) for epoch, left in enumerate(REDUCED)]
    assert run.of_each_epoch() == used
    for name in ("learning_rate", "lr-SGD"):
        assert [float(row[name]) for row in rows if row[name]] == used


@pytest.mark.parametrize(
    "settings", [{}, {"patience": 2, "cooldown": 1}, {"mode": "max", "patience": 1, "factor": 0.5}], ids=repr
)
@pytest.mark.parametrize("scores", ["learns", "stalls"])
def test_like_torch_is_torchs_own_that_lightning_steps(settings: dict[str, Any], scores: str) -> None:
    def theirs(module: torch.nn.Module) -> Any:
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer := sgd(1.0)(module), eps=0.0, **settings)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "monitor": "val_loss"}}

    values = RECORDED[scores]["val_loss"]
    options = {"batches": 1, "epochs": len(values)}
    expected = train(None, module=Scored(theirs, values), **options).of_each_epoch()
    ours = train(None, ReduceOnPlateau.like_torch(**settings), module=Scored(sgd(1.0), values), **options)
    assert len(set(expected)) > 1
    assert ours.of_each_epoch() == pytest.approx(expected, rel=1e-15, abs=0)  # torch multiplies its own result again
