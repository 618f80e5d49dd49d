"""The cost of values: samestep's plans, torch's schedulers, optax, transformers' lambdas, a closed form by hand.

Run it with `python benchmarks/core.py`. Everything is timed in turn in one process, round after round; the tables show
medians. "whole run" computes all values of a run at once if possible (a plan's `values`, optax under jax.jit and vmap),
otherwise one after the other. Shared machines are noisy: compare ratios.
"""

from __future__ import annotations

import math
import time
import tracemalloc
import warnings
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import jax
import optax
import torch
import transformers
from rich.console import Console
from rich.table import Table
from torch.optim import lr_scheduler

import samestep
from samestep import (
    CosineDecay,
    EpochFunction,
    ExponentialDecay,
    InverseSqrtDecay,
    InverseTimeDecay,
    LinearDecay,
    MultiStepDecay,
    PolynomialDecay,
    Recipe,
    RexDecay,
    Schedule,
    StepDecay,
    TanhDecay,
    Triangular,
    Warmup,
    epochs,
    noam,
    one_cycle,
    percent,
    sequence,
    updates,
    warmup_stable_decay,
)

ROUNDS, CALLS = 9, 2000
WARMUP, RUN, PER_EPOCH = 1000, 100_000, 1000
MILLION, BILLION = 10**6, 10**9
BASE = 1e-3

SHAPES: dict[str, Schedule] = {
    "StepDecay": StepDecay(0.5, every=epochs(1)),
    "MultiStepDecay": MultiStepDecay(0.5, at=[epochs(1), epochs(3)]),
    "ExponentialDecay": ExponentialDecay(0.5, every=epochs(1)),
    "InverseTimeDecay": InverseTimeDecay(0.01, every=updates(1)),
    "InverseSqrtDecay": InverseSqrtDecay(updates(100)),
    "LinearDecay": LinearDecay(over=percent(100)),
    "PolynomialDecay": PolynomialDecay(over=percent(100), power=2),
    "CosineDecay": CosineDecay(over=percent(100)),
    "CosineDecay, k_decay": CosineDecay(over=percent(100), k_decay=2),
    "TanhDecay": TanhDecay(over=percent(100)),
    "RexDecay": RexDecay(over=percent(100)),
    "Warmup": Warmup(over=percent(100)),
    "Triangular": Triangular(up=updates(100)),
    "Triangular, triangular2": Triangular(up=updates(100), mode="triangular2"),
    "Triangular, exp_range": Triangular(up=updates(100), mode="exp_range", gamma=0.99999),
    "Table": samestep.Table([0.1, 1.0, 0.5], every=epochs(1)),
    "EpochFunction": EpochFunction(lambda epoch, eta: eta * 0.9),
    "one_cycle": one_cycle(),
    "warmup_stable_decay": warmup_stable_decay(warmup=percent(10), cooldown=percent(10)),
    "noam": noam(percent(10)),
    "CosineDecay.repeat": CosineDecay(over=epochs(1)).repeat(epochs(1), decay=0.5),
    **{
        f"CosineDecay.repeat, growth {growth}": CosineDecay(over=updates(10)).repeat(updates(10), growth, decay=0.5)
        for growth in (2, 1.5, 1.1, 1.01)
    },
}
OURS = Recipe(
    learning_rate=sequence(Warmup(over=updates(WARMUP)), (updates(WARMUP), CosineDecay("100% - 1000 updates")))
)


def by_hand(t: int) -> float:
    """Warmup and cosine as one would write them in a training script, in the style of timm."""
    if t < WARMUP:
        return BASE * t / WARMUP
    return BASE * 0.5 * (1.0 + math.cos(math.pi * (t - WARMUP) / (RUN - WARMUP)))


def scheduler(make: Callable[[torch.optim.Optimizer], Any]) -> Any:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=BASE)
    made = make(optimizer)
    optimizer.step()  # torch warns of a scheduler that is called before its optimizer
    return made


def torchs(optimizer: torch.optim.Optimizer) -> Any:
    warmup = lr_scheduler.LinearLR(optimizer, 1e-3, total_iters=WARMUP)
    cosine = lr_scheduler.CosineAnnealingLR(optimizer, RUN - WARMUP)
    return lr_scheduler.SequentialLR(optimizer, [warmup, cosine], [WARMUP])


def huggingfaces(optimizer: torch.optim.Optimizer) -> Any:
    return transformers.get_cosine_schedule_with_warmup(optimizer, WARMUP, RUN)


def each(calls: int, call: Callable[[int], Any]) -> None:
    for t in range(calls):
        call(t)


def step(make: Callable[[torch.optim.Optimizer], Any]) -> Callable[[int], None]:
    """`calls` of a torch scheduler's step, from its beginning."""

    def steps(calls: int) -> None:
        made = scheduler(make)
        for _ in range(calls):
            made.step()

    return steps


def contestants() -> dict[str, Callable[[int], Any]]:
    """Each makes so many values, one after the other; or, under a name that says so, as many at once."""
    plan = OURS.plan(PER_EPOCH, RUN // PER_EPOCH)
    optaxs = optax.warmup_cosine_decay_schedule(0.0, BASE, WARMUP, RUN)
    jitted, at_once = jax.jit(optaxs), jax.jit(jax.vmap(optaxs))
    factor = scheduler(huggingfaces).lr_lambdas[0]
    return {
        "samestep: plan.values, at once": lambda n: plan.between("learning_rate", 0, n, BASE),
        "samestep: plan.value": lambda n: each(n, lambda t: plan.value("learning_rate", *divmod(t, PER_EPOCH), BASE)),
        "closed form by hand, as timm's": lambda n: each(n, by_hand),
        "transformers: lambda alone": lambda n: each(n, lambda t: BASE * factor(t)),
        "transformers: scheduler.step()": step(huggingfaces),
        "torch: SequentialLR.step()": step(torchs),
        "optax: jit and vmap, at once": lambda n: at_once(jax.numpy.arange(n)).block_until_ready(),
        "optax: jit": lambda n: each(n, jitted),
    }


def seconds(call: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def interleaved(calls: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Median seconds of each; every round makes each of them once, after a first one that does not count."""
    found: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds + 1):
        for name, call in calls.items():
            took = seconds(call)
            if number:
                found[name].append(took)
    return {name: median(times) for name, times in found.items()}


def beside_others(console: Console) -> None:
    makers = contestants()
    few = interleaved({name: partial(make, CALLS) for name, make in makers.items()}, ROUNDS)
    whole = interleaved({name: partial(make, RUN) for name, make in makers.items() if name != "optax: jit"}, rounds=3)
    table = Table(
        "warmup and cosine",
        "a value\n[us]",
        f"whole run of {RUN:,}\n[ms]",
        "relative to\nplan.values",
        title="Learning rates of one parameter group",
    )
    ours = whole["samestep: plan.values, at once"]
    for name in makers:
        run = (f"{1e3 * whole[name]:.1f}", f"{whole[name] / ours:.1f}") if name in whole else ("", "")
        table.add_row(name, f"{1e6 * few[name] / CALLS:.2f}", *run)
    console.print(table)


def every_shape(console: Console) -> None:
    plans = {name: Recipe(learning_rate=shape).plan(MILLION // 10, 10) for name, shape in SHAPES.items()}
    found = interleaved(
        {name: partial(plan.values, "learning_rate", base=BASE) for name, plan in plans.items()}, rounds=3
    )
    table = Table("shape", "a million values\n[s]", "a plan of 10^9 updates, and its last value\n[ms]", "memory\n[KiB]")
    for name, shape in SHAPES.items():
        recipe = Recipe(learning_rate=shape)

        def resolve(recipe: Recipe = recipe) -> float:
            plan = recipe.plan(BILLION // 1000, 1000)
            return plan.value("learning_rate", 999, BILLION // 1000 - 1, BASE)

        resolved = interleaved({name: resolve}, ROUNDS)[name]
        tracemalloc.start()
        kept = recipe.plan(BILLION // 1000, 1000)
        memory = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        table.add_row(name, f"{found[name]:.3f}", f"{1e3 * resolved:.2f}", f"{memory / 1024:.1f}")
        del kept
    console.print(table)


def in_words(console: Console) -> None:
    """A run of 100 epochs of 2,000,000 updates: seconds and memory must not depend on its length."""
    warmup = sequence(Warmup("1000 updates"), ("1000 updates", CosineDecay("100% - 1000 updates")))
    recipes = {
        "warmup and cosine, weight decay": Recipe(
            samestep.AdamW(BASE, 0.1), learning_rate=warmup, weight_decay=LinearDecay("100%", end=0.5)
        ),
        "one cycle, momentum": Recipe(
            samestep.AdamW(BASE, 0.1), learning_rate=one_cycle(), momentum=one_cycle(start=1, top=0.9, end=1)
        ),
        "200,000 restarts": Recipe(learning_rate=CosineDecay("1000 updates").repeat("1000 updates")),
        "200,000 drops": Recipe(learning_rate=StepDecay(0.9999, every=updates(1000))),
    }
    table = Table("100 epochs of 2,000,000 updates", "explain()\n[s]", "lint()\n[s]", "memory of explain()\n[MiB]")
    for name, recipe in recipes.items():
        plan = recipe.plan(2 * MILLION, 100)
        found = interleaved({"explain": plan.explain, "lint": plan.lint}, rounds=3)
        tracemalloc.start()
        plan.explain()
        memory = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        table.add_row(name, f"{found['explain']:.2f}", f"{found['lint']:.2f}", f"{memory / 2**20:.1f}")
    console.print(table)


if __name__ == "__main__":
    warnings.filterwarnings("ignore", module="torch")
    console = Console(width=110)
    beside_others(console)
    every_shape(console)
    in_words(console)
