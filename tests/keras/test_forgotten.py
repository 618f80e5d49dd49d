"""An optimizer built for a recipe says so if nothing drives its schedules; so does one loaded from a driven run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from samestep import SGDW, AdamW, NAdamW, Recipe, StepDecay, epochs
from samestep.keras import EpochGatedDecay, HyperparameterScheduler, build_optimizer

from .tiny_training import followed, probe, train

DROPS = StepDecay(0.1, every=epochs(1))
SPEC = AdamW(0.5, 0.1, betas=(0.0, 0.0))
FORGOTTEN = "whose learning_rate should follow a schedule, but no callback"


def model_of(recipe: Recipe, **compiled: Any) -> Any:
    model = probe(None)
    model.compile(build_optimizer(recipe, model), loss="mse", **compiled)
    return model


def fit(model: keras.Model, *callbacks: Any, **options: Any) -> None:
    model.fit(np.zeros((4, 2)), np.zeros((4, 1)), 2, verbose=0, callbacks=list(callbacks), **options)


@pytest.mark.parametrize("spec", [SPEC, NAdamW(0.5), SGDW(0.5), AdamW(0.5, clipnorm=1.0)])
@pytest.mark.parametrize("eager", [False, True])
def test_a_forgotten_callback_is_warned_of_once(spec: Any, eager: bool) -> None:
    model = model_of(Recipe(spec, learning_rate=DROPS), run_eagerly=eager)
    with pytest.warns(UserWarning, match=FORGOTTEN) as caught:
        fit(model, epochs=2)
    assert len([each for each in caught if "samestep" in str(each.message)]) == 1


def test_loops_that_call_no_callback_are_warned_too() -> None:
    recipe = Recipe(SPEC, learning_rate=DROPS)
    model = model_of(recipe)
    with pytest.warns(UserWarning, match=FORGOTTEN):
        model.train_on_batch(np.zeros((4, 2)), np.zeros((4, 1)))
    optimizer, weights = build_optimizer(recipe, model), [keras.Variable([1.0])]
    with pytest.warns(UserWarning, match=FORGOTTEN):
        optimizer.apply([keras.ops.ones((1,))], weights)


def test_what_a_callback_drives_is_not_warned_of() -> None:
    recipe = Recipe(SPEC, learning_rate=DROPS)
    model = probe(None)
    model = probe(build_optimizer(recipe, model))
    followed(train(model, HyperparameterScheduler(recipe)), recipe.plan(5, 3), 5)


def test_a_callback_that_drives_some_of_it_leaves_the_rest_due() -> None:
    model = model_of(Recipe(SPEC, learning_rate=DROPS, weight_decay=DROPS))
    with pytest.warns(UserWarning, match="whose weight_decay should follow"):
        fit(model, EpochGatedDecay(0.1, start_epoch=0), epochs=1)


@pytest.mark.parametrize(
    "callback",
    [lambda: HyperparameterScheduler(Recipe(SPEC, learning_rate=DROPS)), lambda: EpochGatedDecay(0.1, start_epoch=0)],
)
def test_a_loaded_optimizer_knows_what_drove_it(callback: Any, tmp_path: Path) -> None:
    model = model_of(Recipe(SPEC))
    fit(model, callback(), epochs=2)
    model.save(tmp_path / "model.keras")
    with pytest.warns(UserWarning, match=FORGOTTEN):
        fit(keras.models.load_model(tmp_path / "model.keras"), epochs=1)
    fit(keras.models.load_model(tmp_path / "model.keras"), callback(), initial_epoch=2, epochs=3)


def test_without_a_schedule_nothing_is_due(tmp_path: Path) -> None:
    recipe = Recipe(SPEC)
    model = model_of(recipe)
    fit(model, HyperparameterScheduler(recipe))
    model.save(tmp_path / "model.keras")
    fit(model)
    fit(keras.models.load_model(tmp_path / "model.keras"))


def test_a_recipe_without_an_optimizer_cannot_build_one() -> None:
    with pytest.raises(ValueError, match=r"build_optimizer: found a recipe without an optimizer; give it one, as in"):
        build_optimizer(Recipe(learning_rate=DROPS), probe(None))
