"""Every update of an AdamW in Lightning uses the values of the golden tables, to the last bit."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from samestep import Recipe
from samestep.lightning import HyperparameterScheduler, build_optimizer

from .tiny_training import train

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "schedules.json").read_text())


@pytest.mark.parametrize("row", GOLDEN, ids=lambda row: row["family"])
def test_every_update_uses_the_value_of_the_table(row: dict[str, Any]) -> None:
    recipe, clock = Recipe.from_dict(row["recipe"]), row["clock"]
    run = train(
        lambda module: build_optimizer(recipe.optimizer, module),
        HyperparameterScheduler(recipe),
        batches=clock["updates_per_epoch"],
        epochs=clock["epochs"],
        gradient=float(row["hyperparameter"] == "momentum"),
    )
    used = run.trace.column(row["hyperparameter"])
    assert used == row["values"]
    if row["hyperparameter"] == "momentum":
        # With gradient 1 throughout, what is missing from the moving average of 1 is the product of the momenta.
        (state,) = run.trainer.optimizers[0].state.values()
        assert float(state["exp_avg"]) == pytest.approx(1 - math.prod(row["values"]), rel=1e-14)
    else:
        # A weight of 1 without a gradient shows what acted on it.
        others = {"learning_rate": recipe.optimizer.learning_rate, "weight_decay": recipe.optimizer.weight_decay}
        del others[row["hyperparameter"]]
        (other,) = others.values()
        # The fused kernel takes a product off the weight, where others multiply by a difference: one float64 rounding.
        assert run.kept() == pytest.approx([1 - value * other for value in row["values"]], rel=2**-52)
