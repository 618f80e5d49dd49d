"""LearningRateMonitor logs what the updates use, wherever it stands in the list of callbacks."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning.callbacks import LearningRateMonitor, ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger

from samestep import AdamW, CosineDecay, LinearDecay, Recipe, StepDecay, Warmup, epochs, percent, updates
from samestep.lightning import EpochGatedDecay, HyperparameterScheduler, LearningRateScheduler, build_optimizer

from .tiny_training import sgd, train

RECIPE = Recipe(
    AdamW(learning_rate=0.1, weight_decay=0.05),
    learning_rate=Warmup(over=updates(4), start=0.25) * CosineDecay(over=percent(100), end=0.1),
    weight_decay=LinearDecay(over=epochs("2.5"), end=0.2) * StepDecay(0.5, every=epochs(1)),
)


def build(module: torch.nn.Module) -> torch.optim.Optimizer:
    return build_optimizer(RECIPE.optimizer, module)


def logged(logger: CSVLogger) -> list[dict[str, str]]:
    """The rows that the monitor wrote; ours are those of the ends of epochs."""
    with (Path(logger.log_dir) / "metrics.csv").open() as file:
        return [row for row in csv.DictReader(file) if not row.get("learning_rate")]


def monitored(folder: Path, first: bool, optimizer: Any, callback: Any, **options: Any) -> Any:
    """A run with the monitor listed before or after the callback, and the CSV that it wrote."""
    interval = options.pop("interval", "step")
    monitor = LearningRateMonitor(logging_interval=interval, log_weight_decay=True)
    logger = CSVLogger(folder, name="", version=f"monitor-first-{first}")
    callbacks = [monitor, callback] if first else [callback, monitor]
    run = train(optimizer, *callbacks, logger=logger, log_every_n_steps=1, **options)
    return run, logged(logger)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_monitor_logs_the_plan_before_and_after_ours(tmp_path: Path, accumulate: int) -> None:
    tables = []
    for first in (True, False):
        options = {"accumulate_grad_batches": accumulate, "gradient": 0.0}
        run, rows = monitored(tmp_path, first, build, HyperparameterScheduler(RECIPE), **options)
        tables.append(rows)
    assert tables[0] == tables[1]

    per_epoch = -(-5 // accumulate)
    plan = RECIPE.plan(updates_per_epoch=per_epoch, epochs=3)
    values = {
        name: [plan.value(name, epoch, update) for epoch in range(3) for update in range(per_epoch)]
        for name in ("learning_rate", "weight_decay")
    }
    # Under accumulation the monitor writes a row at each micro-batch, with the number of the update it goes into.
    steps = [int(row["step"]) for row in tables[0]]
    assert sorted(set(steps)) == list(range(3 * per_epoch))
    assert [float(row["lr-AdamW"]) for row in tables[0]] == [values["learning_rate"][step] for step in steps]
    assert [float(row["lr-AdamW-weight_decay"]) for row in tables[0]] == [values["weight_decay"][s] for s in steps]
    used = zip(values["learning_rate"], values["weight_decay"], strict=True)
    assert run.kept() == [1 - lr * wd for lr, wd in used]


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("interval", ["step", "epoch"])
@pytest.mark.parametrize(
    "make",
    [
        lambda: EpochGatedDecay(0.5, start_epoch=0),
        lambda: LearningRateScheduler(lambda epoch, lr: lr / 2),
        lambda: HyperparameterScheduler(Recipe(learning_rate=StepDecay(0.5, every=epochs(1), first=epochs(0)))),
    ],
    ids=["gated-decay", "function", "schedule"],
)
def test_monitor_logs_each_epochs_value(tmp_path: Path, first: bool, interval: str, make: Callable[[], Any]) -> None:
    run, rows = monitored(tmp_path, first, sgd(1.0), make(), batches=2, interval=interval)
    times = 2 if interval == "step" else 1
    assert [float(row["lr-SGD"]) for row in rows] == [v for v in (0.5, 0.25, 0.125) for _ in range(times)]
    assert run.learning_rates() == [0.5, 0.5, 0.25, 0.25, 0.125, 0.125]


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("step", [2, 5, 7])
def test_monitor_of_a_resumed_run_logs_the_plan_from_its_first_update(tmp_path: Path, first: bool, step: int) -> None:
    saver = ModelCheckpoint(tmp_path, "{step}", every_n_train_steps=1, save_top_k=-1, save_on_train_epoch_end=False)
    whole = train(build, HyperparameterScheduler(RECIPE), saver, enable_checkpointing=True)
    fit = {"ckpt_path": str(tmp_path / f"step={step}.ckpt")}
    _, rows = monitored(tmp_path, first, build, HyperparameterScheduler(RECIPE), fit=fit)
    assert [float(row["lr-AdamW"]) for row in rows] == whole.trace.column("learning_rate")[step:]
    assert [float(row["lr-AdamW-weight_decay"]) for row in rows] == whole.trace.column("weight_decay")[step:]


def test_monitor_and_trace_agree_for_every_group(tmp_path: Path) -> None:
    decay = EpochGatedDecay(0.5, start_epoch=1)
    run, rows = monitored(tmp_path, True, sgd(0.3, 1.7), decay, weights=2, batches=2)
    assert [float(row["lr-SGD/pg1"]) for row in rows] == run.trace.column("learning_rate")
    assert [float(row["lr-SGD/pg2"]) for row in rows] == run.trace.column("learning_rate/1")
