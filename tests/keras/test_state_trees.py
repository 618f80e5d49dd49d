"""Savers that go by `get_state_tree` have the optimizer's variables; that they lack the recipe is said beforehand."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from samestep import SGDW, AdamW, NAdamW, Recipe, StepDecay, epochs
from samestep.core.specs.spec import Spec
from samestep.keras import HyperparameterScheduler, ReduceOnPlateau, TraceRecorder, build_optimizer

from .versions import multi_optimizer, needs_orbax

pytestmark = needs_orbax
SPECS = [SGDW(0.05, 0.1, 0.9), AdamW(0.01, 0.1), NAdamW(0.01, 0.1)]
X = np.random.default_rng(0).standard_normal((8, 3)).astype("float32")
Y = X.sum(axis=1, keepdims=True)
FIT: dict[str, Any] = {"x": X, "y": Y, "batch_size": 2, "shuffle": False, "verbose": 0}


class Saver(getattr(keras.callbacks, "OrbaxCheckpoint", keras.callbacks.Callback)):  # type: ignore[misc]
    """Keeps in memory what Orbax writes to its files."""

    def __init__(self) -> None:
        keras.callbacks.Callback.__init__(self)  # without the package that writes the files
        self.trees: list[Any] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.trees.append(keras.tree.map_structure(np.copy, self.model.get_state_tree(value_format="numpy_array")))

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        pass

    def on_train_end(self, logs: Any = None) -> None:
        pass


def made(spec: Spec, multi: bool = False) -> keras.Model:
    layers = [keras.layers.Dense(4, activation="tanh", name="body"), keras.layers.Dense(1, name="head")]
    model = keras.Sequential([keras.Input((3,)), *layers], name="model")
    optimizer = build_optimizer(spec, model, name="ours")
    if multi:
        others = {"model/head/.*": build_optimizer(spec, model, name="theirs")}
        optimizer = multi_optimizer(optimizer, others, name="both")
    model.compile(optimizer, loss="mse", run_eagerly=True)
    return model


def scheduler(spec: Spec, multi: bool) -> HyperparameterScheduler:
    recipe = Recipe(spec, learning_rate=StepDecay(0.5, every=epochs(1)))
    return HyperparameterScheduler({"head": recipe, "body": recipe} if multi else recipe)


@pytest.mark.parametrize("multi", [False, True], ids=["one", "several"])
@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: type(spec).__name__)
def test_a_run_goes_on_from_a_tree(spec: Spec, multi: bool) -> None:
    whole, saver = made(spec, multi), Saver()
    with pytest.warns(UserWarning, match=r"found OrbaxCheckpoint, whose checkpoints lack the recipe and the position"):
        whole.fit(**FIT, epochs=4, callbacks=[saver, scheduler(spec, multi)])
    tree = saver.trees[1]
    assert all(np.size(value) for value in keras.tree.flatten(tree))  # Orbax saves no array without elements
    rest = made(spec, multi)
    rest.optimizer.build(rest.trainable_variables)
    rest.set_state_tree(tree)
    rest.fit(**FIT, initial_epoch=2, epochs=4, callbacks=[scheduler(spec, multi)])
    assert all(map(np.array_equal, rest.get_weights(), whole.get_weights()))


def test_scores_that_a_saver_lacks_are_refused() -> None:
    model, saver = made(SPECS[0]), Saver()
    before = model.get_weights()
    plateau = ReduceOnPlateau("loss", factor=0.5, patience=1)
    with pytest.raises(ValueError, match=r"found OrbaxCheckpoint, whose checkpoints lack the scores of [^\n]*\.$"):
        model.fit(**FIT, callbacks=[saver, plateau])
    assert all(map(np.array_equal, model.get_weights(), before))
    model.fit(**FIT, callbacks=[saver, TraceRecorder()])  # which drives nothing: no word
    assert len(saver.trees) == 1
