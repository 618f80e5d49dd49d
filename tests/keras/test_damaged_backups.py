"""A backup that was cut off or damaged: Keras goes back to the one before it, or nothing is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from samestep import AdamW, CosineDecay, LinearDecay, Recipe, percent, updates
from samestep.core.checkpoints.saved import VERSION
from samestep.keras import HyperparameterScheduler

from .tiny_training import followed, probe, train

RECIPE = Recipe(
    AdamW(0.125, 0.1, betas=(0.0, 0.0)),
    learning_rate=CosineDecay(over=percent(100)),
    weight_decay=LinearDecay(over=updates(40)),
)
EPOCHS = 4


class BreakOff(keras.callbacks.Callback):
    """Fails at the start of the fourth epoch."""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if epoch == 3:
            raise RuntimeError("broken off")


def backup(folder: Path) -> keras.callbacks.BackupAndRestore:
    return keras.callbacks.BackupAndRestore(folder, double_checkpoint=True, delete_checkpoint=False)


@pytest.fixture
def broken_off(tmp_path: Path) -> Path:
    """The latest file of a run that was broken off; the one before it lies beside."""
    with pytest.raises(RuntimeError, match="broken off"):
        train(probe(RECIPE.optimizer), HyperparameterScheduler(RECIPE), backup(tmp_path), BreakOff(), epochs=EPOCHS)
    return tmp_path / "latest.weights.h5"


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_backup_that_was_cut_off_is_not_believed_and_the_one_before_it_is(share: float, broken_off: Path) -> None:
    content = broken_off.read_bytes()
    broken_off.write_bytes(content[: int(share * len(content))])
    run = train(probe(RECIPE.optimizer), HyperparameterScheduler(RECIPE), backup(broken_off.parent), epochs=EPOCHS)
    followed(run, RECIPE.plan(5, EPOCHS), 5, first_epoch=2)


def test_a_backup_whose_state_was_damaged_is_refused_before_anything_is_trained(broken_off: Path) -> None:
    content = broken_off.read_bytes()
    begin = content.index(b'{"digest":')
    for at in range(begin, content.index(b'"version":%d}' % VERSION, begin), 97):
        broken_off.write_bytes(content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :])
        model = probe(RECIPE.optimizer)
        with pytest.raises(ValueError, match=r"found a damaged samestep state: .*; use another checkpoint\."):
            model.fit(
                np.array([[1.0, 0.0]]),
                np.zeros((1, 1)),
                epochs=EPOCHS,
                verbose=0,
                callbacks=[HyperparameterScheduler(RECIPE), backup(broken_off.parent)],
            )
        assert int(keras.ops.convert_to_numpy(model.optimizer.iterations)) == 0
        assert model.optimizer.run.before == ()
