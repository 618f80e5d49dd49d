"""A state that is not as it was written is recognised before a variable of the optimizer is assigned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from keras import ops

from samestep import Recipe
from samestep.core.checkpoints.saved import KEY, VERSION
from samestep.keras import EpochGatedDecay, HyperparameterScheduler

from ..recipe_changes import SPEC, STEPS
from .tiny_training import built, fit

VERSION_IN_IT = b'"version":%d' % VERSION
Store = dict[str, np.ndarray]
DAMAGED = r"adam_w\w*: found a damaged samestep state: [^\n]*; use another checkpoint\."
NEWER = (
    rf"adam_w\w*: found a samestep state of version \d+; this samestep reads versions up to {VERSION}: "
    rf"upgrade samestep\."
)


@pytest.fixture
def store() -> Store:
    """What a checkpoint has of an optimizer of a short state."""
    model, found = built(), Store()
    fit(model, EpochGatedDecay(0.5, start_epoch=1), epochs=1)
    model.optimizer.save_own_variables(found)
    return found


def held(optimizer: Any) -> list[np.ndarray]:
    return [np.array(ops.convert_to_numpy(variable)) for variable in optimizer.variables]


def same(ours: list[np.ndarray], theirs: list[np.ndarray]) -> bool:
    return all(map(np.array_equal, ours, theirs))


def fresh() -> Any:
    model = built()
    model.optimizer.build(model.trainable_variables)
    return model.optimizer


def refused(store: Store, optimizer: Any, expected: str = DAMAGED) -> None:
    with pytest.raises(ValueError, match=rf"^({expected})$"):
        optimizer.load_own_variables(store)


def test_every_flip_of_a_bit_is_recognised(store: Store) -> None:
    optimizer = fresh()
    before, bits = held(optimizer), np.unpackbits(store[KEY])
    assert bits.size > 2000
    for place in range(bits.size):
        flipped = bits.copy()
        flipped[place] ^= 1
        refused({**store, KEY: np.packbits(flipped)}, optimizer, f"{DAMAGED}|{NEWER}")
    assert same(before, held(optimizer))
    optimizer.load_own_variables(store)
    assert not same(before, held(optimizer))


def test_what_is_no_state_is_recognised(store: Store) -> None:
    optimizer, state = fresh(), store[KEY]
    before = held(optimizer)
    truncated = [state[:length] for length in (0, 1, len(state) // 2, len(state) - 1)]
    of_another_type = [state.astype("float32"), state.astype("int64"), state[None], np.array(0, "uint8")]
    for damaged in (*truncated, *of_another_type, np.append(state, state), np.zeros_like(state)):
        refused({**store, KEY: damaged}, optimizer)
    assert same(before, held(optimizer))


def test_a_state_of_a_newer_version_is_refused_as_such(store: Store) -> None:
    newer = np.frombuffer(store[KEY].tobytes().replace(VERSION_IN_IT, b'"version":%d' % (VERSION + 1)), "uint8")
    refused({**store, KEY: newer}, fresh(), NEWER)


def test_an_optimizer_that_refused_a_state_trains_on_as_it_was(store: Store) -> None:
    model = built()
    driver = HyperparameterScheduler(Recipe(SPEC, STEPS))
    fit(model, driver, epochs=2)
    with pytest.raises(ValueError, match=DAMAGED):
        model.optimizer.load_own_variables({**store, KEY: store[KEY][:-1]})
    assert driver.recipe == Recipe(SPEC, STEPS)
    assert fit(model, driver, begin=2) == [0.125] * 4


def test_a_file_with_a_damaged_state_is_not_loaded(tmp_path: Path) -> None:
    model, path = built(), tmp_path / "damaged.weights.h5"
    fit(model, HyperparameterScheduler(Recipe(SPEC, STEPS)), epochs=1)
    model.save_weights(path)
    with h5py.File(path, "r+") as file:
        state = file["optimizer"]["vars"][KEY]
        assert state.dtype == "uint8"
        state[len(state) // 2] ^= 1
    other = built()
    other.optimizer.build(other.trainable_variables)
    before = held(other.optimizer)
    with pytest.raises(ValueError, match=DAMAGED):
        other.load_weights(path)
    assert same(before, held(other.optimizer))
    with pytest.raises(ValueError, match=DAMAGED):
        fit(other, restored(path, tmp_path / "backup"))


def restored(path: Path, folder: Path) -> keras.callbacks.BackupAndRestore:
    """A backup of this file."""
    folder.mkdir()
    (folder / "latest.weights.h5").write_bytes(path.read_bytes())
    return keras.callbacks.BackupAndRestore(folder)
