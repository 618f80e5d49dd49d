"""A public callback shows its arguments and the framework's hooks, the same in both frameworks, and nothing else."""

from __future__ import annotations

import inspect
import logging
import os
import re
import warnings
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.warnings import PossibleUserWarning

import samestep.keras
import samestep.lightning
from samestep import AdamW, Recipe, StepDecay, epochs

ROOMS = (samestep.lightning, samestep.keras)
BASES: tuple[type, type] = (pl.Callback, keras.callbacks.Callback)
RECIPE = Recipe(AdamW(0.1), StepDecay(0.1, every=epochs(1)))
MAKE: dict[str, Callable[[Any], Any]] = {
    "HyperparameterScheduler": lambda room: room.HyperparameterScheduler(RECIPE),
    "EpochGatedDecay": lambda room: room.EpochGatedDecay(0.1, start_epoch=1),
    "LearningRateScheduler": lambda room: room.LearningRateScheduler(lambda epoch: 0.1),
    "ReduceOnPlateau": lambda room: room.ReduceOnPlateau("loss", patience=0),
    "TraceRecorder": lambda room: room.TraceRecorder(),
}
PUBLIC = {
    "HyperparameterScheduler": {"recipe", "resolution", "updates_per_epoch", "verify", "on_change"},
    "EpochGatedDecay": {"factor", "start_epoch", "every_epochs", "floor", "base"},
    "LearningRateScheduler": {"schedule", "verbose", "base"},
    "ReduceOnPlateau": {
        *("monitor", "plateau", "base", "on_change", "scores", "observe"),
        *("like_torch", "like_keras"),
    },
    "TraceRecorder": {"every", "trace", "traces"},
}
FABRIC = {"on_after_optimizer_step"}  # a hook, which Fabric calls and no Trainer
MOST = 8
CLASSES = [name for name in samestep.keras.__all__ if inspect.isclass(getattr(samestep.keras, name))]


class Module(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)

    def training_step(self, batch: Any, index: int) -> torch.Tensor:
        loss: torch.Tensor = self.layer(batch[0]).square().mean()
        self.log("loss", loss)
        return loss

    def configure_optimizers(self) -> Any:
        return samestep.lightning.build_optimizer(RECIPE.optimizer, self)  # type: ignore[arg-type]


def train_lightning(*callbacks: Any) -> None:
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    off: Any = dict.fromkeys(["logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"], False)
    trainer = pl.Trainer(max_epochs=2, callbacks=list(callbacks), accelerator="cpu", **off)
    data = torch.utils.data.TensorDataset(torch.ones(4, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PossibleUserWarning)
        trainer.fit(Module(), torch.utils.data.DataLoader(data))


def train_keras(*callbacks: Any) -> None:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(samestep.keras.build_optimizer(RECIPE.optimizer, model), "mse")  # type: ignore[arg-type]
    model.fit(np.ones((4, 2)), np.ones((4, 1)), batch_size=1, epochs=2, verbose=0, callbacks=list(callbacks))


def public(callback: Any, plain: Any) -> set[str]:
    """The public names that a callback has beyond one of the framework's base class."""
    return {name for name in set(dir(callback)) - set(dir(plain)) - FABRIC if not name.startswith("_")}


def test_every_public_class_is_a_callback_that_is_tested_here() -> None:
    assert list(MAKE) == list(PUBLIC)
    assert sorted(MAKE) == sorted(CLASSES)
    assert max(map(len, PUBLIC.values())) <= MOST


@pytest.mark.parametrize("name", CLASSES)
def test_a_callback_shows_its_arguments_before_and_after_a_training(name: str) -> None:
    for room, base, train in zip(ROOMS, BASES, (train_lightning, train_keras), strict=True):
        callback, plain = MAKE[name](room), base()
        assert public(callback, plain) == PUBLIC[name]
        train(callback, plain)  # what the framework gives a callback, it gives the other one too
        assert public(callback, plain) == PUBLIC[name]


def answers(callback: Any, name: str) -> bool:
    """Whether a callback has an attribute; one of 0.1, which comes with a FutureWarning, does not count."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        try:
            getattr(callback, name)
        except (AttributeError, FutureWarning):
            return False
    return True


@pytest.mark.parametrize("name", CLASSES)
def test_what_a_callback_does_inside_is_not_public(name: str) -> None:
    for room, base in zip(ROOMS, BASES, strict=True):
        callback, plain = MAKE[name](room), base()
        inside = {each.strip("_") for each in dir(callback) if re.match("_[a-z]", each)}
        inside |= {each for policy in getattr(callback, "_policies", {}).values() for each in dir(policy)}
        inside |= {"begin_run", "driven", "follow", "look", "memory", "of_settings", "so_far", "take_score", "trainer"}
        found = {each for each in inside if not each.startswith("_") and answers(callback, each)}
        assert found - set(dir(plain)) <= PUBLIC[name]


@pytest.mark.parametrize("name", CLASSES)
def test_the_documentation_of_a_callback_is_written_once(name: str) -> None:
    classes = [getattr(room, name) for room in ROOMS]
    assert classes[0].__doc__ == classes[1].__doc__
    assert classes[0].__doc__ is not None
    for each in PUBLIC[name] - {"traces"}:
        first, second = (inspect.getattr_static(of, each) for of in classes)
        assert first is second, each
        assert inspect.getdoc(first), each


@pytest.mark.parametrize("name", [name for name in samestep.keras.__all__ if name not in CLASSES])
def test_the_functions_of_both_frameworks_document_the_same_arguments(name: str) -> None:
    found = []
    for room in ROOMS:
        function = getattr(room, name)
        arguments = re.search(r"\nArgs:\n(.*?)(\n\n|$)", inspect.getdoc(function) or "", re.DOTALL)
        assert arguments is not None, room
        named = re.findall(r"^    \**(\w+):", arguments[1], re.MULTILINE)
        assert named == list(inspect.signature(function).parameters)
        assert "\nRaises:\n" in (inspect.getdoc(function) or "")
        found.append(named)
    assert found[0] == found[1]
