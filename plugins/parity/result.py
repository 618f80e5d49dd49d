"""The result of a comparison: the table, the assertion, the figures as JSON."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from ..core.recipes.plan import Plan
from .problem import PROBE, TRAINED, Problem, Weights, loss_and_accuracy
from .runs import Run

WEIGHT_TOLERANCE = 1e-5


@dataclass(frozen=True)
class Row:
    """The figures of one run.

    Attributes:
        framework: The framework's name.
        stock: Whether it trained with the framework's own optimizer.
        learning_rate: Largest absolute difference from Lightning's at any update.
        weight_decay: Likewise. A stock Keras optimizer does not expose the weight decay that its compiled step uses; it
            is measured per epoch on a weight without a gradient, to about three digits.
        from_lightning: Distance of the final weights from Lightning's, relative to the distance travelled.
        from_reference: Likewise, from the float64 reference's.
        loss: Final mean cross-entropy of the training examples.
        accuracy: Final accuracy on the held-out examples.
    """

    framework: str
    stock: bool
    learning_rate: float
    weight_decay: float
    from_lightning: float
    from_reference: float
    loss: float
    accuracy: float


@dataclass
class ParityResult:
    """One recipe trained in several frameworks; prints as a table.

    Attributes:
        plan: The recipe's plan for this problem.
        problem: What was trained.
        runs: The runs with samestep, by framework.
        stock: The runs with the frameworks' own optimizers, by framework.
        reference: The run in float64.
    """

    plan: Plan
    problem: Problem
    runs: dict[str, Run] = field(repr=False)
    stock: dict[str, Run] = field(repr=False)
    reference: Run = field(repr=False)

    def rows(self) -> list[Row]:
        """The figures of every run, samestep's first."""
        return [
            self._row(run, runs[self.first], runs is self.stock)
            for runs in (self.runs, self.stock)
            for run in runs.values()
        ]

    @property
    def first(self) -> str:
        """The framework that the others are compared with: Lightning if it was trained."""
        return "lightning" if "lightning" in self.runs else next(iter(self.runs))

    def assert_same(self, weights: float = WEIGHT_TOLERANCE) -> None:
        """Raise AssertionError unless every framework made the same training step.

        Every hyperparameter of every update must equal the plan's after rounding to float32, and be the same in all
        frameworks. The final weights must be within `weights` of the distance travelled. The message names the first
        update that differs.
        """
        for name, run in self.runs.items():
            others = {"the plan": self.reference.trace, self.first: self.runs[self.first].trace}
            for other, trace in others.items():
                difference = trace.first_difference(run.trace)
                if difference is not None:
                    raise AssertionError(difference.describe(other, name))
        for row in self.rows():
            if not row.stock and not row.from_lightning <= weights:
                raise AssertionError(
                    f"the final weights of {row.framework} are {row.from_lightning:.1e} of the distance travelled from "
                    f"those of {self.first}; expected at most {weights:.1e}. Every hyperparameter is the same."
                )

    def distances(self, run: Run, other: Run) -> list[float]:
        """Per epoch, the distance between two runs' weights, relative to the distance that `other` travelled."""
        start = self.problem.initial_weights()
        return [
            _distance(a, b) / (_distance(b, start) or math.nan) for a, b in zip(run.weights, other.weights, strict=True)
        ]

    def measured_weight_decay(self, run: Run) -> list[float]:
        """The weight decay that acted in each epoch, measured on the weight without a gradient.

        Each update multiplies that weight by 1 - learning_rate * weight_decay. NaN for an epoch whose learning rate is
        zero throughout.
        """
        probes = [1.0, *(float(weights[PROBE]) for weights in run.weights)]
        decays = []
        for epoch in range(self.problem.epochs):
            rate = math.fsum(self.plan.values("learning_rate", epoch))
            ratio = probes[epoch + 1] / probes[epoch] if probes[epoch] > 0 else math.nan
            decays.append(-math.log(ratio) / rate if rate > 0 and ratio > 0 else math.nan)
        return decays

    def __str__(self) -> str:
        from rich.console import Console

        console = Console(width=100, file=StringIO())
        with console.capture() as capture:
            console.print(self.table())
        return capture.get()

    def table(self) -> Any:
        """The figures as a rich.table.Table."""
        from rich import box
        from rich.table import Table

        caption = (
            f"Largest difference of learning rate and weight decay from {self.first}'s at any update; distance of the "
            f"final weights from {self.first}'s and from a float64 reference's, relative to the distance travelled; "
            f"cross-entropy of the training examples, accuracy on the others."
        )
        title = f"{self.problem.epochs} epochs of {self.problem.updates_per_epoch} updates"
        table = Table(title=title, caption=caption, caption_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1))
        table.pad_edge = table.show_edge = False
        columns = (
            "",
            "learning\nrate",
            "weight\ndecay",
            f"weights\n{self.first}",
            "weights\nfloat64",
            "loss",
            "accuracy",
        )
        for column in columns:
            table.add_column(column, justify="right" if column else "left", no_wrap=True)
        every_row = self.rows()
        for by_stock, heading in ((False, "samestep"), (True, "stock optimizers")):
            rows = [row for row in every_row if row.stock is by_stock]
            if rows:
                table.add_row(f"[bold]{heading}[/]")
            for row in rows:
                table.add_row(
                    f" {row.framework}",
                    _figure(row.learning_rate),
                    _figure(row.weight_decay),
                    "" if row.framework == self.first else _figure(row.from_lightning),
                    _figure(row.from_reference),
                    f"{row.loss:.5f}",
                    f"{row.accuracy:.2%}",
                    end_section=row is rows[-1],
                )
        return table

    def to_dict(self) -> dict[str, Any]:
        """The figures, the plan's recipe and the traces, as JSON-ready data."""
        return {
            "problem": asdict(self.problem),
            "recipe": self.plan.recipe.to_dict(),
            "rows": [asdict(row) for row in self.rows()],
            "runs": [
                {
                    "framework": run.framework,
                    "stock": runs is self.stock,
                    "trace": run.trace.to_dict(),
                    "losses": run.losses,
                    "distance_by_epoch": self.distances(run, runs[self.first]),
                    "measured_weight_decay_by_epoch": self.measured_weight_decay(run),
                }
                for runs in (self.runs, self.stock)
                for run in runs.values()
            ],
        }

    def save(self, path: str | Path) -> None:
        """Write `to_dict` as JSON."""
        Path(path).write_text(json.dumps(_without_nan(self.to_dict()), indent=1) + "\n")

    def _row(self, run: Run, other: Run, by_stock: bool) -> Row:
        recorded = all("weight_decay" in entry.values for entry in run.trace.entries)
        if recorded:
            weight_decay = other.trace.largest_difference(run.trace, "weight_decay")
        else:
            pairs = zip(self.measured_weight_decay(run), self.measured_weight_decay(other), strict=True)
            weight_decay = float(np.nanmax([abs(a - b) for a, b in pairs]))
        loss, _ = loss_and_accuracy(run.weights[-1], self.problem.train)
        _, accuracy = loss_and_accuracy(run.weights[-1], self.problem.test)
        return Row(
            framework=run.framework,
            stock=by_stock,
            learning_rate=other.trace.largest_difference(run.trace, "learning_rate"),
            weight_decay=weight_decay,
            from_lightning=self.distances(run, other)[-1],
            from_reference=self.distances(run, self.reference)[-1],
            loss=loss,
            accuracy=accuracy,
        )


def _distance(a: Weights, b: Weights) -> float:
    squares = [np.sum((a[name].astype(np.float64) - b[name].astype(np.float64)) ** 2) for name in TRAINED]
    return math.sqrt(math.fsum(map(float, squares)))


def _figure(value: float) -> str:
    return "0" if value == 0 else f"{value:.1e}".replace("e-0", "e-")


def _without_nan(value: Any) -> Any:
    """JSON has no NaN: null stands for a missing figure."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
