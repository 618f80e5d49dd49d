"""Every update of an AdamW in Keras uses the values of the golden tables, rounded to float32."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import keras
import pytest

from samestep import Recipe
from samestep.core.recipes.float32 import float32
from samestep.keras import HyperparameterScheduler

from .tiny_training import followed, probe, train

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "schedules.json").read_text())


@pytest.mark.parametrize("row", GOLDEN, ids=lambda row: row["family"])
def test_every_update_uses_the_value_of_the_table(row: dict[str, Any]) -> None:
    recipe, clock = Recipe.from_dict(row["recipe"]), row["clock"]
    model = probe(recipe.optimizer)
    run = train(model, HyperparameterScheduler(recipe), batches=clock["updates_per_epoch"], epochs=clock["epochs"])
    assert run.used(row["hyperparameter"]) == [float32(value) for value in row["values"]]
    if row["hyperparameter"] == "momentum":
        # With gradient 1 throughout, what is missing from the moving average of 1 is the product of the momenta.
        moments = keras.ops.convert_to_numpy(model.optimizer._momentums[0]).ravel()
        # 24 updates, each rounded to float32.
        assert moments[0] == pytest.approx(1 - math.prod(row["values"]), rel=24 * 2**-24)
    else:
        followed(run, recipe.plan(**clock), clock["updates_per_epoch"])  # and so do the weights say
