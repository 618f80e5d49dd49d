"""Killed after any batch, a run goes on in a new process as if nothing had happened: a sample of `make soak`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import resume_lightning
import torch
from pytorch_lightning.callbacks import OnExceptionCheckpoint

from samestep import CosineDecay, LinearDecay, Recipe, percent
from samestep.lightning import EpochGatedDecay, HyperparameterScheduler
from samestep.lightning.resume_fixes import GRADIENTS

from .tiny_training import Ramp, refusal, sgd, train

TELLING = {
    "after the first batch": "batch-1",
    "within an update": "batch-8",
    "after an epoch's last batch": "batch-10",
    "after validation": "validation-1",
    "after an epoch": "epoch-0",
    "after the last batch of all": "batch-20",
    "killed again after an epoch's last batch": "batch-5 batch-7",
    "killed again after an epoch": "epoch-0 batch-10",
}
COSINE = Recipe(learning_rate=CosineDecay(over=percent(100)))
DECAY = Recipe(weight_decay=LinearDecay(over=percent(100)))


def gradients(path: Path) -> dict[str, torch.Tensor] | None:
    """Those in a checkpoint."""
    found: dict[str, torch.Tensor] | None = torch.load(path, weights_only=True).get(GRADIENTS)
    return found


class Keeper(pl.Callback):
    """Keeps the gradients of what would be a checkpoint after every batch."""

    def __init__(self) -> None:
        self.kept: list[dict[str, torch.Tensor]] = []

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        found = trainer._checkpoint_connector.dump_checkpoint(weights_only=False)
        self.kept += [found[GRADIENTS]] if GRADIENTS in found else []


class ByHand(pl.LightningModule):
    """Makes one update of two batches by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.weight = torch.nn.Parameter(torch.ones(()))

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> None:
        self.manual_backward(self.weight * 1.0)
        if batch_idx % 2 == 1:
            self.optimizers().step()
            self.optimizers().zero_grad()

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Measured(pl.LightningModule):
    """A module with the parameters of another that can be tested."""

    def __init__(self, other: pl.LightningModule) -> None:
        super().__init__()
        self.weights = other.weights

    def test_step(self, batch: torch.Tensor, batch_idx: int) -> None:
        return None


@pytest.mark.parametrize("settings", resume_lightning.SETTINGS)
@pytest.mark.parametrize("chain", TELLING.values(), ids=TELLING)
def test_a_run_that_is_killed_leaves_what_it_would_have_left(
    killed_runs: Callable[[str], resume_lightning.Runs], settings: str, chain: str
) -> None:
    assert killed_runs(settings).check(chain.split()) == ""


def test_checkpoints_have_gradients_between_the_batches_of_an_update_only(saver: Any) -> None:
    train(sgd(0.1), HyperparameterScheduler(COSINE), saver, epochs=2, accumulate_grad_batches=3)
    expected = {1: 1 / 3, 2: 2 / 3, 4: 1 / 3, 6: 1 / 3, 7: 2 / 3, 9: 1 / 3}
    found = {batches: gradients(saver.path(batches)) for batches in range(1, 11)}
    assert {batches: g for batches, g in found.items() if g is not None} == {
        batches: {"weights.0": torch.tensor(value, dtype=torch.float64)} for batches, value in expected.items()
    }


def test_saved_gradients_do_not_change_with_the_next_batch() -> None:
    keeper = Keeper()
    train(sgd(0.1), HyperparameterScheduler(COSINE), keeper, batches=3, epochs=1, accumulate_grad_batches=3)
    assert [kept["weights.0"].item() for kept in keeper.kept] == [1 / 3, 2 / 3]


def test_a_checkpoint_within_a_batch_has_no_gradients(tmp_path: Path) -> None:
    saver, saving = OnExceptionCheckpoint(tmp_path), {"enable_checkpointing": True}
    with pytest.raises(RuntimeError, match="the user's own failure"):
        train(sgd(0.1), HyperparameterScheduler(COSINE), saver, accumulate_grad_batches=3, fail_at=2, **saving)
    assert gradients(Path(saver.ckpt_path)) is None


def test_several_callbacks_restore_the_gradients_once(saver: Any) -> None:
    def drivers() -> list[Any]:
        return [HyperparameterScheduler(DECAY), EpochGatedDecay(0.5, start_epoch=1)]

    build, options = sgd(0.1, weight_decay=0.1), {"batches": 4, "epochs": 2, "accumulate_grad_batches": 2}
    whole = train(build, *drivers(), saver, **options)
    rest = train(build, *drivers(), fit={"ckpt_path": saver.path(3)}, **options)
    assert rest.module.gradients == whole.module.gradients[1:] == [[1.0]] * 3


def test_gradients_that_are_not_those_of_the_module_are_refused(saver: Any) -> None:
    options = {"accumulate_grad_batches": 2}
    train(sgd(0.1), HyperparameterScheduler(COSINE), saver, **options)
    checkpoint = torch.load(saver.path(1), weights_only=True)
    for other, found in (
        ({"weights.7": torch.ones(())}, "a tensor of shape () for 'weights.7', but the module has nothing"),
        (
            {"weights.0": torch.ones(3)},
            "a tensor of shape (3,) for 'weights.0', but the module has a tensor of shape ()",
        ),
        ({"weights.0": "1.0"}, "a str for 'weights.0', but the module has a tensor of shape ()"),
        ([1.0], "a list for 'every parameter', but the module has nothing"),
    ):
        torch.save({**checkpoint, GRADIENTS: other}, saver.path(0))
        fit = {"ckpt_path": saver.path(0)}
        module = Ramp(sgd(0.1))
        message = refusal(None, HyperparameterScheduler(COSINE), module=module, fit=fit, **options)
        assert message == (
            f"HyperparameterScheduler: found a checkpoint whose 'samestep_gradients' has {found}; resume with the "
            f"module that was saved, or from another checkpoint."
        )


def test_gradients_of_another_training_are_forgotten(saver: Any) -> None:
    callback = HyperparameterScheduler(COSINE)
    train(sgd(0.1), callback, saver, accumulate_grad_batches=2, weights=2)
    loader = torch.utils.data.DataLoader(torch.zeros(2))
    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, callbacks=[callback])
    trainer.test(Measured(Ramp(sgd(0.1), weights=2)), loader, ckpt_path=saver.path(1), verbose=False)
    train(sgd(0.1), callback, weights=1)


def test_manual_optimization_is_left_alone(saver: Any) -> None:
    module = ByHand()
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        callbacks=[EpochGatedDecay(0.5, start_epoch=1), saver],
    )
    trainer.fit(module, torch.utils.data.DataLoader(torch.zeros(4)))
    assert [gradients(saver.path(batches)) for batches in (1, 2, 3, 4)] == [None] * 4
