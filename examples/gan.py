"""A GAN in Lightning: two optimizers under manual optimization, each with its own recipe.

The discriminator makes two updates for each update of the generator. Each optimizer's schedule counts its own updates:
the generator's learning rate follows a cosine, the discriminator's is multiplied by 0.3 at epochs 20 and 30. The data
are the first two principal components of scikit-learn's digits; the energy distance measures how far the generated
points are from them.

Run it with `python examples/gan.py`.
"""

from __future__ import annotations

import logging
import warnings
from typing import Any

import pytorch_lightning as pl
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from torch import nn
from torch.utils.data import DataLoader

from samestep import AdamW, CosineDecay, MultiStepDecay, Recipe, epochs, percent
from samestep.lightning import HyperparameterScheduler, TraceRecorder, build_optimizer

EPOCHS, BATCH, NOISE = 40, 64, 4
RECIPES = {
    "generator": Recipe(AdamW(2e-3, 0.0, betas=(0.5, 0.999)), learning_rate=CosineDecay(over=percent(100), end=0.05)),
    "discriminator": Recipe(
        AdamW(2e-3, 0.01, betas=(0.5, 0.999)), learning_rate=MultiStepDecay(0.3, at=[epochs(20), epochs(30)])
    ),
}


def network(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(inputs, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, outputs)
    )


class Gan(pl.LightningModule):
    """A generator and a discriminator for points in the plane."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.generator, self.discriminator = network(NOISE, 2), network(2, 1)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [build_optimizer(recipe, getattr(self, part)) for part, recipe in RECIPES.items()]

    def sample(self, count: int) -> torch.Tensor:
        points: torch.Tensor = self.generator(torch.randn(count, NOISE))
        return points

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> None:
        generator, discriminator = self.optimizers()  # type: ignore[attr-defined]
        for _ in range(2):
            real, fake = self.discriminator(batch), self.discriminator(self.sample(len(batch)).detach())
            self.update(discriminator, nn.functional.softplus(-real).mean() + nn.functional.softplus(fake).mean())
        self.update(generator, nn.functional.softplus(-self.discriminator(self.sample(len(batch)))).mean())

    def update(self, optimizer: Any, loss: torch.Tensor) -> None:
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()


def energy_distance(a: torch.Tensor, b: torch.Tensor) -> float:
    """The energy distance of two point clouds: 0 for the same distribution (Szekely and Rizzo 2013)."""
    return float(2 * torch.cdist(a, b).mean() - torch.cdist(a, a).mean() - torch.cdist(b, b).mean())


def main() -> None:
    pl.seed_everything(0, verbose=False)
    points = PCA(2, whiten=True).fit_transform(load_digits().data)
    real: Any = torch.tensor(points, dtype=torch.float32)

    gan, recorder = Gan(), TraceRecorder()
    with torch.no_grad():
        before = energy_distance(gan.sample(1000), real)
    loader = DataLoader(real, batch_size=BATCH, shuffle=True, drop_last=True)
    updates = {"generator": len(loader), "discriminator": 2 * len(loader)}
    trainer = pl.Trainer(
        max_epochs=EPOCHS,
        callbacks=[HyperparameterScheduler(RECIPES, updates_per_epoch=updates), recorder],
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(gan, loader)
    with torch.no_grad():
        after = energy_distance(gan.sample(1000), real)

    for part, trace in recorder.traces.items():
        rates = trace.column("learning_rate")
        same = rates == RECIPES[part].plan(updates[part], EPOCHS).values("learning_rate")
        print(f"{part:13}  {len(rates)} updates, learning rate {rates[0]:.2g} to {rates[-1]:.2g}, as planned: {same}")
    print(f"energy distance between generated and real points: {before:.3f} before, {after:.3f} after training")


if __name__ == "__main__":
    for name in ("pytorch_lightning", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(pytorch_lightning|lightning)\.")
    main()
