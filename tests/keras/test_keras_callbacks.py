"""Keras' own callbacks beside samestep's: the updates use what is planned."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import pytest

from samestep import AdamW, LinearDecay, Recipe, StepDecay
from samestep.core.recipes.float32 import float32
from samestep.keras import HyperparameterScheduler, build_optimizer

from .tiny_training import followed, mean_prediction, probe, train

EAGER = {"run_eagerly": True}  # to trace or to compile a step takes longer than all of its updates

CALLBACKS: dict[str, Callable[[Path], keras.callbacks.Callback]] = {
    "SwapEMAWeights": lambda _: keras.callbacks.SwapEMAWeights(),
    "SwapEMAWeights, per epoch": lambda _: keras.callbacks.SwapEMAWeights(swap_on_epoch=True),
    "BackupAndRestore": lambda folder: keras.callbacks.BackupAndRestore(folder / "backup"),
    "BackupAndRestore, per batch": lambda folder: keras.callbacks.BackupAndRestore(folder / "backup", save_freq=2),
    "ModelCheckpoint": lambda folder: keras.callbacks.ModelCheckpoint(folder / "{epoch}.keras", monitor="loss"),
    "EarlyStopping": lambda _: keras.callbacks.EarlyStopping("loss", patience=9, restore_best_weights=True),
    "TerminateOnNaN": lambda _: keras.callbacks.TerminateOnNaN(),
    "CSVLogger": lambda folder: keras.callbacks.CSVLogger(folder / "log.csv"),
}


@pytest.fixture
def recipe(spec: AdamW) -> Recipe:
    return Recipe(spec, learning_rate=LinearDecay("100%"), weight_decay=StepDecay(0.5, every="1 epoch"))


@pytest.mark.parametrize("name", CALLBACKS)
@pytest.mark.parametrize("listed_first", [True, False], ids=["before_ours", "after_ours"])
def test_a_callback_of_keras(listed_first: bool, name: str, recipe: Recipe, tmp_path: Path) -> None:
    averaged = name.startswith("SwapEMA")
    model = probe(recipe.optimizer, options={"use_ema": averaged, "ema_momentum": 0.5}, **EAGER)
    callbacks = [CALLBACKS[name](tmp_path), HyperparameterScheduler(recipe, verify=True)]
    run = train(model, *(callbacks if listed_first else reversed(callbacks)), epochs=2)
    plan = recipe.plan(5, 2)
    if averaged:  # and the weights are others
        for hyperparameter in ("learning_rate", "weight_decay"):
            assert run.used(hyperparameter) == [float32(value) for value in plan.values(hyperparameter)]
    else:
        followed(run, plan, 5)


@pytest.mark.parametrize("own", [keras.callbacks.LearningRateScheduler, keras.callbacks.ReduceLROnPlateau])
def test_a_callback_that_sets_the_learning_rate_beside_a_weight_decay_schedule(own: Any, spec: AdamW) -> None:
    recipe = Recipe(spec, weight_decay=StepDecay(0.5, every="1 epoch"))
    beside = own(lambda epoch: 0.5) if own is keras.callbacks.LearningRateScheduler else own("loss")
    with pytest.raises(ValueError, match=f"found Keras' own {own.__name__}, which already drives learning_rate; "):
        train(probe(spec, **EAGER), HyperparameterScheduler(recipe), beside)


def test_a_clone_of_a_model_in_training(recipe: Recipe) -> None:
    class Clones(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            clone = keras.models.clone_model(self.model)
            clone.compile(build_optimizer(recipe.optimizer, clone), loss=mean_prediction, **EAGER)
            followed(train(clone, HyperparameterScheduler(recipe), epochs=1), recipe.plan(5, 1), 5)

    run = train(probe(recipe.optimizer, **EAGER), HyperparameterScheduler(recipe), Clones(), epochs=2)
    followed(run, recipe.plan(5, 2), 5)
