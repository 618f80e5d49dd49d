"""Training runs whose every update says what it used: tiny, on the CPU, with the real torch and the real Lightning.

`Ramp`, `Scored`, `sgd`, `train` and `refusal`: weights that are put back to 0 or 1 before each update. `Weights`,
`fit` and what is below it: weights whose gradients are those of the recipe changes, for runs that are resumed.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

from samestep import Position, Trace
from samestep.core.specs.spec import Spec
from samestep.lightning import HyperparameterScheduler, TraceRecorder, build_optimizer

from ..recipe_changes import EPOCHS, GRADIENTS, SPEC, START, Change

Build = Callable[[pl.LightningModule], Any]

QUIET = {
    "accelerator": "cpu",
    "devices": 1,
    "logger": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "enable_checkpointing": False,
}

SAFELY = dict.fromkeys({"weights_only"} & {*inspect.signature(pl.Trainer.fit).parameters}, True)  # Lightning >= 2.6
"""What `fit` is given, so that it executes nothing that a checkpoint has."""


class Ramp(pl.LightningModule):
    """Float64 weights that are put back to `start` before each update, so that an update is read without rounding.

    With gradient 1 from 0, plain SGD leaves -lr; with gradient 0 from 1, AdamW leaves 1 - lr * wd.
    """

    def __init__(
        self, build: Build | None, gradient: float = 1.0, weights: int = 1, fail_at: int | None = None
    ) -> None:
        super().__init__()
        self.build, self.gradient, self.fail_at = build, gradient, fail_at
        self.start = 0.0 if gradient else 1.0
        self.weights = torch.nn.ParameterList(torch.zeros((), dtype=torch.float64) for _ in range(weights))
        self.batches = 0
        self.left: list[list[float]] = []
        self.gradients: list[list[float]] = []

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        self.batches += 1
        if self.batches == self.fail_at:
            raise RuntimeError("the user's own failure")
        return self.gradient * torch.stack(list(self.weights)).sum()

    def configure_optimizers(self) -> Any:
        return self.build(self)

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
        with torch.no_grad():
            for weight in self.weights:
                weight.fill_(self.start)
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        self.left.append([weight.item() for weight in self.weights])
        self.gradients.append([weight.grad.item() for weight in self.weights])


class AfterEveryBatch(pl.Callback):
    """Saves a checkpoint after every batch."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        trainer.save_checkpoint(self.path(trainer.fit_loop.total_batch_idx + 1))

    def path(self, batches: int) -> Path:
        """The checkpoint after so many batches of the run."""
        return self.folder / f"{batches}.ckpt"


class Scored(Ramp):
    """Logs a given score of each epoch as val_loss: at validations, in batches, or at the end of the epoch.

    scores: for each epoch one, None for none, or a list with one for each validation.
    """

    def __init__(self, build: Build | None, scores: Sequence[Any], at: str = "validation", **ramp: Any) -> None:
        super().__init__(build, **ramp)
        self.scores, self.at = [list(each) if isinstance(each, list) else each for each in scores], at

    def log_score(self, at: str) -> None:
        score = self.scores[self.current_epoch] if at == self.at else None
        if self.trainer.sanity_checking:
            score = 0.0  # if it counted, none of those that follow would be better
        elif isinstance(score, list):
            score = score.pop(0)
        if score is not None:
            self.log("val_loss", score, on_step=False, on_epoch=True)

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        self.log_score("batches")
        return super().training_step(batch, batch_idx)

    def validation_step(self, batch: torch.Tensor, batch_idx: int) -> None:
        self.log_score("validation")

    def on_train_epoch_end(self) -> None:
        self.log_score("end")

    def val_dataloader(self) -> Any:
        return torch.utils.data.DataLoader(torch.zeros(1))


@dataclass
class Run:
    """A finished run: the module, its Trainer, and the values that its updates used."""

    module: Ramp
    trainer: pl.Trainer
    recorder: TraceRecorder = field(repr=False)

    @property
    def trace(self) -> Trace:
        return self.recorder.trace

    def learning_rates(self, weight: int = 0) -> list[float]:
        """What plain SGD took off a weight at every update, per unit of gradient."""
        pairs = zip(self.module.left, self.module.gradients, strict=True)
        return [-left[weight] / gradient[weight] for left, gradient in pairs]

    def kept(self, weight: int = 0) -> list[float]:
        """What was left of a weight of 1 at every update."""
        return [left[weight] for left in self.module.left]

    def of_each_epoch(self) -> list[float]:
        """The learning rate of each epoch, which all of its updates must share."""
        found: dict[int, set[float]] = {}
        for position, rate in zip(self.positions(), self.learning_rates(), strict=True):
            found.setdefault(position.epoch, set()).add(rate)
        return [rate for (rate,) in found.values()]

    def positions(self) -> list[Position]:
        return [entry.position for entry in self.trace.entries]


def train(
    optimizer: Build | None,
    *callbacks: Any,
    batches: int = 5,
    epochs: int = 3,
    gradient: float = 1.0,
    weights: int = 1,
    fail_at: int | None = None,
    data: Any = None,
    module: Ramp | None = None,
    fit: dict[str, Any] | None = None,
    **trainer: Any,
) -> Run:
    """Train a new `Ramp` (or `module`) with these callbacks, in this order, and a TraceRecorder after them."""
    recorder = TraceRecorder()
    module = Ramp(optimizer, gradient, weights, fail_at) if module is None else module
    options = {**QUIET, "max_epochs": epochs, **trainer}
    loader = torch.utils.data.DataLoader(torch.zeros(batches) if data is None else data)
    trained = pl.Trainer(callbacks=[*callbacks, recorder], **options)
    trained.fit(module, loader, **(fit or {}))
    return Run(module, trained, recorder)


def refusal(
    optimizer: Build | None, *callbacks: Any, weights: int = 2, module: Ramp | None = None, **options: Any
) -> str:
    """The message with which training was refused: a single line, before the first batch."""
    module = module or Ramp(optimizer, weights=weights)
    with pytest.raises((TypeError, ValueError)) as caught:
        train(None, *callbacks, module=module, **options)
    message = str(caught.value)
    assert module.batches == 0
    assert message.endswith(".")
    assert "\n" not in message
    return message


def sgd(*learning_rates: float, **options: Any) -> Build:
    """Plain SGD: sgd(0.1) over all weights, sgd(0.1, 0.3) with a group for each weight."""

    def make(module: pl.LightningModule) -> torch.optim.SGD:
        if len(learning_rates) == 1:
            return torch.optim.SGD(module.parameters(), lr=learning_rates[0], **options)
        pairs = zip(module.parameters(), learning_rates, strict=True)
        return torch.optim.SGD([{"params": [p], "lr": lr} for p, lr in pairs], lr=1.0, **options)

    return make


class Weights(pl.LightningModule):
    """Two weights in float64, whose gradient is the batch."""

    def __init__(self, optimizer: Spec | Callable[[Any], Any] = SPEC) -> None:
        super().__init__()
        self.optimizer, self.weights = optimizer, torch.nn.Parameter(torch.tensor(START))
        self.batches, self.fail_at = 0, -1

    def training_step(self, batch: torch.Tensor, index: int) -> torch.Tensor:
        if self.batches == self.fail_at:
            raise RuntimeError("the user's own failure")
        self.batches += 1
        return (batch * self.weights).sum() / len(batch)

    def test_step(self, batch: torch.Tensor, index: int) -> None:
        return

    def configure_optimizers(self) -> Any:
        return build_optimizer(self.optimizer, self) if isinstance(self.optimizer, Spec) else self.optimizer(self)

    @property
    def left(self) -> np.ndarray:
        return self.weights.detach().numpy()


def data(batch_size: int = 1) -> Any:
    """Four examples."""
    return torch.utils.data.DataLoader(torch.tensor(GRADIENTS), batch_size)


def trainer(*callbacks: Any, **options: Any) -> pl.Trainer:
    quiet = dict.fromkeys(("logger", "enable_progress_bar", "enable_model_summary"), False)
    saves = any(isinstance(each, ModelCheckpoint) for each in callbacks)
    options = {"max_epochs": EPOCHS, "enable_checkpointing": saves, **quiet, **options}
    return pl.Trainer(callbacks=list(callbacks), accelerator="cpu", **options)


def every_epoch(folder: Path) -> ModelCheckpoint:
    return ModelCheckpoint(folder, "{epoch}", every_n_epochs=1, save_top_k=-1, save_on_train_epoch_end=True)


def every_update(folder: Path) -> ModelCheckpoint:
    return ModelCheckpoint(folder, "{step}", every_n_train_steps=1, save_top_k=-1, save_on_train_epoch_end=False)


def fit(
    *callbacks: Any, module: Weights | None = None, path: Path | None = None, batch_size: int = 1, **options: Any
) -> tuple[Weights, list[float]]:
    """Train, and return the module and the learning rate of each update."""
    module, recorder = module or Weights(), TraceRecorder()
    fitting = trainer(*callbacks, recorder, **options)
    fitting.fit(module, data(batch_size), ckpt_path=None if path is None else str(path))
    return module, recorder.trace.column("learning_rate")


def trained(change: Change, folder: Path) -> Path:
    """Train with the saved recipe, and return the checkpoint of the end of the second epoch."""
    driver: Any = HyperparameterScheduler(change.saved, resolution=change.resolutions[0])  # type: ignore[arg-type]
    fit(driver, every_epoch(folder), module=Weights(change.specs()[0]))
    return folder / "epoch=1.ckpt"


def go_on(change: Change, path: Path, on_change: Any) -> np.ndarray:
    """Continue with the new recipe, and return the final weights."""
    resolution: Any = change.resolutions[1]
    driver = HyperparameterScheduler(change.new, resolution=resolution, on_change=on_change)
    return fit(driver, module=Weights(change.specs()[1]), path=path)[0].left
