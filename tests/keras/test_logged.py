"""What the last update of an epoch used is in the logs, under the names that Lightning logs, for all callbacks."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from samestep import SGDW, AdamW, ExponentialDecay, LinearDecay, ParameterRule, Recipe, StepDecay, epochs, updates
from samestep.core.recipes.float32 import float32
from samestep.keras import EpochGatedDecay, HyperparameterScheduler, build_optimizer

from .tiny_training import probe, train


@pytest.fixture
def recipe(spec: AdamW) -> Recipe:
    """The learning rate changes at every update, and the weight decay between two epochs."""
    return Recipe(spec, learning_rate=LinearDecay(over=updates(40)), weight_decay=StepDecay(0.5, every=epochs(1)))


def lasts(recipe: Recipe, name: str, batches: int = 5, count: int = 3) -> list[float]:
    """The plan's value of the last update of each epoch."""
    plan = recipe.plan(batches, count)
    return [plan.value(name, epoch, batches - 1) for epoch in range(count)]


NAMES = ("learning_rate", "weight_decay", "momentum")


def test_the_history_has_the_values_of_the_last_update_to_the_last_bit(recipe: Recipe) -> None:
    history = train(probe(recipe.optimizer), HyperparameterScheduler(recipe)).model.history.history
    assert {name: history[name] for name in NAMES} == {name: lasts(recipe, name) for name in NAMES}
    assert len(set(history["learning_rate"])) == 3


def test_a_recipe_without_spec_logs_what_it_drives(spec: AdamW) -> None:
    stepped = Recipe(weight_decay=StepDecay(0.5, every=epochs(1)))
    history = train(probe(spec), HyperparameterScheduler(stepped)).model.history.history
    assert history["weight_decay"] == [0.1, 0.05, 0.025]
    assert not {"learning_rate", "momentum"} & set(history)


@pytest.mark.parametrize("varying", [True, False], ids=["per_update", "per_epoch"])
def test_a_stock_optimizers_learning_rate_is_logged_as_it_was_planned(varying: bool) -> None:
    recipe = Recipe(learning_rate=LinearDecay(over=updates(40)) if varying else ExponentialDecay(0.3, every=epochs(1)))
    scheduler = HyperparameterScheduler(recipe, resolution="update" if varying else "epoch")
    history = train(probe(keras.optimizers.SGD(0.1)), scheduler).model.history.history
    plan = recipe.plan(5, 3)
    assert history["learning_rate"] == [plan.value("learning_rate", epoch, 4 * varying, base=0.1) for epoch in range(3)]


def test_of_an_epoch_that_is_broken_off_the_last_update_counts(recipe: Recipe) -> None:
    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.model.stop_training = batch == 2

    history = train(probe(recipe.optimizer), HyperparameterScheduler(recipe), Stop()).model.history.history
    assert history["learning_rate"] == [recipe.plan(5, 3).value("learning_rate", 0, 2)]


def test_the_values_of_an_epoch_of_unknown_length_are_logged(spec: AdamW) -> None:
    stepped = Recipe(spec, learning_rate=StepDecay(0.5, every=epochs(1)))
    history = train(probe(spec), HyperparameterScheduler(stepped), stream=True).model.history.history
    assert history["learning_rate"] == [0.125, 0.0625, 0.03125]


def test_each_group_of_parameters_is_logged() -> None:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    spec = SGDW(0.5, 0.25, parameters=[ParameterRule(role="bias", weight_decay=0.0, learning_rate=2.0)])
    model.compile(optimizer=build_optimizer(spec, model), loss="mse")
    halved = Recipe(spec, learning_rate=StepDecay(0.5, every=epochs(1)))
    callbacks = [HyperparameterScheduler(halved)]
    history = model.fit(np.ones((4, 2)), np.ones((4, 1)), epochs=2, verbose=0, callbacks=callbacks).history
    assert (history["learning_rate"], history["learning_rate/1"]) == ([0.5, 0.25], [1.0, 0.5])
    assert (history["weight_decay"], history["weight_decay/1"]) == ([0.25, 0.25], [0.0, 0.0])


@pytest.mark.parametrize("listed_first", [True, False], ids=["before_ours", "after_ours"])
def test_the_csv_logger_writes_them_wherever_it_stands(listed_first: bool, recipe: Recipe, tmp_path: Path) -> None:
    callbacks = [keras.callbacks.CSVLogger(tmp_path / "log.csv"), HyperparameterScheduler(recipe)]
    train(probe(recipe.optimizer), *(callbacks if listed_first else reversed(callbacks)))
    rows = list(csv.DictReader((tmp_path / "log.csv").open()))
    for name in ("learning_rate", "weight_decay"):
        assert [float(row[name]) for row in rows] == lasts(recipe, name)


@pytest.mark.parametrize("listed_first", [True, False], ids=["before_ours", "after_ours"])
def test_tensorboard_shows_them_wherever_it_stands(listed_first: bool, recipe: Recipe, tmp_path: Path) -> None:
    callbacks = [keras.callbacks.TensorBoard(tmp_path), HyperparameterScheduler(recipe)]
    train(probe(recipe.optimizer), *(callbacks if listed_first else reversed(callbacks)))
    shown = events(tmp_path / "train")
    for name in ("learning_rate", "weight_decay"):
        assert shown[f"epoch_{name}"] == [float32(value) for value in lasts(recipe, name)]


def events(folder: Path) -> dict[str, list[float]]:
    """The scalars in TensorBoard's files, by name."""
    import tensorflow as tf

    found: dict[str, list[float]] = {}
    for path in sorted(folder.glob("events*")):
        for record in tf.data.TFRecordDataset(str(path)):
            for value in tf.compat.v1.Event.FromString(record.numpy()).summary.value:
                if value.tag.startswith("epoch_"):
                    found.setdefault(value.tag, []).append(float(tf.make_ndarray(value.tensor)))
    return found


def test_a_list_of_callbacks_is_left_as_it_was_and_serves_a_second_fit(recipe: Recipe) -> None:
    model, seen = probe(recipe.optimizer), []

    class First(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            seen.append((logs or {}).get("learning_rate"))

    x, y = np.ones((5, 2), "float32"), np.ones((5, 1), "float32")
    callbacks = keras.callbacks.CallbackList(
        [First(), HyperparameterScheduler(recipe)], add_history=True, model=model, epochs=2, steps=5
    )
    before = list(callbacks.callbacks)
    for _ in range(2):
        model.fit(x, y, batch_size=1, epochs=2, verbose=0, callbacks=callbacks)
        assert callbacks.callbacks == before
    assert seen == lasts(recipe, "learning_rate", 5, 2) * 2


def test_a_fit_that_failed_leaves_nothing_behind_in_a_list_of_callbacks(recipe: Recipe) -> None:
    model, ends = probe(recipe.optimizer), []

    class Counted(HyperparameterScheduler):
        def _end_epoch(self, epoch: int, logs: Any) -> None:
            ends.append(epoch)
            super()._end_epoch(epoch, logs)

    class Fails(keras.callbacks.Callback):
        fails = True

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            if self.fails:
                raise RuntimeError("the user's own failure")

    x, y, fails = np.ones((5, 2), "float32"), np.ones((5, 1), "float32"), Fails()
    callbacks = keras.callbacks.CallbackList([fails, Counted(recipe)], add_history=True, model=model, epochs=2, steps=5)
    with pytest.raises(RuntimeError, match="own failure"):
        model.fit(x, y, batch_size=1, epochs=2, verbose=0, callbacks=callbacks)
    fails.fails = False
    model.fit(x, y, batch_size=1, epochs=2, verbose=0, callbacks=callbacks)
    assert ends == [0, 1]


def test_a_callback_whose_hooks_the_user_calls_logs_as_well(recipe: Recipe) -> None:
    model, logs = probe(recipe.optimizer), {}
    scheduler = EpochGatedDecay(0.5, start_epoch=0)
    scheduler.set_model(model)
    scheduler.set_params({"steps": 1, "epochs": 1})
    scheduler.on_train_begin()
    scheduler.on_epoch_begin(0)
    model.train_on_batch(np.ones((1, 2), "float32"), np.ones((1, 1), "float32"))
    scheduler.on_epoch_end(0, logs)
    scheduler.on_train_end()
    assert logs == {"learning_rate": 0.0625}
