"""What the last update of an epoch used is logged at its end, under the names that Keras' History has as well."""

from __future__ import annotations

import csv
import logging
import warnings
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from samestep import AdamW, CosineDecay, ExponentialDecay, ParameterRule, Recipe, epochs, percent, updates
from samestep.lightning import EpochGatedDecay, HyperparameterScheduler, LearningRateScheduler, build_optimizer

from .tiny_training import Ramp, Scored, sgd, train

RECIPE = Recipe(
    AdamW(learning_rate=0.1, weight_decay=0.05),
    learning_rate=CosineDecay(over=percent(100), end=0.1),
    weight_decay=ExponentialDecay(0.5, every=epochs(1)),
)
NAMES = ("learning_rate", "weight_decay", "momentum")


def build(module: torch.nn.Module) -> torch.optim.Optimizer:
    return build_optimizer(RECIPE.optimizer, module)


def last_of_each_epoch(name: str, updates: int = 5) -> list[float]:
    return RECIPE.plan(updates_per_epoch=updates, epochs=3).values(name)[updates - 1 :: updates]


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_csv_has_the_plans_values_to_the_last_digit(tmp_path: Path, accumulate: int) -> None:
    logger = CSVLogger(tmp_path, name="", version="")
    train(build, HyperparameterScheduler(RECIPE), logger=logger, accumulate_grad_batches=accumulate)
    with (tmp_path / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [0, 1, 2]
    for name in NAMES:
        assert [float(row[name]) for row in rows] == last_of_each_epoch(name, -(-5 // accumulate))


def test_tensorboard_has_them_as_float32(tmp_path: Path) -> None:
    logger = TensorBoardLogger(tmp_path, name="", version="", log_graph=False)
    train(build, HyperparameterScheduler(RECIPE), logger=logger)
    events = EventAccumulator(str(tmp_path)).Reload()
    for name in NAMES:
        expected = torch.tensor(last_of_each_epoch(name)).tolist()
        assert [event.value for event in events.Scalars(name)] == expected


def test_a_checkpoint_can_be_named_by_them(tmp_path: Path) -> None:
    saver = ModelCheckpoint(
        tmp_path, "{learning_rate:.4f}", every_n_epochs=1, save_top_k=-1, save_on_train_epoch_end=True
    )
    train(build, HyperparameterScheduler(RECIPE), saver, enable_checkpointing=True)
    assert {path.stem for path in tmp_path.iterdir()} == {
        f"learning_rate={value:.4f}" for value in last_of_each_epoch("learning_rate")
    }


def test_each_group_of_parameters_has_a_name() -> None:
    spec = AdamW(0.1, 0.05, parameters=[ParameterRule(path="weights/1", learning_rate=0.5, weight_decay=0)])
    callback = HyperparameterScheduler(Recipe(spec))
    run = train(lambda module: build_optimizer(spec, module), callback, weights=2)
    logged = {name: value.item() for name, value in run.trainer.callback_metrics.items()}
    assert logged == {
        "learning_rate": 0.1,
        "learning_rate/1": 0.05,
        "weight_decay": 0.05,
        "weight_decay/1": 0.0,
        "momentum": 0.9,
        "momentum/1": 0.9,
    }


@pytest.mark.parametrize(
    "callback", [EpochGatedDecay(0.5, start_epoch=2), LearningRateScheduler(lambda epoch: 0.5 if epoch == 2 else 1.0)]
)
def test_callbacks_of_whole_epochs_log_the_learning_rate(callback: Any) -> None:
    run = train(sgd(1.0), callback)
    assert {name: value.item() for name, value in run.trainer.callback_metrics.items()} == {"learning_rate": 0.5}


def test_nothing_of_it_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    with warnings.catch_warnings(), caplog.at_level(logging.WARNING):
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*does not have many workers")
        warnings.filterwarnings("ignore", message=".*LeafSpec")
        train(build, HyperparameterScheduler(RECIPE), log_every_n_steps=1)
    assert not caplog.records


@pytest.mark.parametrize("ahead", [1, 2, 3, 1024])
@pytest.mark.parametrize("max_steps", [15, 11, 12, 13, 14])
def test_what_is_logged_was_used_whatever_is_computed_ahead(
    monkeypatch: pytest.MonkeyPatch, ahead: int, max_steps: int
) -> None:
    """Where a run ends within an epoch, the values of the update that does not come have been written already."""
    monkeypatch.setattr("samestep.torch.follower._AHEAD", ahead)
    recipe = Recipe(learning_rate=ExponentialDecay(0.5, every=updates(1)))
    run = train(sgd(1.0), HyperparameterScheduler(recipe), epochs=3, max_steps=max_steps)
    assert float(run.trainer.callback_metrics["learning_rate"]) == 0.5 ** (max_steps - 1)


class Own(pl.Callback):
    """Logs values of the user's own under the names of samestep's, in one of the hooks."""

    def __init__(self, hook: str, whole: bool = False, **how: Any) -> None:
        def log(trainer: pl.Trainer, module: pl.LightningModule, *args: Any) -> None:
            own = dict.fromkeys(NAMES, 7.0 + trainer.current_epoch)
            if whole:
                module.log_dict(own, **how)
            else:
                for name, value in own.items():
                    module.log(name, value, **how)

        setattr(self, hook, log)


class OwnInModule(Ramp):
    def on_train_epoch_end(self) -> None:
        self.log("learning_rate", 7.0 + self.current_epoch)


class Validated(Scored):
    def on_validation_epoch_end(self) -> None:
        self.log("learning_rate", 7.0 + self.current_epoch)


@pytest.mark.parametrize(
    ("hook", "how"),
    [
        ("on_train_epoch_end", {}),
        ("on_train_epoch_end", {"whole": True, "prog_bar": True}),
        ("on_train_epoch_start", {}),
        ("on_train_batch_end", {"on_step": True, "on_epoch": True}),
        ("on_train_batch_start", {"on_step": True}),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_what_the_user_logs_under_the_same_name_is_logged(tmp_path: Path, hook: str, how: Any, first: bool) -> None:
    logger, own = CSVLogger(tmp_path, name="", version=""), Own(hook, **how)
    callbacks = [own, HyperparameterScheduler(RECIPE)]
    run = train(build, *(callbacks if first else reversed(callbacks)), logger=logger, log_every_n_steps=1)
    assert [float(run.trainer.callback_metrics[name]) for name in NAMES] == [9.0] * 3
    with (tmp_path / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    for name in NAMES:
        assert {float(row[name]) for row in rows if row.get(name)} <= {7.0, 8.0, 9.0}


@pytest.mark.parametrize("module", [OwnInModule(build), Validated(build, [0.0] * 3)], ids=["train", "validation"])
def test_so_is_what_the_module_logs(tmp_path: Path, module: Ramp) -> None:
    logger = CSVLogger(tmp_path, name="", version="")
    run = train(None, HyperparameterScheduler(RECIPE), module=module, logger=logger)
    assert run.trainer.callback_metrics["learning_rate"] == 9.0
    assert float(run.trainer.callback_metrics["weight_decay"]) == last_of_each_epoch("weight_decay")[-1]
    with (tmp_path / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["learning_rate"]) for row in rows if row.get("learning_rate")] == [7.0, 8.0, 9.0]


def test_a_name_that_the_user_logs_in_some_epochs_is_samesteps_in_the_others(tmp_path: Path) -> None:
    class Sometimes(pl.Callback):
        def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            if trainer.current_epoch == 1:
                self.log("learning_rate", 7.0)

    logger = CSVLogger(tmp_path, name="", version="")
    train(build, HyperparameterScheduler(RECIPE), Sometimes(), logger=logger)
    with (tmp_path / "metrics.csv").open() as file:
        found = [float(row["learning_rate"]) for row in csv.DictReader(file)]
    first, _, last = last_of_each_epoch("learning_rate")
    assert found == [first, 7.0, last]
