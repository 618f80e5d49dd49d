"""verify=True sees at the end of an epoch that an optimizer does not hold what was written, and says who wrote last."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from samestep import AdamW, LinearDecay, Recipe, StepDecay, epochs, percent
from samestep.keras import HyperparameterScheduler

from .tiny_training import probe, train

ON_TORCH = keras.backend.backend() == "torch"


class Tamper(keras.callbacks.Callback):
    """Somebody else's callback, which changes the optimizer within the second epoch."""

    def __init__(self, change: Callable[[Any], None]) -> None:
        super().__init__()
        self.change, self.epoch = change, 0
        self.kept: list[Any] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch
        self.kept = self.kept or [np.copy(keras.ops.convert_to_numpy(each)) for each in self.model.optimizer.variables]

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if (self.epoch, batch) == (1, 1):
            self.change(self)


def write(tamper: Tamper, table: np.ndarray) -> None:
    """Write what the updates read."""
    if ON_TORCH:
        tamper.model.optimizer.table._held = table
    else:
        tamper.model.optimizer.table._table.write(table)


def held(tamper: Tamper) -> np.ndarray:
    return np.copy(tamper.model.optimizer.table.held()[0])


def doubled(tamper: Tamper) -> None:
    """The table, twice as high."""
    write(tamper, held(tamper) * 2)


def one_rate(tamper: Tamper) -> None:
    """The learning rate of the epoch's third update alone."""
    table = held(tamper)
    table[0, 0, 2] = 0.5
    write(tamper, table)


def retention(tamper: Tamper) -> None:
    """What is formed of the weight decay for the update."""
    table = held(tamper)
    table[0, 3, 1] = 1.0
    write(tamper, table)


def rewritten(tamper: Tamper) -> None:
    """The table and what it was made of, by somebody who knows how it is made."""
    table = tamper.model.optimizer.table
    table._values["learning_rate"] = [[0.5]]
    write(tamper, table.rows())


def set_back_start(tamper: Tamper) -> None:
    """Where the epoch began, so that its updates are taken for later ones."""
    tamper.model.optimizer.table._start.write(np.array(0))


def set_back(tamper: Tamper) -> None:
    """All variables, one by one, as they were in the first epoch."""
    for variable, value in zip(tamper.model.optimizer.variables, tamper.kept, strict=True):
        variable.assign(value)


@pytest.fixture
def recipe(spec: AdamW) -> Recipe:
    decay = LinearDecay(over=percent(100))
    return Recipe(spec, learning_rate=StepDecay(0.5, every=epochs(1)), weight_decay=decay)


CHANGES = {
    doubled: "learning_rate = 0.125 at epoch 1, update 0, but the plan has 0.0625",
    one_rate: "learning_rate = 0.5 at epoch 1, update 2, but the plan has 0.0625",
    rewritten: "learning_rate = 0.5 at epoch 1, update 0, but the plan has 0.0625",
    retention: "retention = 1.0 at epoch 1, update 1, but the plan has 0.996",
    set_back: "-1 updates in epoch 1 by the count of the optimizer; expected 5",
}
if not ON_TORCH:  # where it is no variable
    CHANGES[set_back_start] = "the number of updates before the epoch = 0 at epoch 1, update 0, but the plan has 5"


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@pytest.mark.parametrize("listed_first", [True, False], ids=["before_ours", "after_ours"])
def test_a_changed_optimizer_is_seen(listed_first: bool, change: Callable[[Any], None], recipe: Recipe) -> None:
    callbacks = [Tamper(change), HyperparameterScheduler(recipe, verify=True)]
    with pytest.raises(ValueError, match=r"^[^\n]*\.$") as caught:
        train(probe(recipe.optimizer), *(callbacks if listed_first else reversed(callbacks)))
    message = str(caught.value)
    assert message.startswith(f"HyperparameterScheduler: found {CHANGES[change]}")
    assert message.endswith(", possibly one of Weights, Tamper, TraceRecorder.")


def test_without_verify_a_changed_table_goes_unseen(recipe: Recipe) -> None:
    """To read it costs time at each epoch, which is why it is asked for."""
    run = train(probe(recipe.optimizer), HyperparameterScheduler(recipe), Tamper(doubled))
    assert run.used("learning_rate")[5:10] == [0.0625] + [0.125] * 4


def test_who_wrote_last_is_named(recipe: Recipe) -> None:
    scheduler = HyperparameterScheduler(recipe, verify=True)
    with pytest.raises(ValueError, match="but the plan has") as caught:
        train(probe(recipe.optimizer), scheduler, Tamper(doubled))
    assert "written last by HyperparameterScheduler; remove whatever has changed it" in str(caught.value)
