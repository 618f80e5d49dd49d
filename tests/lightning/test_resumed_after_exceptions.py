"""An exception within a batch: Lightning counts the batch for good, and would lose its place in runs resumed later."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from samestep import LinearDecay, Recipe
from samestep.lightning import HyperparameterScheduler

from .tiny_training import AfterEveryBatch, Ramp, sgd, train

RECIPE = Recipe(learning_rate=LinearDecay("100%"))
BATCHES, EPOCHS = 4, 3
EVERY = RECIPE.plan(updates_per_epoch=BATCHES, epochs=EPOCHS).values("learning_rate", base=1.0)


class AtExceptions(pl.Callback):
    def __init__(self, path: Path) -> None:
        self.path = path

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        trainer.save_checkpoint(self.path)


def fit(*callbacks: Any, path: Path | None = None, **options: Any) -> list[float]:
    scheduler = HyperparameterScheduler(RECIPE, verify=True)
    options |= {} if path is None else {"fit": {"ckpt_path": str(path)}}
    return train(sgd(1.0), scheduler, *callbacks, batches=BATCHES, epochs=EPOCHS, **options).learning_rates()


def resume_from_each(folder: Path, made: int) -> None:
    """Resume from each checkpoint of a run that had made so many updates before the first."""
    for path in sorted(folder.iterdir(), key=lambda path: int(path.stem)):
        made += 1
        assert fit(path=path) == EVERY[made:]
    assert made == len(EVERY)


@pytest.mark.parametrize("fail_at", [2, 6, 8])
def test_runs_resumed_after_one_that_was_resumed_after_an_exception(tmp_path: Path, fail_at: int) -> None:
    (tmp_path / "saved").mkdir()
    broken, saver = tmp_path / "broken.ckpt", AfterEveryBatch(tmp_path / "saved")
    with pytest.raises(RuntimeError, match="the user's own failure"):
        fit(AtExceptions(broken), fail_at=fail_at)
    assert fit(saver, path=broken) == EVERY[fail_at - 1 :]
    resume_from_each(tmp_path / "saved", fail_at - 1)


def test_runs_resumed_from_checkpoints_of_a_trainer_that_failed_and_went_on(tmp_path: Path) -> None:
    saver, module = AfterEveryBatch(tmp_path), Ramp(sgd(1.0), fail_at=6)
    options: Any = {"accelerator": "cpu", "logger": False, "enable_progress_bar": False, "max_epochs": EPOCHS}
    trainer = pl.Trainer(callbacks=[HyperparameterScheduler(RECIPE), saver], enable_checkpointing=False, **options)
    data = torch.utils.data.DataLoader(torch.zeros(BATCHES))
    with pytest.raises(RuntimeError, match="the user's own failure"):
        trainer.fit(module, data)
    for path in tmp_path.iterdir():
        path.unlink()
    trainer.fit(module, data)  # it begins the epoch again
    resume_from_each(tmp_path, BATCHES)
