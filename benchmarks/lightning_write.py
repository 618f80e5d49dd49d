"""The cost in Lightning of writing the learning rate of two parameter groups: samestep and torch's schedulers.

Run it with `python benchmarks/lightning_write.py`. Everything is timed in turn in one process, round after round; the
table shows medians. samestep's callback is called as Lightning calls it, with a Trainer stopped within an epoch. "value
and write" gets the value of the next update, which the plan computes some updates ahead, and writes it into both
groups. "whole update" is everything a training step pays: counting the update, and the hooks at the end and the start
of a batch, which both write. Shared machines are noisy: compare ratios.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable
from itertools import count, islice
from statistics import median
from typing import Any

import pytorch_lightning as pl
import torch
from rich.console import Console
from rich.table import Table
from torch.optim import lr_scheduler

from samestep import CosineDecay, Recipe, StepDecay, Warmup, epochs, sequence, updates
from samestep.lightning import HyperparameterScheduler

ROUNDS, CALLS, UPDATES, STOPPED_AT = 31, 1000, 200_000, 5
QUIET: Any = dict.fromkeys(("logger", "enable_checkpointing", "enable_model_summary", "enable_progress_bar"), False)
COSINE = CosineDecay(over=epochs(10))
RECIPES = {
    "staircase": Recipe(learning_rate=StepDecay(0.1, every=updates(1000))),
    "cosine": Recipe(learning_rate=COSINE),
    "warmup, then cosine": Recipe(learning_rate=sequence(Warmup(over=epochs(1)), (epochs(1), COSINE))),
    "cosine, and weight decay too": Recipe(learning_rate=COSINE, weight_decay=COSINE),
}

Loop = Callable[[int], None]
"""Makes so many calls."""


class TwoGroups(pl.LightningModule):
    """Two weights, each a parameter group of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = torch.nn.ParameterList(torch.nn.Parameter(torch.ones(1)) for _ in range(2))

    def training_step(self, batch: list[torch.Tensor], batch_index: int) -> torch.Tensor:
        self.trainer.should_stop = batch_index == STOPPED_AT
        callbacks: list[Any] = self.trainer.callbacks  # type: ignore[attr-defined]  # set by Lightning's connector
        self.followers = [follower for callback in callbacks for follower in getattr(callback, "_followers", ())]
        self.shared = next((each._training for each in callbacks if hasattr(each, "_training")), None)
        optimizer: Any = self.trainer.optimizers[0]
        self.hooks = [*optimizer._optimizer_step_pre_hooks.values(), *optimizer._optimizer_step_post_hooks.values()]
        return torch.stack([weight.sum() for weight in self.weights]).sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        groups = zip(self.weights, (1e-3, 1e-4), strict=True)
        return torch.optim.AdamW([{"params": [weight], "lr": lr} for weight, lr in groups])


def samestep_loops(recipe: Recipe) -> tuple[Loop, Loop]:
    """Value-and-writes, and all that the updates pay."""
    callback, module = HyperparameterScheduler(recipe), TwoGroups()
    trainer = pl.Trainer(max_epochs=10, min_epochs=0, callbacks=[callback], accelerator="cpu", **QUIET)
    data = torch.utils.data.TensorDataset(torch.zeros(UPDATES))
    trainer.fit(module, torch.utils.data.DataLoader(data))
    groups = trainer.optimizers[0].param_groups
    # The end of training has taken them from it.
    (follower,), callback._training = module.followers, module.shared
    callback._followers = module.followers
    write, numbers = follower._write, count()

    def value_and_write(calls: int) -> None:
        for update in islice(numbers, calls):  # every value is a new one
            write(update)

    def whole_update(calls: int) -> None:
        for _ in range(calls):
            callback.on_train_batch_start(trainer, module, None, STOPPED_AT)
            for hook in module.hooks:
                hook(trainer.optimizers[0], (), {})
            callback.on_train_batch_end(trainer, module, None, None, STOPPED_AT)

    for loop in (value_and_write, whole_update):
        groups[0]["lr"] = groups[1]["lr"] = None
        loop(1)
        if not groups[0]["lr"] > groups[1]["lr"] > 0:
            raise RuntimeError("the callback has not written")
    return value_and_write, whole_update


def torch_loops() -> dict[str, Loop]:
    """The `.step()` of torch's schedulers, under the names of `RECIPES` where they do the same."""

    def warmup_and_cosine(optimizer: torch.optim.Optimizer) -> lr_scheduler.LRScheduler:
        warmup = lr_scheduler.LinearLR(optimizer, 0.01, total_iters=UPDATES)
        cosine = lr_scheduler.CosineAnnealingLR(optimizer, 10 * UPDATES)
        return lr_scheduler.SequentialLR(optimizer, [warmup, cosine], [UPDATES])

    def loop(make: Callable[[torch.optim.Optimizer], lr_scheduler.LRScheduler]) -> Loop:
        optimizer = TwoGroups().configure_optimizers()
        scheduler = make(optimizer)
        optimizer.step()  # torch warns of a scheduler that is called before its optimizer

        def steps(calls: int) -> None:
            step = scheduler.step
            for _ in range(calls):
                step()

        return steps

    return {
        "staircase": loop(lambda optimizer: lr_scheduler.StepLR(optimizer, 1000)),
        "cosine": loop(lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, 10 * UPDATES)),
        "warmup, then cosine": loop(warmup_and_cosine),
        "constant": loop(lambda optimizer: lr_scheduler.ConstantLR(optimizer, 0.5, UPDATES)),
        "exponential": loop(lambda optimizer: lr_scheduler.ExponentialLR(optimizer, 0.9999)),
        "linear": loop(lambda optimizer: lr_scheduler.LinearLR(optimizer, 0.5, total_iters=UPDATES)),
        "lambda": loop(lambda optimizer: lr_scheduler.LambdaLR(optimizer, lambda update: 0.5)),
    }


def microseconds(loops: dict[tuple[str, str], Loop]) -> dict[tuple[str, str], float]:
    """Median over the rounds of the mean time of a call; every round times each of them once."""
    times: dict[tuple[str, str], list[float]] = {key: [] for key in loops}
    for _ in range(ROUNDS):
        for key, loop in loops.items():
            begin = time.perf_counter()
            loop(CALLS)
            times[key].append((time.perf_counter() - begin) / CALLS * 1e6)
    return {key: median(values) for key, values in times.items()}


def main() -> None:
    loops: dict[tuple[str, str], Loop] = {(name, "torch"): loop for name, loop in torch_loops().items()}
    for name, recipe in RECIPES.items():
        loops[name, "write"], loops[name, "update"] = samestep_loops(recipe)
    found = microseconds(loops)
    cheapest = min((cost, name) for (name, whose), cost in found.items() if whose == "torch")
    table = Table(
        "schedule",
        "samestep\nvalue and write",
        "samestep\nwhole update",
        "torch\n.step()",
        "write\n/ cheapest",
        "update\n/ cheapest",
        title=f"Microseconds for two parameter groups, medians of {ROUNDS} rounds of {CALLS}",
        caption=f"The cheapest of torch's schedulers is the {cheapest[1]} one, {cheapest[0]:.2f} us.",
    )
    for name in dict.fromkeys(name for name, _ in found):
        ours = [found.get((name, what)) for what in ("write", "update")]
        cells = [*ours, found.get((name, "torch")), *(cost and cost / cheapest[0] for cost in ours)]
        table.add_row(name, *("" if cell is None else f"{cell:.2f}" for cell in cells))
    Console(width=100).print(table)


if __name__ == "__main__":
    for name in ("pytorch_lightning", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(pytorch_lightning|lightning)\.")
    main()
