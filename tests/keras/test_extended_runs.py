"""A run of Keras that goes on with another length, other batches, or as one of several optimizers."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from samestep import SGDW, AdamW, CosineDecay, LinearDecay, Recipe, StepDecay, epochs, percent, updates
from samestep.keras import HyperparameterScheduler, TraceRecorder, build_optimizer

from ..recipe_changes import SPEC, STEPS
from .tiny_training import X, Y, built, every_epoch, fit, left, mean_prediction
from .versions import multi_optimizer

COSINE = Recipe(SPEC, CosineDecay(over=percent(100), end=0.1))
BY_UPDATES = Recipe(SPEC, LinearDecay(over=updates(12), end=0.25))


@pytest.fixture(autouse=True)
def _no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "HyperparameterScheduler(?!.*possible mistakes)")
        yield


def planned(recipe: Recipe, first: int, last: int, updates: int = 4, length: int = 3) -> list[float]:
    """The learning rates of the epochs from the first to before the last, by the plan of a run of so many epochs."""
    plan = recipe.plan(updates, length)
    positions = [(epoch, update) for epoch in range(first, last) for update in range(updates)]
    return [float(np.float32(plan.value("learning_rate", *position))) for position in positions]


def test_percentages_of_a_run_that_is_extended_twice_stay_those_of_the_first(tmp_path: Path) -> None:
    assert fit(built(), HyperparameterScheduler(COSINE), every_epoch(tmp_path)) == planned(COSINE, 0, 3)
    for begin, length in ((3, 5), (5, 7)):
        model = keras.models.load_model(tmp_path / f"{begin}.keras")
        told = f"found a run of {length} epochs that began as one of 3 epochs; percentages still refer to 3 epochs: "
        with pytest.warns(UserWarning, match=told):
            rates = fit(model, HyperparameterScheduler(COSINE), every_epoch(tmp_path), begin=begin, epochs=length)
        assert rates == planned(COSINE, begin, length)


def test_a_longer_fit_of_the_same_model_is_extended_too() -> None:
    model = built()
    fit(model, HyperparameterScheduler(COSINE))
    for begin, length in ((3, 5), (5, 6)):
        with pytest.warns(UserWarning, match=f"a run of {length} epochs that began as one of 3 epochs; percentages"):
            rates = fit(model, HyperparameterScheduler(COSINE), begin=begin, epochs=length)
        assert rates == planned(COSINE, begin, length)


def test_percentages_of_a_run_that_is_cut_stay_those_of_the_first(tmp_path: Path) -> None:
    fit(built(), HyperparameterScheduler(COSINE), every_epoch(tmp_path))
    with pytest.warns(UserWarning, match="found a run of 2 epochs that began as one of 3 epochs"):
        rates = fit(keras.models.load_model(tmp_path / "1.keras"), HyperparameterScheduler(COSINE), begin=1, epochs=2)
    assert rates == planned(COSINE, 1, 2)


def test_use_new_stretches_them_and_is_what_the_next_one_goes_on_from(tmp_path: Path) -> None:
    fit(built(), HyperparameterScheduler(COSINE), every_epoch(tmp_path))
    model = keras.models.load_model(tmp_path / "2.keras")
    driver = HyperparameterScheduler(COSINE, on_change="use_new")
    rates = fit(model, driver, every_epoch(tmp_path / "second"), begin=2, epochs=6)
    assert rates == planned(COSINE, 2, 6, length=6)
    model = keras.models.load_model(tmp_path / "second" / "3.keras")
    assert fit(model, HyperparameterScheduler(COSINE), begin=3, epochs=6) == planned(COSINE, 3, 6, length=6)


@pytest.mark.parametrize("first", [True, False])
def test_a_backup_that_is_taken_up_by_a_longer_run_is_extended(tmp_path: Path, first: bool) -> None:
    def callbacks() -> list[Any]:
        backup = keras.callbacks.BackupAndRestore(tmp_path, delete_checkpoint=False)
        driver = HyperparameterScheduler(COSINE)
        return [backup, driver] if first else [driver, backup]

    fit(built(), *callbacks())
    with pytest.warns(UserWarning, match="found a run of 5 epochs that began as one of 3 epochs"):
        assert fit(built(), *callbacks(), epochs=5) == planned(COSINE, 3, 5)


@pytest.mark.parametrize(
    "schedule", [STEPS, LinearDecay(over=epochs(3), end=0.25), CosineDecay(over=percent(100), end=0.1)], ids=repr
)
def test_another_size_of_batches_leaves_a_schedule_in_epochs_untouched(tmp_path: Path, schedule: Any) -> None:
    recipe = Recipe(SPEC, schedule)
    fit(built(), HyperparameterScheduler(recipe), every_epoch(tmp_path))
    model = keras.models.load_model(tmp_path / "1.keras")
    assert fit(model, HyperparameterScheduler(recipe), begin=1, batch_size=2) == planned(recipe, 1, 3, updates=2)


def test_another_size_of_batches_is_refused_where_a_schedule_counts_updates(tmp_path: Path) -> None:
    fit(built(), HyperparameterScheduler(BY_UPDATES), every_epoch(tmp_path))
    model = keras.models.load_model(tmp_path / "1.keras")
    before, options = left(model), {"batch_size": 2, "begin": 1}
    with pytest.raises(ValueError, match="updates in an epoch") as caught:
        fit(model, HyperparameterScheduler(BY_UPDATES), **options)
    assert np.array_equal(left(model), before)
    assert str(caught.value) == (
        "HyperparameterScheduler: found 2 updates in an epoch, but the run up to epoch 1, update 0 had 4, and a "
        "schedule that counts updates; keep the batch size and the number of devices, write the schedule in "
        "epochs, or write on_change='use_new'."
    )
    driver = HyperparameterScheduler(BY_UPDATES, on_change="use_new")
    assert fit(model, driver, **options) == planned(BY_UPDATES, 1, 3, updates=2)


GENERATOR = Recipe(AdamW(0.5, 0.25), LinearDecay(over=updates(16), end=0.5))
DISCRIMINATOR = Recipe(SGDW(0.25, 0.5), STEPS)
SLOWER = Recipe(SGDW(0.125, 0.5), StepDecay(0.1, every=epochs(1)))


def gan() -> keras.Model:
    """A model of two parts, and a MultiOptimizer of an optimizer for each."""
    inputs = keras.Input((2,))
    parts = {name: keras.layers.Dense(1, use_bias=False, name=name) for name in ("generator", "discriminator")}
    model = keras.Model(inputs, parts["generator"](inputs) + parts["discriminator"](inputs))
    recipes = (GENERATOR, DISCRIMINATOR)
    chosen = {
        f"{name}/.*|.*{name}.*": build_optimizer(recipe.optimizer, model)  # type: ignore[arg-type]
        for name, recipe in zip(parts, recipes, strict=True)
    }
    model.compile(multi_optimizer(keras.optimizers.SGD(), chosen), loss=mean_prediction, run_eagerly=True)
    return model


def train_gan(model: keras.Model, discriminator: Recipe, *callbacks: Any, begin: int = 0, **options: Any) -> Any:
    recorder = TraceRecorder()
    driver = HyperparameterScheduler({"generator": GENERATOR, "discriminator": discriminator}, **options)
    model.fit(X, Y, 1, 3, verbose=0, callbacks=[driver, *callbacks, recorder], initial_epoch=begin)
    columns = [recorder.traces[name].column("learning_rate") for name in ("generator", "discriminator")]
    return [[float(np.float32(rate)) for rate in column] for column in columns]


def test_each_of_several_optimizers_is_compared_with_its_own(tmp_path: Path) -> None:
    def load() -> keras.Model:
        return keras.models.load_model(tmp_path / "1.keras")

    whole = train_gan(gan(), DISCRIMINATOR, every_epoch(tmp_path))
    assert list(map(len, whole)) == [12, 12]
    rest = [column[4:] for column in whole]
    assert train_gan(load(), DISCRIMINATOR, begin=1) == rest
    with pytest.raises(ValueError, match=r"^[^\n]*[^.]\.$") as caught:
        train_gan(load(), SLOWER, begin=1)
    assert str(caught.value).startswith(
        "HyperparameterScheduler of 'discriminator': found a checkpoint (epoch 1, update 0) that was trained with "
        "different settings: recipe.optimizer.learning_rate was 0.25 and is 0.125, recipe.learning_rate.factor was"
    )
    assert train_gan(load(), SLOWER, begin=1, on_change="use_saved") == rest
    generator, discriminator = train_gan(load(), SLOWER, begin=1, on_change="use_new")
    assert generator == rest[0]
    assert discriminator == planned(SLOWER, 1, 3)
