"""AdamW is neither learning-rate decay nor an L2 penalty: three runs of one network, in Lightning and in Keras.

The same small network learns scikit-learn's digits, from the same weights on the same batches, with three optimizers:
Adam with a decayed learning rate, Adam with an L2 penalty in the loss, and AdamW with a weight decay of the same value.
Some pixels are blank in every image, so their weights get no gradient from the data. How much of their norm is left
shows what shrinks weights and what does not. Lightning and Keras agree in all three runs.

Run it with `python examples/adamw_is_not_learning_rate_decay.py`; set KERAS_BACKEND=jax or torch for another backend.
"""

from __future__ import annotations

import logging
import os
import warnings
from math import prod
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pytorch_lightning as pl
import torch
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_digits

import samestep.keras
import samestep.lightning
from samestep import AdamW, Recipe, StepDecay, Trace, epochs

EPOCHS, BATCH, HIDDEN, STRENGTH = 10, 32, 32, 0.1
IMAGES, DIGITS = load_digits(return_X_y=True)
IMAGES, DIGITS = (IMAGES / 16).astype("float32"), DIGITS.astype("int64")
TRAIN, TEST = slice(44 * BATCH), slice(44 * BATCH, None)
BLANK = IMAGES.max(axis=0) == 0

DECAYED = Recipe(AdamW(learning_rate=0.01, weight_decay=0.0), learning_rate=StepDecay(0.1, every=epochs(5)))
CONSTANT = Recipe(AdamW(learning_rate=0.01, weight_decay=0.0))
DECOUPLED = Recipe(AdamW(learning_rate=0.01, weight_decay=STRENGTH))

Weights = list[np.ndarray]  # the kernel, of shape (inputs, outputs), and the bias of each layer


def initial_weights() -> Weights:
    generator = np.random.default_rng(0)
    first, second = (generator.normal(0.0, n**-0.5, (n, m)).astype("float32") for n, m in ((64, HIDDEN), (HIDDEN, 10)))
    return [first, np.zeros(HIDDEN, "float32"), second, np.zeros(10, "float32")]


class Network(pl.LightningModule):
    """64 pixels, a hidden layer with tanh, 10 digits; the penalty is Keras' L2."""

    def __init__(self, recipe: Recipe, penalty: float) -> None:
        super().__init__()
        self.recipe, self.penalty = recipe, penalty
        self.layers = torch.nn.Sequential(torch.nn.Linear(64, HIDDEN), torch.nn.Tanh(), torch.nn.Linear(HIDDEN, 10))
        for parameter, weight in zip(self.parameters(), initial_weights(), strict=True):
            parameter.data = torch.tensor(weight.T).contiguous()

    def training_step(self, batch: list[torch.Tensor], batch_index: int) -> torch.Tensor:
        images, digits = batch
        squares = torch.stack([parameter.square().sum() for parameter in self.parameters()]).sum()
        return torch.nn.functional.cross_entropy(self.layers(images), digits) + self.penalty / 2 * squares

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return samestep.lightning.build_optimizer(self.recipe, self)


def in_lightning(recipe: Recipe, penalty: float) -> tuple[Weights, Trace]:
    network, recorder = Network(recipe, penalty), samestep.lightning.TraceRecorder()
    callbacks = [samestep.lightning.HyperparameterScheduler(recipe), recorder]
    quiet: Any = dict.fromkeys(("logger", "enable_checkpointing", "enable_model_summary", "enable_progress_bar"), False)
    data = torch.utils.data.TensorDataset(torch.tensor(IMAGES[TRAIN]), torch.tensor(DIGITS[TRAIN]))
    trainer = pl.Trainer(max_epochs=EPOCHS, callbacks=callbacks, accelerator="cpu", **quiet)
    trainer.fit(network, torch.utils.data.DataLoader(data, batch_size=BATCH))
    return [parameter.detach().numpy().T for parameter in network.parameters()], recorder.trace


def in_keras(recipe: Recipe, penalty: float) -> tuple[Weights, Trace]:
    recorder = samestep.keras.TraceRecorder()
    callbacks = [samestep.keras.HyperparameterScheduler(recipe), recorder]
    l2 = keras.regularizers.L2(penalty / 2)
    hidden = keras.layers.Dense(HIDDEN, "tanh", kernel_regularizer=l2, bias_regularizer=l2)
    output = keras.layers.Dense(10, kernel_regularizer=l2, bias_regularizer=l2)
    model = keras.Sequential([keras.Input((64,)), hidden, output])
    model.set_weights(initial_weights())
    optimizer = samestep.keras.build_optimizer(recipe, model)
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    images, digits = IMAGES[TRAIN], DIGITS[TRAIN]
    model.fit(images, digits, BATCH, epochs=EPOCHS, shuffle=False, callbacks=callbacks, verbose=0)
    return model.get_weights(), recorder.trace


def norm(*weights: np.ndarray) -> float:
    return float(np.sqrt(sum(np.square(weight, dtype="float64").sum() for weight in weights)))


def kept(weights: Weights) -> float:
    """The fraction of its norm that the blank pixels' weights have kept."""
    return norm(weights[0][BLANK]) / norm(initial_weights()[0][BLANK])


def measure(weights: Weights, trace: Trace) -> list[str]:
    logits = np.tanh(IMAGES @ weights[0] + weights[1]) @ weights[2] + weights[3]
    losses = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(DIGITS)), DIGITS]
    accuracy = (logits.argmax(axis=1) == DIGITS)[TEST].mean()
    rates = trace.column("learning_rate")
    numbers = f"{losses[TRAIN].mean():.3f}", f"{accuracy:.4f}", f"{norm(*weights):.3f}", f"{kept(weights):.3g}"
    return [f"{rates[0]:g} .. {rates[-1]:g}", *numbers]


def main() -> None:
    header = ("learning rate", "train\nloss", "test\naccuracy", "weight\nnorm", "blank\nkept", "largest\ndifference")
    caption = "blank kept: fraction of their norm that the weights of blank pixels keep"
    table = Table("", "", *header, caption=caption, show_lines=True)

    def compare(name: str, recipe: Recipe, penalty: float = 0.0) -> tuple[Weights, Trace]:
        lightning, other = in_lightning(recipe, penalty), in_keras(recipe, penalty)
        difference = max(float(np.abs(a - b).max()) for a, b in zip(lightning[0], other[0], strict=True))
        cells = map("\n".join, zip(measure(*lightning), measure(*other), strict=True))
        table.add_row(name, "Lightning\nKeras", *cells, f"{difference:.1e}")
        return other

    decayed, _ = compare("Adam, learning\nrate decayed", DECAYED)
    penalized, _ = compare(f"Adam, L2\npenalty {STRENGTH}", CONSTANT, STRENGTH)
    decoupled, trace = compare(f"AdamW, weight\ndecay {STRENGTH}", DECOUPLED)
    Console(width=100).print(table)
    shrink = prod(1 - used["learning_rate"] * used["weight_decay"] for _, used in trace.entries)
    print(f"Learning-rate decay: the weights of the blank pixels kept {kept(decayed):.4f} of their norm.")
    print(f"L2 penalty: they kept {kept(penalized):.1e}, where AdamW with the same number left {kept(decoupled):.4f}.")
    print(f"AdamW: they kept {kept(decoupled):.4f}; {shrink:.4f} is the product of 1 - learning_rate * weight_decay.")


if __name__ == "__main__":
    for name in ("pytorch_lightning", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(pytorch_lightning|lightning)\.")
    torch.set_num_threads(1)  # a network this small would only wait for more threads
    main()
