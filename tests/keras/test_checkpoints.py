"""What a checkpoint holds: the spec, the moments and the number of updates; not the table, which the plan writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from keras import ops

from samestep import AdamW, ExponentialDecay, LinearDecay, Recipe, epochs, updates
from samestep.keras import HyperparameterScheduler, TraceRecorder, build_optimizer

SPEC = AdamW(0.05, 0.1, betas=(0.8, 0.99), epsilon=1e-6)
RECIPE = Recipe(SPEC, learning_rate=ExponentialDecay(0.5, every=epochs(2)), weight_decay=LinearDecay(over=updates(50)))
FIT: dict[str, Any] = {"batch_size": 2, "shuffle": False, "verbose": 0}

CONTINUE = """
import json
import sys

import numpy as np

import samestep.keras
import keras
from samestep import Recipe

directory, recipe = sys.argv[1:]
model = keras.saving.load_model(f"{directory}/model.keras")
data = np.load(f"{directory}/data.npz")
scheduler = samestep.keras.HyperparameterScheduler(Recipe.from_dict(json.loads(recipe)))
fit = dict(batch_size=2, shuffle=False, verbose=0)
model.fit(data["x"], data["y"], epochs=8, initial_epoch=4, callbacks=[scheduler], **fit)
np.savez(f"{directory}/weights.npz", *map(keras.ops.convert_to_numpy, model.trainable_variables))
"""

Make = Callable[..., keras.Model]


@pytest.fixture
def data() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    return {"x": generator.standard_normal((10, 4), "float32"), "y": generator.standard_normal((10, 3), "float32")}


@pytest.fixture
def make() -> Make:
    """A small network, the same each time, and the optimizer of a spec."""

    def build(units: int = 8, layers: int = 1, spec: AdamW = SPEC) -> keras.Model:
        keras.utils.set_random_seed(1)
        hidden = [keras.layers.Dense(units, activation="tanh") for _ in range(layers)]
        model = keras.Sequential([keras.Input((4,)), *hidden, keras.layers.Dense(3)])
        model.compile(optimizer=build_optimizer(spec, model), loss="mse")
        return model

    return build


def weights(model: keras.Model) -> list[np.ndarray]:
    return [ops.convert_to_numpy(variable) for variable in model.trainable_variables]


def same(ours: list[np.ndarray], theirs: list[np.ndarray]) -> bool:
    return len(ours) == len(theirs) and all(map(np.array_equal, ours, theirs))


def saved_arrays(path: Path) -> int:
    """The number of arrays of the optimizer in a .keras file."""
    with zipfile.ZipFile(path) as archive, archive.open("model.weights.h5") as file, h5py.File(file) as store:
        found: list[str] = []
        store["optimizer"].visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
        return len(found)


def test_a_model_loaded_in_another_process_continues_to_the_bit(
    make: Make, data: dict[str, np.ndarray], tmp_path: Path
) -> None:
    uninterrupted, model = make(), make()
    uninterrupted.fit(**data, epochs=8, callbacks=[HyperparameterScheduler(RECIPE)], **FIT)
    model.fit(**data, epochs=4, callbacks=[HyperparameterScheduler(RECIPE)], **FIT)
    model.save(tmp_path / "model.keras")
    np.savez(tmp_path / "data.npz", **data)
    environment = {**os.environ, "KERAS_BACKEND": keras.backend.backend()}
    command = [sys.executable, "-c", CONTINUE, str(tmp_path), json.dumps(RECIPE.to_dict())]
    subprocess.run(command, env=environment, check=True)
    with np.load(tmp_path / "weights.npz") as continued:
        assert same(weights(uninterrupted), list(continued.values()))
    assert not same(weights(uninterrupted), weights(model))


def test_a_loaded_model_has_spec_moments_and_number_of_updates(
    make: Make, data: dict[str, np.ndarray], tmp_path: Path
) -> None:
    model = make()
    model.fit(**data, epochs=2, callbacks=[HyperparameterScheduler(RECIPE)], **FIT)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras").optimizer
    assert loaded.spec == SPEC
    assert int(ops.convert_to_numpy(loaded.iterations)) == 10
    for ours, theirs in (
        (model.optimizer._momentums, loaded._momentums),
        (model.optimizer._velocities, loaded._velocities),
    ):
        assert same([ops.convert_to_numpy(v) for v in ours], [ops.convert_to_numpy(v) for v in theirs])
        assert all(np.any(ops.convert_to_numpy(v) != 0) for v in theirs)


def test_saved_weights_restore_the_moments(make: Make, data: dict[str, np.ndarray], tmp_path: Path) -> None:
    uninterrupted, model = make(), make()
    for trained in (uninterrupted, model):
        trained.fit(**data, epochs=2, callbacks=[HyperparameterScheduler(RECIPE)], **FIT)
    model.save_weights(tmp_path / "model.weights.h5")
    model.fit(**data, epochs=1, callbacks=[HyperparameterScheduler(RECIPE)], **FIT)  # goes astray
    model.load_weights(tmp_path / "model.weights.h5")
    for trained in (uninterrupted, model):
        trained.fit(**data, epochs=4, initial_epoch=2, callbacks=[HyperparameterScheduler(RECIPE)], **FIT)
    assert same(weights(uninterrupted), weights(model))


def test_the_table_is_not_in_the_checkpoint(make: Make, data: dict[str, np.ndarray], tmp_path: Path) -> None:
    found = []
    for callbacks in ([], [HyperparameterScheduler(RECIPE)], [HyperparameterScheduler(RECIPE), TraceRecorder()]):
        model = make()
        model.fit(**data, callbacks=callbacks, **FIT)
        model.save(tmp_path / "model.keras")
        found.append(saved_arrays(tmp_path / "model.keras"))
        keras.saving.load_model(tmp_path / "model.keras")
    variables = 1 + 2 * len(weights(model))  # the number of updates, and two moments for each variable
    assert found == [variables, variables + 1, variables + 1]  # and what drove them


def test_mixed_precision_saves_and_loads_after_the_table_has_grown(
    make: Make, data: dict[str, np.ndarray], tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = make()
        model.fit(**data, callbacks=[HyperparameterScheduler(RECIPE)], **FIT)
        model.optimizer.dynamic_scale.assign(64.0)
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
    finally:
        keras.config.set_dtype_policy(before)
    assert float(ops.convert_to_numpy(loaded.optimizer.dynamic_scale)) == 64.0
    assert int(ops.convert_to_numpy(loaded.optimizer.inner_optimizer.iterations)) == 5
    assert not [str(warning.message) for warning in recwarn if "optimizer" in str(warning.message)]


def test_the_configuration_is_json_and_makes_the_same_optimizer(make: Make) -> None:
    optimizer = make().optimizer
    config = keras.saving.serialize_keras_object(optimizer)
    assert json.loads(json.dumps(config)) == config
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is type(optimizer)
    assert again.spec == SPEC
    assert again.get_config() == optimizer.get_config()


@pytest.mark.parametrize("other", [{"units": 5}, {"layers": 2}], ids=str)
def test_weights_of_another_structure_do_not_load(other: dict[str, int], make: Make, tmp_path: Path) -> None:
    model, different = make(), make(**other)
    for built in (model, different):
        built.optimizer.build(built.trainable_variables)
    model.save_weights(tmp_path / "model.weights.h5")
    with pytest.raises(ValueError, match=r"could not be loaded|expected"):
        different.load_weights(tmp_path / "model.weights.h5")


def test_the_state_of_another_structure_does_not_load_into_the_optimizer(make: Make) -> None:
    model, different = make(), make(layers=2)
    store: dict[str, np.ndarray] = {}
    for built in (model, different):
        built.optimizer.build(built.trainable_variables)
    model.optimizer.save_own_variables(store)
    with pytest.raises(ValueError, match=r"found 9 saved variables; expected 13, .*same spec.*same model\.$"):
        different.optimizer.load_own_variables(store)


@pytest.mark.parametrize("compiled", [True, False], ids=["with_optimizer", "without_optimizer"])
def test_weights_load_into_a_freshly_compiled_model(compiled: bool, make: Make, tmp_path: Path) -> None:
    """As they do with Keras' own optimizers: a pretrained network is no reason to refuse."""
    model = make()
    saved = model if compiled else keras.Sequential([keras.Input((4,)), *model.layers])
    if compiled:
        model.optimizer.build(model.trainable_variables)
    saved.save_weights(tmp_path / "model.weights.h5")
    fresh = make()
    for variable in fresh.trainable_variables:
        variable.assign(variable + 1.0)
    fresh.load_weights(tmp_path / "model.weights.h5")
    assert same(weights(fresh), weights(model))
