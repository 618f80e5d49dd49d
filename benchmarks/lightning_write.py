"""The cost in Lightning of writing the learning rate of two parameter groups: samestep beside torch's schedulers.

Run it with `python benchmarks/lightning_write.py`. Everything is timed in turn in one process, round after round; the
table shows medians. samestep's callback is called as Lightning calls it, with a Trainer that was stopped within an
epoch. "value and write" is the count of an update and the hook at the end of its batch, which evaluates the plan for
the next one and writes into both groups; "whole update" is that and the hook at the start of a batch, which writes the
same values again. Shared machines are noisy: compare ratios.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable
from statistics import median
from typing import Any

import pytorch_lightning as pl
import torch
from rich.console import Console
from rich.table import Table
from torch.optim import lr_scheduler

from samestep import CosineDecay, Recipe, StepDecay, Warmup, epochs, sequence
from samestep.lightning import HyperparameterScheduler

ROUNDS, CALLS, UPDATES, STOPPED_AT = 31, 1000, 200_000, 5
QUIET: Any = dict.fromkeys(("logger", "enable_checkpointing", "enable_model_summary", "enable_progress_bar"), False)
COSINE = CosineDecay(over=epochs(10))
RECIPES = {
    "staircase": Recipe(learning_rate=StepDecay(0.1, every=epochs(2))),
    "cosine": Recipe(learning_rate=COSINE),
    "warmup, then cosine": Recipe(learning_rate=sequence(Warmup(over=epochs(1)), (epochs(1), COSINE))),
    "cosine, and weight decay too": Recipe(learning_rate=COSINE, weight_decay=COSINE),
}

Call = Callable[[], Any]


class TwoGroups(pl.LightningModule):
    """Two weights, each a parameter group of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = torch.nn.ParameterList(torch.nn.Parameter(torch.ones(1)) for _ in range(2))

    def training_step(self, batch: list[torch.Tensor], batch_index: int) -> torch.Tensor:
        self.trainer.should_stop = batch_index == STOPPED_AT
        return torch.stack([weight.sum() for weight in self.weights]).sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        groups = zip(self.weights, (1e-3, 1e-4), strict=True)
        return torch.optim.AdamW([{"params": [weight], "lr": lr} for weight, lr in groups])


def samestep_calls(recipe: Recipe) -> tuple[Call, Call]:
    """One value-and-write, and both hooks of an update."""
    callback, module = HyperparameterScheduler(recipe), TwoGroups()
    trainer = pl.Trainer(max_epochs=10, min_epochs=0, callbacks=[callback], accelerator="cpu", **QUIET)
    data = torch.utils.data.TensorDataset(torch.zeros(UPDATES))
    trainer.fit(module, torch.utils.data.DataLoader(data))
    groups = trainer.optimizers[0].param_groups

    def value_and_write() -> None:
        callback._count(trainer)  # as after the optimizer's update, so that every value is a new one
        callback.on_train_batch_end(trainer, module, None, None, STOPPED_AT)

    def whole_update() -> None:
        callback.on_train_batch_start(trainer, module, None, STOPPED_AT)
        callback._count(trainer)
        callback.on_train_batch_end(trainer, module, None, None, STOPPED_AT)

    for call in (value_and_write, whole_update):
        groups[0]["lr"] = groups[1]["lr"] = None
        call()
        if not groups[0]["lr"] == 10 * groups[1]["lr"] > 0:
            raise RuntimeError("the callback has not written")
    return value_and_write, whole_update


def torch_calls() -> dict[str, Call]:
    def cosine(optimizer: torch.optim.Optimizer) -> lr_scheduler.LRScheduler:
        return lr_scheduler.CosineAnnealingLR(optimizer, 10 * UPDATES)

    def warmup_and_cosine(optimizer: torch.optim.Optimizer) -> lr_scheduler.LRScheduler:
        warmup = lr_scheduler.LinearLR(optimizer, 0.01, total_iters=UPDATES)
        return lr_scheduler.SequentialLR(optimizer, [warmup, cosine(optimizer)], [UPDATES])

    def staircase(optimizer: torch.optim.Optimizer) -> lr_scheduler.LRScheduler:
        return lr_scheduler.StepLR(optimizer, 2 * UPDATES)

    calls: dict[str, Call] = {}
    for name, make in (("staircase", staircase), ("cosine", cosine), ("warmup, then cosine", warmup_and_cosine)):
        optimizer = TwoGroups().configure_optimizers()
        scheduler = make(optimizer)
        optimizer.step()  # torch warns of a scheduler that is called before its optimizer
        calls[name] = scheduler.step
    return calls


def microseconds(calls: dict[tuple[str, str], Call]) -> dict[tuple[str, str], float]:
    """Median over the rounds of the mean time of a call; every round times each of them once."""
    times: dict[tuple[str, str], list[float]] = {key: [] for key in calls}
    for _ in range(ROUNDS):
        for key, call in calls.items():
            begin = time.perf_counter()
            for _ in range(CALLS):
                call()
            times[key].append((time.perf_counter() - begin) / CALLS * 1e6)
    return {key: median(values) for key, values in times.items()}


def main() -> None:
    calls: dict[tuple[str, str], Call] = {(name, "torch"): call for name, call in torch_calls().items()}
    for name, recipe in RECIPES.items():
        calls[name, "write"], calls[name, "update"] = samestep_calls(recipe)
    found = microseconds(calls)
    table = Table(
        "schedule",
        "samestep\nvalue and write",
        "samestep\nwhole update",
        "torch\n.step()",
        "write\n/ torch",
        "update\n/ torch",
        title=f"Microseconds for two parameter groups, medians of {ROUNDS} rounds of {CALLS}",
    )
    for name in RECIPES:
        write, update, theirs = found[name, "write"], found[name, "update"], found.get((name, "torch"))
        ratios = (
            ("", "", "") if theirs is None else (f"{theirs:.2f}", f"{write / theirs:.2f}", f"{update / theirs:.2f}")
        )
        table.add_row(name, f"{write:.2f}", f"{update:.2f}", *ratios)
    Console(width=100).print(table)


if __name__ == "__main__":
    for name in ("pytorch_lightning", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(pytorch_lightning|lightning)\.")
    main()
