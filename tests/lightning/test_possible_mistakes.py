"""What is legal and probably not meant is said once, when training starts."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from samestep import SGDW, AdamW, CosineDecay, LinearDecay, Recipe, StepDecay, Warmup, epochs
from samestep.lightning import (
    EpochGatedDecay,
    HyperparameterScheduler,
    LearningRateScheduler,
    ReduceOnPlateau,
    build_optimizer,
)

from .tiny_training import sgd, train

LATE = StepDecay(0.1, every=epochs(30))

MISTAKES = [
    (sgd(1.0), EpochGatedDecay(0.1, start_epoch=50), "start_epoch=50 is never reached: the last epoch is 2"),
    (sgd(1.0), EpochGatedDecay(0.0, start_epoch=1), "learning_rate is 0 from epoch 1 on: write a floor="),
    (sgd(1.0), HyperparameterScheduler(Recipe(learning_rate=LATE)), "the first drop, after '30 epochs', is never"),
    (
        sgd(1.0),
        HyperparameterScheduler(Recipe(weight_decay=StepDecay(0.1, epochs(1)))),
        "weight_decay: every base value is 0, and so is every multiple of it",
    ),
    (
        sgd(1.0),
        HyperparameterScheduler(Recipe(momentum=StepDecay(0.1, epochs(1)))),
        "momentum: every base value is 0, and so is every multiple of it",
    ),
    (
        sgd(0.0, 0.0),
        HyperparameterScheduler(Recipe(learning_rate=StepDecay(0.1, epochs(1)))),
        "learning_rate: every base value is 0",
    ),
]


@pytest.mark.parametrize(("optimizer", "callback", "mistake"), MISTAKES)
def test_a_possible_mistake_is_said_when_training_starts(optimizer: Any, callback: Any, mistake: str) -> None:
    with pytest.warns(UserWarning, match="possible mistakes") as caught:
        train(optimizer, callback, weights=2)
    (said,) = [str(each.message) for each in caught if "possible mistakes" in str(each.message)]
    assert mistake in said
    assert said.startswith(f"{type(callback).__name__}: ")
    assert said.count("\n") == 0


def test_a_trial_of_some_batches_is_not_the_run() -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "[^:]*: possible mistakes")
        run = train(sgd(1.0), HyperparameterScheduler(Recipe(learning_rate=LATE)), fast_dev_run=2)
    assert run.learning_rates() == [1.0, 1.0]


def test_the_spec_s_zeros_are_said_with_all_that_lint_finds() -> None:
    recipe = Recipe(SGDW(1.0, momentum=0.0), learning_rate=LATE, momentum=StepDecay(0.1, epochs(1)))
    with pytest.warns(UserWarning, match="never reached") as caught:
        train(lambda module: build_optimizer(recipe, module), HyperparameterScheduler(recipe))
    (said,) = [str(each.message) for each in caught if "possible mistakes" in str(each.message)]
    assert "momentum: every base value is 0" in said
    assert all(sentence in said for sentence in recipe.plan(5, 3).lint())


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(learning_rate=Warmup("2 updates") * CosineDecay("100%")),
        Recipe(learning_rate=LinearDecay("100%")),
        Recipe(learning_rate=StepDecay(0.5, epochs(1))),
        Recipe(learning_rate=LinearDecay("50%", end=0.1)),
        Recipe(AdamW(1.0, 0.1), weight_decay=StepDecay(0.5, epochs(1))),
    ],
)
@pytest.mark.filterwarnings("error:.*possible mistakes")
def test_ordinary_recipes_train_without_a_word(recipe: Recipe) -> None:
    build = sgd(1.0) if recipe.optimizer is None else lambda module: build_optimizer(recipe, module)
    train(build, HyperparameterScheduler(recipe))


@pytest.mark.filterwarnings("error:.*possible mistakes")
def test_some_groups_without_weight_decay_are_no_mistake() -> None:
    import torch

    def build(module: Any) -> torch.optim.Optimizer:
        first, second = module.parameters()
        return torch.optim.SGD([{"params": [first], "weight_decay": 0.1}, {"params": [second]}], lr=1.0)

    train(build, HyperparameterScheduler(Recipe(weight_decay=StepDecay(0.1, epochs(1)))), weights=2)


def test_functions_and_plateaus_have_nothing_to_say() -> None:
    train(sgd(1.0), LearningRateScheduler(lambda epoch: 1.0 / (epoch + 1)))
    assert ReduceOnPlateau("loss")._policy.possible_mistakes({}, None) == []  # type: ignore[arg-type]
