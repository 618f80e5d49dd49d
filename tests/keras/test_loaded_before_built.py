"""A checkpoint that is loaded into a model whose optimizer is not built yet: nothing of it is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from samestep import SGDW, AdamW, NAdamW, ParameterRule, Recipe, StepDecay, epochs
from samestep.core.specs.spec import Spec
from samestep.keras import HyperparameterScheduler, ReduceOnPlateau, build_optimizer

RULES = [ParameterRule(role="bias", weight_decay=0)]
SPECS = [SGDW(0.05, 0.1, 0.9), AdamW(0.01, 0.1, parameters=RULES), NAdamW(0.01, 0.1)]
X = np.random.default_rng(0).standard_normal((8, 3)).astype("float32")
Y = X.sum(axis=1, keepdims=True)
FIT: dict[str, Any] = {"x": X, "y": Y, "batch_size": 2, "shuffle": False, "verbose": 0}


def made(spec: Spec, policy: str = "float32", **options: Any) -> keras.Model:
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(4, activation="tanh", dtype=policy), keras.layers.Dense(1, dtype=policy)]
    model = keras.Sequential([keras.Input((3,)), *layers])
    model.dtype_policy = keras.dtype_policies.get(policy)
    model.compile(build_optimizer(spec, model, **options), loss="mse", run_eagerly=True)
    return model


def recipe(spec: Spec) -> Recipe:
    return Recipe(spec, learning_rate=StepDecay(0.5, every=epochs(1)))


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: type(spec).__name__)
def test_the_run_goes_on(spec: Spec, policy: str, tmp_path: Path) -> None:
    path, options = tmp_path / "run.weights.h5", {"use_ema": True} if policy == "float32" else {}
    whole = made(spec, policy, **options)
    saves = keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.weights.h5", save_weights_only=True)
    whole.fit(**FIT, epochs=4, callbacks=[HyperparameterScheduler(recipe(spec)), saves])
    path = tmp_path / "2.weights.h5"
    rest = made(spec, policy, **options)
    assert not rest.optimizer.built
    rest.load_weights(path)
    assert rest.optimizer.built
    assert 6 <= int(ops.convert_to_numpy(rest.optimizer.iterations)) <= 8  # loss scaling skips some
    rest.fit(**FIT, initial_epoch=2, epochs=4, callbacks=[HyperparameterScheduler(recipe(spec))])
    assert all(map(np.array_equal, rest.get_weights(), whole.get_weights()))


def test_another_recipe_is_noticed(tmp_path: Path) -> None:
    whole = made(SPECS[0])
    whole.fit(**FIT, epochs=2, callbacks=[HyperparameterScheduler(recipe(SPECS[0]))])
    whole.save_weights(tmp_path / "run.weights.h5")
    rest = made(SPECS[0])
    rest.load_weights(tmp_path / "run.weights.h5")
    other = Recipe(SPECS[0], learning_rate=StepDecay(0.25, every=epochs(1)))
    with pytest.raises(ValueError, match="was trained with different settings"):
        rest.fit(**FIT, initial_epoch=2, epochs=4, callbacks=[HyperparameterScheduler(other)])


def test_a_backup_is_restored_before_our_callbacks_begin(tmp_path: Path) -> None:
    class Stops(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if epoch == 2:
                raise KeyboardInterrupt

    def callbacks() -> list[Any]:
        return [
            keras.callbacks.BackupAndRestore(tmp_path / "backup"),
            HyperparameterScheduler(recipe(SPECS[1])),
            ReduceOnPlateau("loss", factor=0.5, patience=1, threshold=0.9),
        ]

    whole = made(SPECS[1])
    whole.fit(**FIT, epochs=4, callbacks=callbacks()[1:])
    with pytest.raises(KeyboardInterrupt):
        made(SPECS[1]).fit(**FIT, epochs=4, callbacks=[*callbacks(), Stops()])
    rest = made(SPECS[1])
    rest.fit(**FIT, epochs=4, callbacks=callbacks())
    assert all(map(np.array_equal, rest.get_weights(), whole.get_weights()))


def test_a_model_without_variables_yet_says_that_its_optimizer_starts_anew(tmp_path: Path) -> None:
    whole, store = made(SPECS[0]), dict[str, Any]()
    whole.fit(**FIT)
    whole.optimizer.save_own_variables(store)
    deferred = keras.Sequential([keras.layers.Dense(1)])
    optimizer = build_optimizer(SPECS[0], deferred)
    with pytest.warns(UserWarning, match=r"has no variables before build\(model.trainable_variables\)"):
        optimizer.load_own_variables(store)
