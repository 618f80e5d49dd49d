"""Trains the parity problem in PyTorch Lightning."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from ..core.recipes.plan import Plan
from ..core.specs.records import record_of
from ..lightning import HyperparameterScheduler, TraceRecorder, build_optimizer
from ..lightning.base_callback import Callback, modules
from ..torch.optimizers import RECORDS
from .problem import PROBE, Problem, Weights
from .runs import Run

pl = modules[0]


class Network(pl.LightningModule):  # type: ignore[name-defined,misc]
    """The network of `Problem`, with the optimizer that a function makes for it."""

    def __init__(self, weights: Weights, configure: Callable[[Network], Any], losses: list[float]) -> None:
        super().__init__()
        layers = [torch.nn.Linear(*weights[f"kernel_{i}"].shape) for i in (1, 2)]
        self.probe = torch.nn.Parameter(torch.tensor(weights[PROBE]))
        for i, layer in enumerate(layers, 1):
            layer.weight.data = torch.tensor(weights[f"kernel_{i}"].T).contiguous()
            layer.bias.data = torch.tensor(weights[f"bias_{i}"])
        self.hidden, self.classes = layers
        self._configure = configure
        self._losses = losses

    def weights(self) -> Weights:
        """The weights in `Problem`'s names and shapes."""
        weights = {PROBE: self.probe.detach().numpy().copy()}
        for i, layer in enumerate((self.hidden, self.classes), 1):
            weights[f"kernel_{i}"] = layer.weight.detach().numpy().T.copy()
            weights[f"bias_{i}"] = layer.bias.detach().numpy().copy()
        return weights

    def training_step(self, batch: Any, batch_index: int) -> torch.Tensor:
        """Mean cross-entropy of a batch."""
        inputs, classes = batch
        logits = self.classes(torch.relu(self.hidden(inputs))) + 0.0 * self.probe
        loss = torch.nn.functional.cross_entropy(logits, classes)
        self._losses.append(float(loss.detach()))
        return loss

    def configure_optimizers(self) -> Any:
        """The optimizer, with a scheduler if it has one."""
        return self._configure(self)


class _Epochs(Callback):  # type: ignore[misc]
    """Keeps the weights of each epoch, and reports progress."""

    def __init__(self, run: Run, progress: Callable[[int], None]) -> None:
        self._run, self._progress = run, progress

    def on_train_epoch_end(self, trainer: Any, pl_module: Network) -> None:
        self._run.weights.append(pl_module.weights())
        self._progress(trainer.current_epoch + 1)


class _ByHand(Callback):  # type: ignore[misc]
    """The code one writes without samestep to schedule weight decay and momentum; in torch it works."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def on_train_batch_start(self, trainer: Any, pl_module: Network, batch: Any, batch_index: int) -> None:
        for group in trainer.optimizers[0].param_groups:
            group["weight_decay"] = self._plan.value("weight_decay", trainer.current_epoch, batch_index)
            momentum = self._plan.value("momentum", trainer.current_epoch, batch_index)
            group.update({"betas": (momentum, group["betas"][1])} if "betas" in group else {"momentum": momentum})


def train(plan: Plan, problem: Problem, stock: bool, progress: Callable[[int], None]) -> Run:
    """Train with samestep, or with torch's own optimizer and scheduler."""
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(pytorch_lightning|lightning)\.")
    run, recorder = Run("lightning"), TraceRecorder()
    spec: Any = plan.recipe.optimizer

    def stock_optimizer(network: Network) -> Any:
        optimizer = _stock_optimizer(spec, network)
        per_epoch = problem.updates_per_epoch
        scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda made: plan.multiplier("learning_rate", *divmod(made, per_epoch))
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    network = Network(
        problem.initial_weights(),
        stock_optimizer if stock else lambda model: build_optimizer(spec, model),
        run.losses,
    )
    driver = _ByHand(plan) if stock else HyperparameterScheduler(plan.recipe)
    inputs, classes = (torch.from_numpy(np.ascontiguousarray(array)) for array in problem.train)
    dataset = torch.utils.data.TensorDataset(inputs, classes)
    pl.Trainer(
        max_epochs=problem.epochs,
        callbacks=[driver, recorder, _Epochs(run, progress)],
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
    ).fit(network, torch.utils.data.DataLoader(dataset, batch_size=problem.batch_size))
    run.trace = recorder.trace
    return run


def _stock_optimizer(spec: Any, network: Network) -> torch.optim.Optimizer:
    record = record_of(RECORDS, spec, "parity")
    return record.torch_class(network.parameters(), **record.arguments(spec))
