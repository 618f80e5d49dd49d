"""LightningCLI with the recipe in its YAML file: a small network reads handwritten digits.

python examples/lightning_cli/main.py
python examples/lightning_cli/main.py fit --trainer.max_epochs 3
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.cli import LightningCLI
from sklearn.datasets import load_digits
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from samestep.lightning import HyperparameterScheduler, build_optimizer

CONFIG = Path(__file__).with_name("config.yaml")
BATCH = 50
TRAINED = 1500  # of the 1797 digits; the rest is for testing


class Digits(pl.LightningModule):
    """A network with one hidden layer, and its data."""

    def __init__(self, hidden: int = 64) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(64, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, 10))
        pixels, digits = load_digits(return_X_y=True)
        self.pixels = torch.tensor(pixels / 16, dtype=torch.float32)
        self.digits = torch.tensor(digits)

    def train_dataloader(self) -> DataLoader[tuple[torch.Tensor, ...]]:
        return DataLoader(TensorDataset(self.pixels[:TRAINED], self.digits[:TRAINED]), batch_size=BATCH, shuffle=True)

    def training_step(self, batch: list[torch.Tensor], batch_idx: int) -> torch.Tensor:
        pixels, digits = batch
        return functional.cross_entropy(self.layers(pixels), digits)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        # The spec is only in the YAML file; the callback has read it.
        callbacks: list[pl.Callback] = self.trainer.callbacks  # type: ignore[attr-defined]  # set by Lightning
        (scheduler,) = (callback for callback in callbacks if isinstance(callback, HyperparameterScheduler))
        return build_optimizer(scheduler.spec, self)

    def accuracy(self) -> float:
        """The fraction of held-out digits read correctly."""
        read = self.layers(self.pixels[TRAINED:]).argmax(dim=1)
        return float((read == self.digits[TRAINED:]).float().mean())


def main() -> None:
    cli = LightningCLI(
        Digits,
        args=sys.argv[1:] or ["fit"],
        parser_kwargs={"fit": {"default_config_files": [str(CONFIG)]}},
        save_config_callback=None,
        seed_everything_default=0,
    )
    trainer: Any = cli.trainer
    scheduler, recorder, *_ = trainer.callbacks
    print(scheduler.recipe.plan(updates_per_epoch=TRAINED // BATCH, epochs=trainer.max_epochs).explain())
    used = recorder.trace.column("learning_rate")
    rates = f"from {used[0]:.4g} up to {max(used):.4g} and down to {used[-1]:.4g}"
    print(f"\nthe {len(used)} updates used learning rates {rates}")
    print(f"digits read correctly: {cli.model.accuracy():.0%}")


if __name__ == "__main__":
    main()
