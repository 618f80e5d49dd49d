"""Start a run in Keras, hand it over at the end of an epoch, and continue it in PyTorch Lightning.

The network is trained on scikit-learn's digits, once in Keras only and once in both. The hyperparameters continue where
they were, the moments carry over, and the weights end where those of the uninterrupted run end.
"""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np
import pytorch_lightning as pl
import torch
from sklearn.datasets import load_digits

import samestep.keras
import samestep.lightning
from samestep import AdamW, CosineDecay, Recipe, Warmup, epochs, updates

EPOCHS, HANDED_OVER = 4, 2
RECIPE = Recipe(
    AdamW(learning_rate=1e-3, weight_decay=0.1),
    learning_rate=Warmup(over=updates(50)) * CosineDecay(over=epochs(EPOCHS), end=0.1),
)


class Module(pl.LightningModule):
    """The network in Lightning, whose layers have the same names as in Keras."""

    def __init__(self, weights: dict[str, np.ndarray]) -> None:
        super().__init__()
        self.hidden, self.classes = torch.nn.Linear(64, 32), torch.nn.Linear(32, 10)
        for name, layer in (("hidden", self.hidden), ("classes", self.classes)):
            layer.weight.data = torch.tensor(weights[f"{name}/kernel"].T.copy())
            layer.bias.data = torch.tensor(weights[f"{name}/bias"].copy())

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        inputs, classes = batch
        logits = self.classes(torch.relu(self.hidden(inputs)))
        return torch.nn.functional.cross_entropy(logits, classes)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return samestep.lightning.build_optimizer(RECIPE, self)

    def weights(self) -> dict[str, np.ndarray]:
        """The weights in Keras' layout."""
        return {
            f"{name}/{part}": value.detach().numpy().T
            for name, layer in (("hidden", self.hidden), ("classes", self.classes))
            for part, value in (("kernel", layer.weight), ("bias", layer.bias))
        }


def network() -> keras.Model:
    """The network in Keras."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((64,)), layers.Dense(32, activation="relu", name="hidden"), layers.Dense(10, name="classes")]
    )
    optimizer = samestep.keras.build_optimizer(RECIPE, model)
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def weights_of(model: keras.Model) -> dict[str, np.ndarray]:
    """The weights of the Keras model, by path."""
    return {"/".join(each.path.split("/")[-2:]): np.array(each) for each in model.trainable_variables}


def main() -> None:
    """Train both ways, and print the distance of the weights."""
    warnings.filterwarnings("ignore", module=r"pytorch_lightning\.|torch\.")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    inputs, classes = load_digits(return_X_y=True)
    inputs, classes = (inputs[:1760] / 16).astype("float32"), classes[:1760]
    how: dict[str, Any] = {"batch_size": 32, "shuffle": False, "verbose": 0}
    scheduler = samestep.keras.HyperparameterScheduler(RECIPE)

    alone = network()
    start = weights_of(alone)
    alone.fit(inputs, classes, epochs=EPOCHS, callbacks=[scheduler], **how)

    begun = network()
    begun.fit(inputs, classes, epochs=HANDED_OVER, callbacks=[scheduler], **how)
    module = Module(weights_of(begun))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "run.npz"
        samestep.keras.export_state(file, begun)
        recorder = samestep.lightning.TraceRecorder()
        trainer = pl.Trainer(
            max_epochs=EPOCHS,
            accelerator="cpu",
            devices=1,
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=False,
            callbacks=[samestep.lightning.HyperparameterScheduler(RECIPE), recorder],
        )
        dataset = torch.utils.data.TensorDataset(torch.tensor(inputs), torch.tensor(classes))
        loader = torch.utils.data.DataLoader(dataset, batch_size=32)
        trainer.fit(module, loader, ckpt_path=samestep.lightning.import_state(file, module))

    first = recorder.trace[0]
    print(f"Lightning continues at {first.position} with the learning rate {first.values['learning_rate']:.6f}")
    ours, theirs = module.weights(), weights_of(alone)
    apart = np.sqrt(sum(np.sum((ours[name].astype(float) - theirs[name]) ** 2) for name in ours))
    moved = np.sqrt(sum(np.sum((theirs[name].astype(float) - start[name]) ** 2) for name in ours))
    print(f"{len(recorder.trace)} updates later the weights are {apart / moved:.1e} of the distance travelled apart")


if __name__ == "__main__":
    main()
