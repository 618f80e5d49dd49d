"""The callbacks of whole epochs: literal tables, on an optimizer of ours and on Keras' own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import pytest

from samestep import AdamW, LinearDecay, Recipe, StepDecay, epochs
from samestep.core.recipes.float32 import float32
from samestep.keras import EpochGatedDecay, HyperparameterScheduler, LearningRateScheduler

from .tiny_training import probe, train

OURS_AND_STOCK = pytest.mark.parametrize("ours", [True, False], ids=["ours", "stock"])

# The number of drops in effect in epochs 0 to 11, by (start_epoch, every_epochs); the same for every framework.
GOLDEN = Path(__file__).parents[1] / "golden" / "epoch_gated_decay.json"
DROPS = {(row["start_epoch"], row["every_epochs"]): row["drops"] for row in json.loads(GOLDEN.read_text())}

FORUM = [0.5] * 5 + [0.05] * 5 + [0.005] * 2  # of the function below, in epochs 0 to 11


def forum(epoch: int, lr: float) -> float:
    return lr * 0.1 if epoch % 5 == 0 and epoch != 0 else lr


@pytest.fixture(scope="module")
def models() -> dict[bool, keras.Model]:
    """One model for each kind of optimizer: it is traced once, and every test starts at its own first epoch."""
    return {}


@pytest.fixture
def model(ours: bool, models: dict[bool, keras.Model]) -> keras.Model:
    """A model whose weight decay is zero and whose first weight shows the learning rate, 0.5 before any decay."""
    if ours not in models:
        models[ours] = probe(AdamW(0.5, 0.0, betas=(0.0, 0.0)) if ours else keras.optimizers.SGD(0.5))
    return models[ours]


def decrements(run: Any) -> list[float]:
    """What the single update of each epoch took off a weight of 0 with gradient 1: the learning rate it used."""
    rates = [-weight for weight, _ in run.left]
    assert run.used("learning_rate") == rates
    return rates


def near(values: list[float]) -> Any:
    """Equal up to the last of float32's 24 bits: decay by 0.1 is repeated in float64 and the tables are decimals."""
    return pytest.approx(values, rel=2**-23, abs=0.0)


@OURS_AND_STOCK
@pytest.mark.parametrize("gate", DROPS, ids=str)
def test_gated_decay_first_decays_start_epoch(gate: tuple[int, int], model: Any) -> None:
    decay = EpochGatedDecay(0.5, start_epoch=gate[0], every_epochs=gate[1])
    run = train(model, decay, batches=1, epochs=12)
    assert decrements(run) == [0.5**drops * 0.5 for drops in DROPS[gate]]


@OURS_AND_STOCK
def test_gated_decay_stops_at_the_floor(model: Any) -> None:
    run = train(model, EpochGatedDecay(0.1, start_epoch=1, floor=0.003), batches=1, epochs=5)
    assert decrements(run) == near([0.5, 0.05, 0.005, 0.003, 0.003])


@OURS_AND_STOCK
def test_the_function_of_the_forums_decays_every_five_epochs_in_every_fit(model: Any) -> None:
    scheduler = LearningRateScheduler(forum)
    assert decrements(train(model, scheduler, batches=1, epochs=12)) == near(FORUM)
    assert decrements(train(model, scheduler, batches=1, epochs=6)) == near(FORUM[:6])
    assert decrements(train(model, LearningRateScheduler(forum), batches=1, epochs=6)) == near(FORUM[:6])


@OURS_AND_STOCK
@pytest.mark.parametrize("first", [4, 5])
def test_initial_epoch_has_the_value_of_an_uninterrupted_run(first: int, model: Any) -> None:
    run = train(model, LearningRateScheduler(forum), batches=1, epochs=12, initial_epoch=first)
    assert decrements(run) == near(FORUM[first:])


@OURS_AND_STOCK
def test_a_function_of_the_epoch_alone_gives_the_learning_rate(model: Any) -> None:
    run = train(model, LearningRateScheduler(lambda epoch: 1 / (1 + epoch)), batches=1, epochs=3)
    assert decrements(run) == [1.0, 0.5, float32(1 / 3)]


@OURS_AND_STOCK
def test_a_recipe_without_spec_drives_either_optimizer(model: Any) -> None:
    recipe = Recipe(learning_rate=StepDecay(0.5, every=epochs(2)))
    assert decrements(train(model, HyperparameterScheduler(recipe), batches=1, epochs=4)) == [0.5, 0.5, 0.25, 0.25]


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_a_stock_optimizer_holds_an_epochs_value_at_each_of_its_updates(policy: str) -> None:
    model = probe(keras.optimizers.SGD(0.5), policy=policy)
    run = train(model, EpochGatedDecay(0.25, start_epoch=1), batches=3, epochs=3)
    assert run.used("learning_rate") == [0.5] * 3 + [0.125] * 3 + [0.03125] * 3
    assert [weight for weight, _ in run.left] == [-1.5, -0.375, -0.09375]


def test_a_per_update_recipe_drives_a_stock_optimizer_at_the_resolution_of_epochs() -> None:
    scheduler = HyperparameterScheduler(Recipe(learning_rate=LinearDecay(over=epochs(4))), resolution="epoch")
    run = train(probe(keras.optimizers.SGD(0.5)), scheduler, batches=2, epochs=3)
    assert run.used("learning_rate") == [0.5, 0.5, 0.375, 0.375, 0.25, 0.25]


@pytest.mark.parametrize(
    "optimizer", [AdamW(0.5, 0.0, betas=(0.0, 0.0)), keras.optimizers.SGD(0.5)], ids=["ours", "stock"]
)
def test_gated_decay_starts_from_a_base_that_is_given(optimizer: Any) -> None:
    run = train(probe(optimizer), EpochGatedDecay(0.5, start_epoch=1, base=2.0), batches=1, epochs=3)
    assert decrements(run) == [2.0, 1.0, 0.5]


def test_base_lets_a_stock_optimizer_that_has_trained_decay() -> None:
    model = probe(keras.optimizers.SGD(0.5))
    train(model, batches=1, epochs=1)
    run = train(model, EpochGatedDecay(0.5, start_epoch=1, base=0.25), batches=1, epochs=2)
    assert decrements(run) == [0.25, 0.125]
