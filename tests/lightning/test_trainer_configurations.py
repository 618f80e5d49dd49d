"""What the optimizer really uses in each configuration of the Trainer is what the golden tables have, or it is refused.

The rows are data, in configurations.json: a name, the outcome ("exact", or the sentence of the refusal), and how it is
set up, or the test that has it. Two weights, put back before each update, show what it used: of plain SGD with gradient
1 the learning rate, and with gradient 0 what the weight decay leaves. No attribute is read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import GradientAccumulationScheduler, StochasticWeightAveraging
from pytorch_lightning.plugins import MixedPrecision

from samestep import SGDW, Recipe
from samestep.lightning import HyperparameterScheduler, build_optimizer

HERE = Path(__file__).parent
ROWS = json.loads((HERE / "configurations.json").read_text())
GOLDEN = {row["family"]: row for row in json.loads((HERE.parent / "golden" / "schedules.json").read_text())}
RATE, DECAY = 0.125, 0.1  # the base values of all tables
EPOCHS, UPDATES = 6, 4  # what they are made for


class Probe(pl.LightningModule):
    """Two weights, of which the first has a gradient; each update is noted."""

    def __init__(self, how: dict[str, Any]) -> None:
        super().__init__()
        self.weights = torch.nn.ParameterList(torch.zeros((), dtype=torch.float64) for _ in range(2))
        if "backbone" in how.get("callbacks", []):
            self.backbone = torch.nn.Linear(1, 1)
        self.how, self.automatic_optimization = how, how.get("way") != "manual"
        self.batches = 0
        self.left: list[list[float]] = []

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor | None:
        self.batches += 1
        loss = self.weights[0] * (1.0 if self.batches > self.how.get("skipped", 0) else float("inf"))
        loss = loss + 0.0 * self.weights[1]
        if self.automatic_optimization:
            return loss
        optimizer = self.optimizers()
        for _ in range(self.how.get("per_batch", 1)):
            optimizer.zero_grad()
            self.manual_backward(self.weights[0] + 0.0 * self.weights[1])
            with self.noted():
                optimizer.step()
        return None

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """There is something to validate."""

    def noted(self) -> Any:
        return Noted(self)

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
        with self.noted():
            super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)

    def configure_optimizers(self) -> Any:
        kind = self.how.get("optimizer", "ours")
        if kind == "ours":
            optimizer = build_optimizer(SGDW(RATE, DECAY, **self.how.get("spec", {})), self)
        else:
            rate: Any = torch.tensor(RATE, dtype=torch.float64) if kind == "tensor" else RATE
            # From 0 or 1 a decay within the gradient moves a weight as one beside it does.
            optimizer = torch.optim.SGD(self.parameters(), lr=rate, weight_decay=DECAY, fused=kind == "fused")
        scheduled = self.how.get("scheduled")
        if scheduled == "StepLR":
            return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1)]
        if scheduled is not None:
            scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "monitor": "loss"}}
        return optimizer


class Noted:
    """Puts the weights back to 0 and 1, and notes what an update left of them, if there was one."""

    def __init__(self, probe: Probe) -> None:
        self.probe = probe

    def __enter__(self) -> None:
        with torch.no_grad():
            for weight, start in zip(self.probe.weights, (0.0, 1.0), strict=True):
                weight.fill_(start)

    def __exit__(self, *_: Any) -> None:
        left = [weight.item() for weight in self.probe.weights]
        gradient = self.probe.weights[0].grad.item()
        if left != [0.0, 1.0]:
            self.probe.left.append([-left[0] / gradient, left[1]])


class Stream(torch.utils.data.IterableDataset[torch.Tensor]):
    """Batches, and no word about how many there will be."""

    def __init__(self, batches: int) -> None:
        self.batches = batches

    def __iter__(self) -> Iterator[torch.Tensor]:
        return iter(torch.zeros(self.batches))


def loader(batches: int) -> Any:
    return torch.utils.data.DataLoader(torch.zeros(batches))


def data(how: dict[str, Any], probe: Probe) -> dict[str, Any]:
    batches, kind = how.get("batches", UPDATES), how.get("data")
    found: dict[str, Any] = {"val_dataloaders": loader(1)} if how.get("validation") else {}
    if kind == "stream":
        found["train_dataloaders"] = torch.utils.data.DataLoader(Stream(batches))
    elif kind == "several":
        found["train_dataloaders"] = {"a": loader(batches), "b": loader(2)}
    elif kind == "reloaded":
        lengths = how.get("lengths", [batches] * EPOCHS)
        probe.train_dataloader = lambda: loader(lengths[probe.trainer.current_epoch])
    else:
        found["train_dataloaders"] = loader(batches)
    return found


CALLBACKS: dict[str, Callable[[], Any]] = {
    "accumulation": lambda: GradientAccumulationScheduler({0: 1, 1: 2, 3: 4}),
    "accumulation of 2": lambda: GradientAccumulationScheduler({0: 2, 6: 4}),
    "swa": lambda: StochasticWeightAveraging(0.1),
}


def observed(how: dict[str, Any], probe: Probe) -> list[list[float]]:
    """Train as the row says; of each update what it used as its learning rate, and what it left of a weight of 1."""
    families = how.get("families", {"learning_rate": "cosine", "weight_decay": "weight_decay"})
    spec = SGDW(RATE, DECAY, **how.get("spec", {})) if how.get("optimizer", "ours") == "ours" else None
    schedules = {name: Recipe.from_dict(GOLDEN[family]["recipe"]).schedule(name) for name, family in families.items()}
    scheduler = HyperparameterScheduler(Recipe(spec, **schedules), **how.get("scheduler", {}))
    options: dict[str, Any] = {"max_epochs": EPOCHS, "accelerator": "cpu", "devices": 1, **how.get("trainer", {})}
    if not options.get("barebones"):
        for name in ("logger", "enable_progress_bar", "enable_model_summary", "enable_checkpointing"):
            options[name] = False
    if "skipped" in how:
        options["plugins"] = MixedPrecision("16-mixed", "cpu", scaler=torch.amp.GradScaler("cpu", init_scale=1.0))
    fits = how.get("fits", 1)
    trainer = None
    for ends in fits if isinstance(fits, list) else [EPOCHS] * fits:
        if trainer is None or not isinstance(fits, list):
            options |= {} if "max_epochs" in how.get("trainer", {}) else {"max_epochs": ends}
            trainer = pl.Trainer(
                callbacks=[scheduler, *(CALLBACKS[name]() for name in how.get("callbacks", []))], **options
            )
        trainer.fit_loop.max_epochs = options["max_epochs"] if trainer.fit_loop.max_epochs == -1 else ends
        trainer.fit(probe, **data(how, probe))
    return probe.left


def expected(how: dict[str, Any]) -> list[list[float]]:
    """What the golden tables have for the updates that a row's run makes, by the number of them in each epoch."""
    families = how.get("families", {"learning_rate": "cosine", "weight_decay": "weight_decay"})
    found = {"learning_rate": [RATE] * 24, "weight_decay": [DECAY] * 24}
    found |= {name: GOLDEN[family]["values"] for name, family in families.items()}
    pairs = list(zip(found["learning_rate"], found["weight_decay"], strict=True))
    updates, fits = how.get("updates", [UPDATES] * EPOCHS), how.get("fits", 1)
    rows = []
    for epoch, count in enumerate(updates):
        for update in range(count - (how.get("skipped", 0) if epoch == 0 else 0)):
            # A longer epoch is one whose values are the same throughout.
            rate, decay = pairs[epoch * UPDATES + min(update, UPDATES - 1)]
            rows.append([rate, 1.0 - rate * decay])
    return rows * (fits if isinstance(fits, int) else 1)


@pytest.mark.parametrize("row", [pytest.param(row, id=row["name"]) for row in ROWS if "how" in row])
def test_configuration(row: dict[str, Any]) -> None:
    probe = Probe(row["how"])
    if row["outcome"] != "exact":
        with pytest.raises(ValueError, match=r"^[^\n]*\.$") as caught:
            observed(row["how"], probe)
        assert str(caught.value) == row["outcome"]
        assert (probe.batches == 0) == ("noticed" not in row)
        return
    used = observed(row["how"], probe)
    # What is left of 1 is rounded once or twice, as the kernel does it; a rate is, where its gradient is a third.
    np.testing.assert_allclose(used, expected(row["how"]), rtol=2**-52, atol=0)


def test_rows_that_other_tests_have_name_them() -> None:
    named = [row["test"] for row in ROWS if "how" not in row]
    assert named
    assert all((HERE / name).exists() for name in named)
