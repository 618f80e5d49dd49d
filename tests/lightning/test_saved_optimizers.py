"""A Lightning checkpoint, continued in another process: the next 100 updates are those of the uninterrupted run.

Run as a program, this file is that other process.
"""

from __future__ import annotations

import copy
import inspect
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import nn

from samestep import SGDW, AdamW, CosineDecay, ExponentialDecay, NAdamW, ParameterRule, Recipe, percent, updates
from samestep.core.specs.spec import Spec
from samestep.lightning import HyperparameterScheduler, build_optimizer

BATCHES, EPOCHS = 20, 6
SAFELY = dict.fromkeys({"weights_only"} & {*inspect.signature(pl.Trainer.fit).parameters}, True)  # Lightning >= 2.6
RULES = [
    ParameterRule(role=["bias", "norm"], weight_decay=0),
    ParameterRule(depth=["0/*", "2/*"], learning_rate=0.5),
    ParameterRule(path="2/weight", l1_ratio=0.25),
]
SPECS: dict[str, Spec] = {
    "adamw": AdamW(0.01, 0.1),
    "adamw rules hat schedule amsgrad": AdamW(
        0.01, 1e-3, amsgrad=True, epsilon_mode="hat", parameters=RULES, weight_decay_basis="schedule"
    ),
    "adamw l1": AdamW(0.01, 0.1, l1_ratio=0.5),
    "adamw global_clipnorm": AdamW(0.01, 0.1, global_clipnorm=0.1),
    "nadamw": NAdamW(0.01, 0.1),
    "nadamw rules": NAdamW(0.01, 0.1, parameters=RULES),
    "sgdw nesterov": SGDW(0.05, 0.1, 0.9, nesterov=True),
    "sgdw update l1": SGDW(0.05, 1e-3, 0.9, l1_ratio=0.5, weight_decay_basis="update"),
}


class Network(pl.LightningModule):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.Linear(8, 3))
        self.spec = spec

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        inputs, targets = batch
        return (self.layers(inputs) - targets).square().mean()

    def configure_optimizers(self) -> Any:
        return build_optimizer(self.spec, self.layers)


def train(name: str, folder: Path, resume: bool) -> list[torch.Tensor]:
    """The weights after all updates; `resume` starts from the checkpoint that another run made after one epoch."""
    noise = torch.Generator().manual_seed(0)
    data = [torch.randn(2 * BATCHES, size, generator=noise) for size in (4, 3)]
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*data), batch_size=2)
    recipe = Recipe(
        SPECS[name],
        learning_rate=ExponentialDecay(0.5, every=updates(40)),
        weight_decay=CosineDecay(over=percent(100), end=0.1),
        momentum=ExponentialDecay(0.9, every=updates(50)),
    )
    saver = ModelCheckpoint(
        folder / "resumed" if resume else folder, name + "-{epoch}", save_top_k=-1, save_on_train_epoch_end=True
    )
    network = Network(SPECS[name])
    trainer = pl.Trainer(
        max_epochs=EPOCHS,
        callbacks=[HyperparameterScheduler(recipe), saver],
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    checkpoint = {"ckpt_path": folder / f"{name}-epoch=0.ckpt", **SAFELY} if resume else {}
    trainer.fit(network, loader, **checkpoint)
    assert trainer.global_step == BATCHES * EPOCHS
    return [parameter.detach() for parameter in network.parameters()]


Weights = dict[str, list[torch.Tensor]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where checkpoints are."""
    return tmp_path_factory.mktemp("checkpoints")


@pytest.fixture(scope="module")
def whole(folder: Path) -> Weights:
    """The weights of each spec after an uninterrupted run."""
    return {name: train(name, folder, resume=False) for name in SPECS}


@pytest.fixture(scope="module")
def resumed(folder: Path, whole: Weights) -> Weights:
    """The weights of each spec after another process has resumed it from its first epoch's checkpoint."""
    subprocess.run([sys.executable, __file__, str(folder)], check=True)
    return {name: torch.load(folder / f"{name}.pt", weights_only=True) for name in whole}


@pytest.mark.parametrize("name", SPECS)
def test_a_checkpoint_continues_in_another_process_bit_for_bit(
    name: str, whole: Weights, resumed: Weights, folder: Path
) -> None:
    assert all(map(torch.equal, whole[name], resumed[name]))
    first = torch.load(folder / f"{name}-epoch=0.ckpt", weights_only=True)["state_dict"].values()
    assert not any(map(torch.equal, whole[name], first))


@pytest.mark.parametrize("name", SPECS)
def test_without_the_state_of_the_optimizer_the_run_would_be_another(name: str, whole: Weights, folder: Path) -> None:
    """So the test above sees whether that state was restored."""
    path = folder / f"{name}-epoch=0.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["optimizer_states"][0]["state"] = {}
    emptied = folder / "emptied"
    emptied.mkdir(exist_ok=True)
    torch.save(checkpoint, emptied / path.name)
    assert not any(map(torch.equal, train(name, emptied, resume=True), whole[name]))


class Holding(Network):
    """A network with its optimizer in an attribute, so that a copy of the one is a copy of the other."""

    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        self.optimizer = build_optimizer(spec, self.layers)

    def configure_optimizers(self) -> Any:
        return self.optimizer


@pytest.mark.parametrize("copy_of", [copy.deepcopy, lambda network: pickle.loads(pickle.dumps(network))])
@pytest.mark.parametrize("name", SPECS)
def test_a_copy_of_an_optimizer_follows_the_recipe_of_its_spec(name: str, copy_of: Any) -> None:
    network = Holding(SPECS[name])
    for each in (copy_of(network), network):
        trainer = pl.Trainer(
            max_epochs=2,
            callbacks=[HyperparameterScheduler(Recipe(SPECS[name], ExponentialDecay(0.5, every=updates(1))))],
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(each, torch.utils.data.DataLoader([(torch.ones(4), torch.ones(3))] * 3))
        copied = copy_of(each)
        assert copied.optimizer.spec == SPECS[name]
        assert copied.optimizer.multipliers == network.optimizer.multipliers
        assert repr(copied.optimizer.state_dict()) == repr(each.optimizer.state_dict())


if __name__ == "__main__":
    directory = Path(sys.argv[1])
    for each in SPECS:
        torch.save(train(each, directory, resume=True), directory / f"{each}.pt")
