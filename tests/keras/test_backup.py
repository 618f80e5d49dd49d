"""A run that is broken off and taken up again by BackupAndRestore, in new objects: no epoch is decayed twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import pytest

from samestep import AdamW, LinearDecay, Recipe, StepDecay, epochs, updates
from samestep.keras import EpochGatedDecay, HyperparameterScheduler, LearningRateScheduler

from .tiny_training import probe, train

SPEC = AdamW(0.125, 0.1, betas=(0.0, 0.0))
FOLLOWED = Recipe(SPEC, learning_rate=LinearDecay(over=updates(40)), weight_decay=StepDecay(0.5, every=epochs(1)))


class BreakOff(keras.callbacks.Callback):
    """Fails at the start of a batch of the third epoch, if there is one."""

    def __init__(self, batch: int | None) -> None:
        super().__init__()
        self.batch = batch

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if self.epoch == 2 and batch == self.batch:
            raise RuntimeError("broken off")


@pytest.mark.parametrize("batch", [0, 3])
@pytest.mark.parametrize(
    ("optimizer", "scheduler"),
    [
        (lambda: SPEC, lambda: HyperparameterScheduler(FOLLOWED)),
        (lambda: SPEC, lambda: LearningRateScheduler(lambda epoch, lr: lr * 0.5 if epoch else lr)),
        (lambda: keras.optimizers.SGD(0.125), lambda: EpochGatedDecay(0.5, start_epoch=1)),
        (
            lambda: keras.optimizers.SGD(0.125),
            lambda: LearningRateScheduler(lambda epoch, lr: lr * 0.5 if epoch else lr),
        ),
    ],
    ids=["recipe", "function", "stock-gated", "stock-function"],
)
def test_a_run_taken_up_again_uses_at_each_position_what_an_uninterrupted_one_uses(
    optimizer: Callable[[], Any], scheduler: Callable[[], Any], batch: int, tmp_path: Path
) -> None:
    def fit(break_off: int | None, *callbacks: Any) -> Any:
        return train(probe(optimizer()), scheduler(), *callbacks, BreakOff(break_off), epochs=5)

    whole = fit(None)
    with pytest.raises(RuntimeError, match="broken off"):
        fit(batch, keras.callbacks.BackupAndRestore(tmp_path, delete_checkpoint=False))
    resumed = fit(None, keras.callbacks.BackupAndRestore(tmp_path))
    assert resumed.positions()[0] == (2, 0)
    assert resumed.trace.entries == whole.trace.entries[10:]
    assert resumed.left == whole.left[2:]
