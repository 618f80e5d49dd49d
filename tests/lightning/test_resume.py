"""A run that is resumed from any of its checkpoints uses the values of the run that was never interrupted."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

from samestep import AdamW, CosineDecay, LinearDecay, Position, Recipe, Trace, Warmup, percent, updates
from samestep.lightning import EpochGatedDecay, HyperparameterScheduler, LearningRateScheduler, build_optimizer

from .tiny_training import every_update, train

BATCHES, EPOCHS = 4, 3
RECIPE = Recipe(
    AdamW(learning_rate=0.1, weight_decay=0.05),
    learning_rate=Warmup(over=updates(3), start=0.25) * CosineDecay(over=percent(100), end=0.1),
    weight_decay=LinearDecay(over=percent(100), end=0.2),
    momentum=LinearDecay(over=percent(100), start=0.5, end=1.0),
)


def adamw(module: torch.nn.Module) -> torch.optim.Optimizer:
    return build_optimizer(RECIPE.optimizer, module)


def stock(module: torch.nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(module.parameters(), lr=0.1)


DRIVERS = {
    "recipe": (adamw, lambda: HyperparameterScheduler(RECIPE)),
    "epoch-resolution": (adamw, lambda: HyperparameterScheduler(RECIPE, resolution="epoch")),
    "schedules": (stock, lambda: HyperparameterScheduler(Recipe(learning_rate=RECIPE.learning_rate))),
    "gated-decay": (stock, lambda: EpochGatedDecay(0.5, start_epoch=1)),
    "two-argument-function": (stock, lambda: LearningRateScheduler(lambda e, lr: lr * 0.5 if e % 2 == 1 else lr * 0.9)),
}
drivers = pytest.mark.parametrize("driver", DRIVERS)


def every_epoch(folder: Path) -> ModelCheckpoint:
    return ModelCheckpoint(folder, "{step}", every_n_epochs=1, save_top_k=-1, save_on_train_epoch_end=True)


def join(first: Trace, updates: int, second: Trace) -> Trace:
    return Trace(first.entries[:updates] + second.entries)


def interrupted(driver: str, saver: ModelCheckpoint, **options: Any) -> Any:
    build, make = DRIVERS[driver]
    options = {"batches": BATCHES, "epochs": EPOCHS, "enable_checkpointing": True, **options}
    return train(build, make(), saver, **options)


def resumed(driver: str, path: Path, **options: Any) -> Any:
    build, make = DRIVERS[driver]
    options = {"batches": BATCHES, "epochs": EPOCHS, **options}
    return train(build, make(), fit={"ckpt_path": str(path)}, **options)


@drivers
def test_resuming_after_any_update_goes_on_as_if_never_interrupted(tmp_path: Path, driver: str) -> None:
    whole = interrupted(driver, every_update(tmp_path))
    assert whole.positions() == [Position(e, u) for e in range(EPOCHS) for u in range(BATCHES)]
    for step in (1, 3, 4, 5, 8, 11):
        rest = resumed(driver, tmp_path / f"step={step}.ckpt")
        assert join(whole.trace, step, rest.trace) == whole.trace, f"after update {step}"
        assert rest.learning_rates() == whole.learning_rates()[step:], f"after update {step}"


@drivers
def test_resuming_after_an_epoch_goes_on_as_if_never_interrupted(tmp_path: Path, driver: str) -> None:
    whole = interrupted(driver, every_epoch(tmp_path))
    for step in (4, 8):
        rest = resumed(driver, tmp_path / f"step={step}.ckpt")
        assert join(whole.trace, step, rest.trace) == whole.trace, f"after update {step}"
        assert rest.learning_rates() == whole.learning_rates()[step:], f"after update {step}"


@pytest.mark.parametrize("driver", ["recipe", "gated-decay"])
def test_resuming_counts_updates_and_not_micro_batches(tmp_path: Path, driver: str) -> None:
    options = {"batches": 5, "accumulate_grad_batches": 2}
    whole = interrupted(driver, every_update(tmp_path), **options)
    assert len(whole.trace) == 9
    for step in (1, 2, 3, 4, 6, 8):
        rest = resumed(driver, tmp_path / f"step={step}.ckpt", **options)
        assert join(whole.trace, step, rest.trace) == whole.trace, f"after update {step}"


@drivers
def test_resuming_a_run_that_only_max_steps_bounds(tmp_path: Path, driver: str) -> None:
    options = {"max_epochs": -1, "max_steps": 11}
    whole = interrupted(driver, every_update(tmp_path), **options)
    for step in (2, 4, 8, 9):
        rest = resumed(driver, tmp_path / f"step={step}.ckpt", **options)
        assert join(whole.trace, step, rest.trace) == whole.trace, f"after update {step}"


def test_resuming_twice_is_resuming_once(tmp_path: Path) -> None:
    build, make = DRIVERS["gated-decay"]
    whole = interrupted("gated-decay", every_update(tmp_path / "first"))
    second = {"batches": BATCHES, "epochs": EPOCHS, "max_steps": 7, "enable_checkpointing": True}
    path = tmp_path / "first" / "step=5.ckpt"
    middle = train(build, make(), every_update(tmp_path / "second"), fit={"ckpt_path": str(path)}, **second)
    rest = resumed("gated-decay", tmp_path / "second" / "step=7.ckpt")
    assert join(join(whole.trace, 5, middle.trace), 7, rest.trace) == whole.trace


@drivers
def test_checkpoint_loads_with_weights_only(tmp_path: Path, driver: str) -> None:
    whole = interrupted(driver, every_update(tmp_path))
    path = tmp_path / "step=6.ckpt"
    assert torch.load(path, weights_only=True)["global_step"] == 6
    if "weights_only" not in inspect.signature(pl.Trainer.fit).parameters:  # Lightning before 2.6
        return
    build, make = DRIVERS[driver]
    fit = {"ckpt_path": str(path), "weights_only": True}
    rest = train(build, make(), batches=BATCHES, epochs=EPOCHS, fit=fit)
    assert join(whole.trace, 6, rest.trace) == whole.trace
