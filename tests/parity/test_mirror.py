"""The two rooms are mirror images: names, order, signatures, defaults and messages."""

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

import samestep.keras
import samestep.lightning
from samestep import AdamW, ExponentialDecay, LinearDecay, Recipe, StepDecay, Warmup, epochs, percent, updates

ROOMS = (samestep.lightning, samestep.keras)
RATE = Recipe(learning_rate=StepDecay(0.1, every=epochs(1)))
SPEC = AdamW(learning_rate=0.1)


def test_both_rooms_have_the_same_names_in_the_same_order() -> None:
    assert samestep.lightning.__all__ == samestep.keras.__all__


@pytest.mark.parametrize("name", samestep.keras.__all__)
def test_signatures_are_equal_and_documented(name: str) -> None:
    theirs, ours = (inspect.signature(getattr(room, name)) for room in ROOMS)
    strip = [[(p.name, p.kind, p.default) for p in signature.parameters.values()] for signature in (theirs, ours)]
    assert strip[0] == strip[1]
    if inspect.isclass(getattr(ROOMS[0], name)):
        assert str(theirs) == str(ours)
    assert all(len(inspect.getdoc(getattr(room, name)) or "") > 80 for room in ROOMS)


class Module(pl.LightningModule):
    def __init__(self, optimizer: Callable[[Any], Any]) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)
        self.optimizer = optimizer
        self.batches = 0

    def training_step(self, batch: Any, index: int) -> torch.Tensor:
        self.batches += 1
        return self.layer(batch[0]).square().mean()

    def configure_optimizers(self) -> Any:
        return self.optimizer(self)


class Endless(torch.utils.data.IterableDataset):  # type: ignore[type-arg]
    def __iter__(self) -> Any:
        return iter([(torch.zeros(2),)] * 4)


def fit_lightning(callbacks: list[Any], spec: AdamW | None, known_length: bool, batches: int = 0) -> str:
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning")

    def optimizer(model: Any) -> Any:
        if spec is None:
            return torch.optim.SGD(model.parameters(), lr=0.1)
        return samestep.lightning.build_optimizer(spec, model)

    module = Module(optimizer)
    data: Any = torch.utils.data.TensorDataset(torch.zeros(4, 2)) if known_length else Endless()
    trainer = pl.Trainer(
        max_epochs=2,
        callbacks=callbacks,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    with pytest.raises((ValueError, TypeError)) as error:
        trainer.fit(module, torch.utils.data.DataLoader(data, batch_size=1))
    assert module.batches == batches
    return str(error.value)


def fit_keras(callbacks: list[Any], spec: AdamW | None, known_length: bool, batches: int = 0) -> str:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    optimizer = keras.optimizers.SGD(0.1) if spec is None else samestep.keras.build_optimizer(spec, model)
    model.compile(optimizer, "mse")
    before = model.get_weights()
    batch = (np.ones((1, 2), "float32"), np.zeros((1, 1), "float32"))
    data: Any = {"x": np.ones((4, 2)), "y": np.zeros((4, 1)), "batch_size": 1}
    if not known_length:
        data = {"x": (batch for _ in range(4))}
    with pytest.raises((ValueError, TypeError)) as error:
        model.fit(**data, epochs=2, verbose=0, callbacks=callbacks)
    assert model.optimizer.iterations == batches
    assert batches or all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    return str(error.value)


@pytest.mark.parametrize(
    ("make", "spec", "known_length", "expected"),
    [
        (
            lambda room: [room.HyperparameterScheduler(RATE), room.EpochGatedDecay(0.1, start_epoch=1)],
            None,
            True,
            "found two callbacks that drive learning_rate: HyperparameterScheduler(",
        ),
        (
            lambda room: [room.LearningRateScheduler(lambda e: 0.1), room.EpochGatedDecay(0.1, start_epoch=1)],
            SPEC,
            True,
            "found two callbacks that drive learning_rate: LearningRateScheduler(",
        ),
        (
            lambda room: [room.HyperparameterScheduler(Recipe(learning_rate=ExponentialDecay(0.1, every=percent(10))))],
            SPEC,
            False,
            "a learning_rate schedule that changes within an epoch, and training data of unknown length",
        ),
        (
            lambda room: [room.HyperparameterScheduler(RATE, updates_per_epoch=3)],
            SPEC,
            True,
            "found updates_per_epoch=3, but the trainer makes 4 updates in an epoch",
        ),
        (
            lambda room: [room.HyperparameterScheduler(Recipe(AdamW(learning_rate=0.2), RATE.learning_rate))],
            SPEC,
            True,
            "an optimizer that was not built from this recipe's spec: learning_rate is 0.1 and not 0.2; build it with",
        ),
        (
            lambda room: [room.HyperparameterScheduler(Recipe(SPEC))],
            None,
            True,
            "an optimizer that was not built from this recipe's spec: the optimizer is",
        ),
        (
            lambda room: [room.HyperparameterScheduler(Recipe(momentum=LinearDecay(over=epochs(2), end=1.2)))],
            SPEC,
            True,
            "the momentum at epoch 1, update 1 is 1.0125; expected a value of at least 0 and below 1",
        ),
        (
            lambda room: [room.HyperparameterScheduler(Recipe(momentum=Warmup(over=percent(100) - updates(9))))],
            SPEC,
            True,
            "the momentum schedule: '100% - 9 updates' is -1 updates in this run",
        ),
        (
            lambda room: [room.HyperparameterScheduler({"generator": RATE})],
            None,
            True,
            "found a recipe for 'generator', which matches no optimizer; write one of ['",
        ),
        (
            lambda room: [room.EpochGatedDecay(0.1, start_epoch=1, floor=0.2)],
            None,
            True,
            "found floor=0.2 above the learning rate 0.1 that the decay starts from",
        ),
        (
            lambda room: [
                room.ReduceOnPlateau("loss", hyperparameter=n) for n in ["learning_rate", "weight_decay"] * 2
            ],
            SPEC,
            True,
            "found two callbacks that drive learning_rate: ReduceOnPlateau(",
        ),
        (
            lambda room: [room.ReduceOnPlateau(base=0.5), room.HyperparameterScheduler(RATE)],
            None,
            True,
            "ReduceOnPlateau: found base=0.5 next to a callback that schedules the learning_rate; leave base= out and ",
        ),
    ],
)
def test_what_cannot_be_honoured_is_refused_before_the_first_batch_in_the_same_words(
    make: Callable[[Any], list[Any]], spec: AdamW | None, known_length: bool, expected: str
) -> None:
    messages = [
        fit(make(room), spec, known_length) for fit, room in zip((fit_lightning, fit_keras), ROOMS, strict=True)
    ]
    assert expected in messages[0]
    # Names of the framework's own things may differ: the optimizer's class, the model's layer, the address of a lambda.
    messages = [re.sub(r"one of \['(layer|dense\w*)'\]", "one of [the layer]", message) for message in messages]
    same = [message.split(" at 0x")[0].replace("Keras' own ", "").replace(" and not AdamW", "") for message in messages]
    assert same[0] == same[1]
    assert messages[0].count(". ") == 0, "one sentence"


def test_an_epoch_longer_than_promised_is_refused_in_the_same_words() -> None:
    recipe = Recipe(learning_rate=LinearDecay(over=updates(6)))
    messages = [  # Keras makes its updates in a compiled function, and they are counted when the epoch ends
        fit([room.HyperparameterScheduler(recipe, updates_per_epoch=3)], SPEC, False, batches)
        for fit, room, batches in zip((fit_lightning, fit_keras), ROOMS, (3, 4), strict=True)
    ]
    assert messages[0] == messages[1]
    assert messages[0].startswith("HyperparameterScheduler: found more than 3 updates in epoch 0")


def test_a_metric_that_is_not_there_is_refused_after_an_epoch_in_the_same_words() -> None:
    messages = [
        fit([room.ReduceOnPlateau("accuracy", mode="max")], SPEC, True, batches=4)
        for fit, room in zip((fit_lightning, fit_keras), ROOMS, strict=True)
    ]
    # Keras has the loss among its metrics by itself.
    assert messages[0] == messages[1].replace(", loss.", ".")
    assert messages[0].startswith(
        "ReduceOnPlateau: found no metric 'accuracy' at the end of epoch 0; log it, or set monitor= "
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda room: room.ReduceOnPlateau(""),
        lambda room: room.ReduceOnPlateau(hyperparameter="momentum"),
        lambda room: room.ReduceOnPlateau(mode="auto"),
        lambda room: room.ReduceOnPlateau(factor=1.0),
        lambda room: room.ReduceOnPlateau(patience=1.5),
        lambda room: room.ReduceOnPlateau(threshold=1.0),
        lambda room: room.ReduceOnPlateau(base=0.0),
        lambda room: room.ReduceOnPlateau(base=0.1, hyperparameter="weight_decay"),
        lambda room: room.ReduceOnPlateau(on_change="ask"),
        lambda room: room.ReduceOnPlateau.like_torch(min_lr=-1.0),
        lambda room: room.ReduceOnPlateau.like_keras("val_accuracy"),
        lambda room: room.ReduceOnPlateau.like_keras(patience=1.5),
        lambda room: room.EpochGatedDecay(0.1, start_epoch=-1),
        lambda room: room.EpochGatedDecay(0.1, start_epoch=1.5),
        lambda room: room.EpochGatedDecay(0.1, start_epoch=1, every_epochs=0),
        lambda room: room.EpochGatedDecay("a tenth", start_epoch=1),
        lambda room: room.EpochGatedDecay(0.1, start_epoch=1, floor=-1.0),
        lambda room: room.EpochGatedDecay(0.1, start_epoch=1, base=0.0),
        lambda room: room.LearningRateScheduler(0.1),
        lambda room: room.LearningRateScheduler(lambda: 0.1),
        lambda room: room.HyperparameterScheduler("recipe"),
        lambda room: room.HyperparameterScheduler(RATE, resolution="batch"),
        lambda room: room.HyperparameterScheduler(RATE, updates_per_epoch=0),
        lambda room: room.HyperparameterScheduler(RATE, updates_per_epoch={"generator": 3}),
        lambda room: room.HyperparameterScheduler(RATE, verify=1),
        lambda room: room.HyperparameterScheduler({}),
        lambda room: room.HyperparameterScheduler({"generator": "recipe"}),
        lambda room: room.HyperparameterScheduler({True: RATE}),
        lambda room: room.HyperparameterScheduler({"generator": {"critic": RATE}}),
        lambda room: room.HyperparameterScheduler({"generator": RATE}, updates_per_epoch={"critic": 3}),
        lambda room: room.HyperparameterScheduler({"generator": RATE}, updates_per_epoch={"generator": 0}),
        lambda room: room.build_optimizer("adamw", None),
    ],
)
def test_bad_arguments_are_refused_in_the_same_words(make: Callable[[Any], Any]) -> None:
    messages = []
    for room in ROOMS:
        with pytest.raises((ValueError, TypeError)) as error:
            make(room)
        messages.append(f"{error.type.__name__}: {error.value}".split(" at 0x")[0])
    assert messages[0] == messages[1]
    assert "found" in messages[0]
