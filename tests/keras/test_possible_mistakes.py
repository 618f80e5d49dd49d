"""What is legal and probably not meant is said once, when training starts."""

from __future__ import annotations

from typing import Any

import keras
import pytest

from samestep import AdamW, CosineDecay, LinearDecay, Recipe, StepDecay, Warmup, epochs
from samestep.keras import EpochGatedDecay, HyperparameterScheduler

from .tiny_training import probe, train

LATE = StepDecay(0.1, every=epochs(30))
SPEC = AdamW(0.5, 0.0, betas=(0.0, 0.0))

MISTAKES = [
    (EpochGatedDecay(0.1, start_epoch=50), "start_epoch=50 is never reached: the last epoch is 2"),
    (EpochGatedDecay(0.0, start_epoch=1), "learning_rate is 0 from epoch 1 on: write a floor="),
    (HyperparameterScheduler(Recipe(learning_rate=LATE)), "the first drop, after '30 epochs', is never"),
]


@pytest.mark.parametrize("stock", [True, False])
@pytest.mark.parametrize(("callback", "mistake"), MISTAKES)
def test_a_possible_mistake_is_said_when_training_starts(stock: bool, callback: Any, mistake: str) -> None:
    model = probe(keras.optimizers.SGD(0.5) if stock else SPEC)
    with pytest.warns(UserWarning, match="possible mistakes") as caught:
        train(model, callback)
    (said,) = [str(each.message) for each in caught if "possible mistakes" in str(each.message)]
    assert mistake in said
    assert said.startswith(f"{type(callback).__name__}: ")


@pytest.mark.parametrize("name", ["weight_decay", "momentum"])
def test_a_schedule_that_has_nothing_to_multiply_is_said(name: str) -> None:
    recipe = Recipe(**{name: StepDecay(0.1, epochs(1))})
    with pytest.warns(UserWarning, match=f"{name}: every base value is 0, and so is every multiple of it"):
        train(probe(SPEC), HyperparameterScheduler(recipe))


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(learning_rate=Warmup("2 updates") * CosineDecay("100%")),
        Recipe(learning_rate=StepDecay(0.5, epochs(1))),
        Recipe(learning_rate=LinearDecay("50%", end=0.1)),
    ],
)
@pytest.mark.filterwarnings("error:.*possible mistakes")
def test_ordinary_recipes_train_without_a_word(recipe: Recipe) -> None:
    train(probe(SPEC), HyperparameterScheduler(recipe))
