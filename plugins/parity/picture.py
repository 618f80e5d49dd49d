"""The picture of a comparison: hyperparameters and loss by update, and the distance of the weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .result import WEIGHT_TOLERANCE, ParityResult
from .runs import Run

_COLORS = {"lightning": "C4", "keras-tensorflow": "C1", "keras-jax": "C0", "keras-torch": "C3"}
# Each line is thinner than the one below it, so that coinciding lines stay visible.
_WIDTHS = {"lightning": 7.0, "keras-tensorflow": 5.0, "keras-jax": 3.0, "keras-torch": 1.2}


def draw(result: ParityResult, path: str | Path) -> None:
    """Draw `result` into a file; the extension decides the format."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 7.5), layout="constrained")
    ((rates, decays), (losses, weights)) = figure.subplots(2, 2)
    for name, run in result.runs.items():
        style = {"color": _COLORS[name], "linewidth": _WIDTHS[name], "label": name, "solid_capstyle": "butt"}
        rates.step(range(len(run.trace)), run.trace.column("learning_rate"), where="post", **style)
        decays.plot(run.trace.column("weight_decay"), **style)
        losses.plot(run.losses, **style)
    for name, run in result.stock.items():
        if name != result.first:
            style = {"color": _COLORS[name], "linewidth": _WIDTHS[name], "label": f"{name}, stock"}
            decays.plot(*_stock_decay(result, run), linestyle=":", **style)
    _draw_weights(weights, result)
    for axes, title in (
        (rates, "learning rate used"),
        (decays, "weight decay used"),
        (losses, "loss of the batch"),
        (weights, f"weights: distance from {result.first}'s / distance travelled"),
    ):
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("update")
        axes.grid(alpha=0.3)
    losses.set_yscale("log")
    if all(rate > 0 for run in result.runs.values() for rate in run.trace.column("learning_rate")):
        rates.set_yscale("log")
    rates.legend(fontsize=8)
    if result.stock:
        decays.legend(fontsize=8)
    figure.savefig(path, dpi=110)


def _draw_weights(axes: Any, result: ParityResult) -> None:
    updates = np.arange(1, result.problem.epochs + 1) * result.problem.updates_per_epoch
    for runs, line in ((result.runs, "-"), (result.stock, ":")):
        for name, run in runs.items():
            if name != result.first:
                distances = result.distances(run, runs[result.first])
                label = f"{name}, {'samestep' if runs is result.runs else 'stock'}"
                axes.plot(updates, distances, line, color=_COLORS[name], linewidth=_WIDTHS[name], label=label)
    axes.axhline(WEIGHT_TOLERANCE, color="black", linewidth=0.8)
    axes.set_yscale("log")
    axes.legend(fontsize=8, handlelength=4)


def _stock_decay(result: ParityResult, run: Run) -> tuple[np.ndarray, list[float]]:
    """The weight decay of each epoch, at the epoch's middle: it is measured over the epoch."""
    count = result.problem.updates_per_epoch
    return (np.arange(result.problem.epochs) + 0.5) * count, result.measured_weight_decay(run)
