"""An optimizer of ours inside one of Keras': built by a first batch, saved, loaded, and trained on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from samestep import SGDW, LinearDecay, Recipe, StepDecay, epochs, updates
from samestep.keras import HyperparameterScheduler, build_optimizer

from .versions import multi_optimizer

SPEC = SGDW(0.125, 0.1, 0.875)
RECIPE = Recipe(SPEC, learning_rate=LinearDecay(over=updates(40)), weight_decay=StepDecay(0.5, every=epochs(1)))
X, Y = np.ones((4, 2), "float32"), np.ones((4, 1), "float32")


WRAPPERS: dict[str, Callable[[Any], Any]] = {
    "none": lambda optimizer: optimizer,
    "LossScaleOptimizer": keras.optimizers.LossScaleOptimizer,
    "MultiOptimizer": multi_optimizer,
    "both": lambda optimizer: keras.optimizers.LossScaleOptimizer(multi_optimizer(optimizer)),
}


def mean_prediction(_: Any, predicted: Any) -> Any:
    return ops.mean(predicted, axis=-1)


def built(wrapper: str) -> keras.Model:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    model.compile(WRAPPERS[wrapper](build_optimizer(SPEC, model)), loss=mean_prediction)
    return model


def fit(model: keras.Model, *callbacks: Any, **options: Any) -> list[float]:
    model.fit(X, Y, batch_size=1, verbose=0, callbacks=list(callbacks), **options)
    return [float(weight) for weight in ops.convert_to_numpy(model.trainable_variables[0]).ravel()]


class Lazy(keras.Model):
    """Its first batch builds it."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")

    def call(self, x: Any) -> Any:
        return self.dense(x)


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_a_model_that_its_first_batch_builds_uses_the_base_values(wrapper: str) -> None:
    model = Lazy()
    model.compile(WRAPPERS[wrapper](build_optimizer(SPEC, model)), loss=mean_prediction)
    assert fit(model) == fit(built("none"))


@pytest.mark.parametrize("wrapper", ["none", "LossScaleOptimizer"])
def test_a_model_that_its_first_batch_builds_follows_the_plan(wrapper: str) -> None:
    model = Lazy()
    model.compile(WRAPPERS[wrapper](build_optimizer(SPEC, model)), loss=mean_prediction)
    assert fit(model, HyperparameterScheduler(RECIPE)) == fit(built("none"), HyperparameterScheduler(RECIPE))


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_a_loaded_model_trains_on_as_if_it_had_not_been_saved(wrapper: str, tmp_path: Path) -> None:
    whole = fit(built(wrapper), HyperparameterScheduler(RECIPE), epochs=3)
    model = built(wrapper)
    fit(model, HyperparameterScheduler(RECIPE), epochs=2)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", custom_objects={"mean_prediction": mean_prediction})
    assert fit(loaded, HyperparameterScheduler(RECIPE), epochs=3, initial_epoch=2) == whole


# The second of the loaded models is trained without the schedule that it was saved with.
@pytest.mark.filterwarnings("ignore:(?s).*found an update with an optimizer of build_optimizer")
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_a_loaded_model_has_the_base_values_and_not_those_of_the_epoch_it_was_saved_in(
    wrapper: str, tmp_path: Path
) -> None:
    halved = Recipe(learning_rate=StepDecay(0.5, every=epochs(1)))
    path = tmp_path / "{epoch}.keras"
    fit(built(wrapper), HyperparameterScheduler(halved), keras.callbacks.ModelCheckpoint(path), epochs=2)
    moved = []
    for _ in range(2):
        model = keras.models.load_model(tmp_path / "2.keras", custom_objects={"mean_prediction": mean_prediction})
        before = ops.convert_to_numpy(model.trainable_variables[0]).ravel()[0]
        others = [] if moved else [HyperparameterScheduler(Recipe(SPEC), on_change="use_new")]
        moved.append(float(before - fit(model, *others)[0]))
    assert moved[0] == moved[1]


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_a_run_that_was_broken_off_is_taken_up_in_a_new_model(wrapper: str, tmp_path: Path) -> None:
    class BreakOff(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if epoch == 2:
                raise RuntimeError("broken off")

    whole = fit(built(wrapper), HyperparameterScheduler(RECIPE), epochs=4)
    backup = keras.callbacks.BackupAndRestore(tmp_path, delete_checkpoint=False)
    with pytest.raises(RuntimeError, match="broken off"):
        fit(built(wrapper), HyperparameterScheduler(RECIPE), backup, BreakOff(), epochs=4)
    backup = keras.callbacks.BackupAndRestore(tmp_path)
    assert fit(built(wrapper), HyperparameterScheduler(RECIPE), backup, epochs=4) == whole
