"""A saved model, continued in another process: the next 100 updates are those of the uninterrupted run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from samestep import SGDW, AdamW, CosineDecay, ExponentialDecay, NAdamW, ParameterRule, Recipe, updates
from samestep.core.specs.spec import Spec
from samestep.keras import HyperparameterScheduler, build_optimizer

BATCHES, EPOCHS = 20, 6
FIT: dict[str, Any] = {"batch_size": 2, "shuffle": False, "verbose": 0}
RULES = [
    ParameterRule(role=["bias", "norm"], weight_decay=0),
    ParameterRule(depth=["first/*", "last/*"], learning_rate=0.5),
    ParameterRule(path="last/kernel", l1_ratio=0.25),
]
SPECS: dict[str, Spec] = {
    "adamw rules hat schedule amsgrad": AdamW(
        0.01, 1e-3, amsgrad=True, epsilon_mode="hat", parameters=RULES, weight_decay_basis="schedule"
    ),
    "adamw l1": AdamW(0.01, 0.1, l1_ratio=0.5),
    "adamw global_clipnorm": AdamW(0.01, 0.1, global_clipnorm=0.1),
    "nadamw rules": NAdamW(0.01, 0.1, parameters=RULES),
    "sgdw nesterov": SGDW(0.05, 0.1, 0.9, nesterov=True),
    "sgdw update l1": SGDW(0.05, 1e-3, 0.9, l1_ratio=0.5, weight_decay_basis="update"),
}

# It knows nothing of how the model and its optimizer were made, and imports `samestep` for the callback alone.
CONTINUE = """
import json
import sys

import numpy as np

import keras
import samestep.keras

directory, names = sys.argv[1], json.loads(sys.argv[2])
data = np.load(f"{directory}/data.npz")
fit = dict(batch_size=2, shuffle=False, verbose=0)
for name in names:
    model = keras.saving.load_model(f"{directory}/{name}.keras")
    if name.endswith("constant"):
        callbacks = []
    else:
        from samestep import Recipe

        with open(f"{directory}/{name}.json") as file:
            callbacks = [samestep.keras.HyperparameterScheduler(Recipe.from_dict(json.load(file)))]
    model.fit(data["x"], data["y"], epochs=6, initial_epoch=1, callbacks=callbacks, **fit)
    np.savez(f"{directory}/{name}.npz", *map(keras.ops.convert_to_numpy, model.trainable_variables))
"""


def make(spec: Spec, **options: Any) -> keras.Model:
    keras.utils.set_random_seed(1)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(8, name="first"),
            layers.LayerNormalization(name="norm"),
            layers.Dense(3, name="last"),
        ]
    )
    model.compile(build_optimizer(spec, model, **options), "mse")
    return model


def driver(spec: Spec) -> HyperparameterScheduler:
    return HyperparameterScheduler(recipe(spec))


def recipe(spec: Spec) -> Recipe:
    return Recipe(
        spec,
        learning_rate=ExponentialDecay(0.5, every=updates(40)),
        weight_decay=CosineDecay(over=updates(120), end=0.1),
        momentum=ExponentialDecay(0.9, every=updates(50)),
    )


def weights(model: keras.Model) -> list[np.ndarray]:
    return [np.copy(ops.convert_to_numpy(variable)) for variable in model.trainable_variables]


def same(ours: list[np.ndarray], theirs: list[np.ndarray]) -> bool:
    return len(ours) == len(theirs) and all(map(np.array_equal, ours, theirs))


@pytest.fixture(scope="module")
def data() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    return {name: generator.standard_normal((2 * BATCHES, size), "float32") for name, size in (("x", 4), ("y", 3))}


@pytest.fixture(scope="module")
def continued(data: dict[str, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[np.ndarray]]:
    """The weights of each spec, saved after the first epoch and trained to the end by another process."""
    folder = tmp_path_factory.mktemp("saved")
    np.savez(folder / "data.npz", **data)
    for name, spec in SPECS.items():
        model = make(spec)
        model.fit(**data, callbacks=[driver(spec)], **FIT)
        model.save(folder / f"{name}.keras")
        (folder / f"{name}.json").write_text(json.dumps(recipe(spec).to_dict()))
        constant = make(spec)
        constant.fit(**data, **FIT)
        constant.save(folder / f"{name} constant.keras")
    names = [*SPECS, *(f"{name} constant" for name in SPECS)]
    environment = {**os.environ, "KERAS_BACKEND": keras.backend.backend()}
    command = [sys.executable, "-c", CONTINUE, str(folder), json.dumps(names)]
    subprocess.run(command, env=environment, check=True)
    found = {}
    for name in names:
        with np.load(folder / f"{name}.npz") as saved:
            found[name] = list(saved.values())
    return found


@pytest.mark.parametrize("name", SPECS)
def test_a_model_loaded_in_another_process_continues_to_the_bit(
    name: str, data: dict[str, np.ndarray], continued: dict[str, list[np.ndarray]]
) -> None:
    whole = make(SPECS[name])
    whole.fit(**data, epochs=EPOCHS, callbacks=[driver(SPECS[name])], **FIT)
    assert int(ops.convert_to_numpy(whole.optimizer.iterations)) == BATCHES * EPOCHS
    assert same(weights(whole), continued[name])


@pytest.mark.parametrize("name", SPECS)
def test_without_a_callback_it_continues_with_the_base_values(
    name: str, data: dict[str, np.ndarray], continued: dict[str, list[np.ndarray]]
) -> None:
    whole = make(SPECS[name])
    whole.fit(**data, epochs=EPOCHS, **FIT)
    assert same(weights(whole), continued[f"{name} constant"])
    assert not same(continued[name], continued[f"{name} constant"])


@pytest.mark.parametrize("name", SPECS)
def test_saved_weights_continue_to_the_bit_in_a_model_made_again(
    name: str, data: dict[str, np.ndarray], tmp_path: Path
) -> None:
    spec = SPECS[name]
    whole, model, without = make(spec), make(spec), make(spec)
    whole.fit(**data, epochs=EPOCHS, callbacks=[driver(spec)], **FIT)
    model.fit(**data, callbacks=[driver(spec)], **FIT)
    model.save_weights(tmp_path / "all.weights.h5")
    again = make(spec)
    again.optimizer.build(again.trainable_variables)
    again.load_weights(tmp_path / "all.weights.h5")
    without.set_weights(model.get_weights())
    for trained in (again, without):
        trained.fit(**data, epochs=EPOCHS, initial_epoch=1, callbacks=[driver(spec)], **FIT)
    assert same(weights(again), weights(whole))
    assert not same(weights(without), weights(whole))


@pytest.mark.parametrize("name", SPECS)
def test_a_moving_average_of_the_weights_is_the_one_by_hand_and_overwrites_them(
    name: str, data: dict[str, np.ndarray]
) -> None:
    """It begins at the first update; every third leaves it in the weights, from where the next goes on."""
    spec = SPECS[name]
    model = make(spec, use_ema=True, ema_momentum=0.75, ema_overwrite_frequency=3)
    by_hand = make(spec)
    average: list[np.ndarray] = []
    for update in range(1, 8):
        batch = {key: array[2 * update : 2 * update + 2] for key, array in data.items()}
        for trained in (model, by_hand):
            trained.train_on_batch(**batch)
        left = weights(by_hand)
        average = [0.75 * old + 0.25 * new for old, new in zip(average or left, left, strict=True)]
        if update % 3 == 0:
            for variable, value in zip(by_hand.trainable_variables, average, strict=True):
                variable.assign(value)
        found = [ops.convert_to_numpy(v) for v in model.optimizer._model_variables_moving_average]
        for ours, theirs in zip([*found, *weights(model)], [*average, *weights(by_hand)], strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=2e-6, atol=1e-7)
    assert not any(np.array_equal(*pair) for pair in zip(average, weights(by_hand), strict=True))
