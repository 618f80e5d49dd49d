"""An optimizer built for a recipe says so if nothing drives its schedules."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch

from samestep import SGDW, AdamW, NAdamW, ParameterRule, Recipe, StepDecay, epochs
from samestep.lightning import EpochGatedDecay, HyperparameterScheduler, build_optimizer

from .tiny_training import Ramp, train

DROPS = StepDecay(0.1, every=epochs(1))
SPECS = [
    SGDW(1.0),
    SGDW(1.0, clipnorm=100.0),
    AdamW(1.0, 0.0),
    AdamW(1.0, 0.0, weight_decay_basis="update"),
    NAdamW(1.0),
    SGDW(1.0, parameters=[ParameterRule(path="weights/1", learning_rate=0.5)]),
]
Optimizer = Callable[[Any], torch.optim.Optimizer]


def of(recipe: Recipe) -> Optimizer:
    return lambda module: build_optimizer(recipe, module)


@pytest.mark.parametrize("spec", SPECS)
def test_a_forgotten_callback_is_warned_of_once(spec: Any) -> None:
    with pytest.warns(UserWarning, match="learning_rate should follow a schedule, but no callback") as caught:
        run = train(of(Recipe(spec, learning_rate=DROPS)), weights=2)
    assert len([each for each in caught if "samestep" in str(each.message)]) == 1
    assert run.trace.column("learning_rate") == [1.0] * 15


@pytest.mark.parametrize("spec", SPECS)
def test_what_a_callback_drives_is_not_warned_of(spec: Any) -> None:
    recipe = Recipe(spec, learning_rate=DROPS)
    optimizers = []

    def build(module: Any) -> torch.optim.Optimizer:
        optimizers.append(build_optimizer(recipe, module))
        return optimizers[0]

    rates = train(build, HyperparameterScheduler(recipe), weights=2).trace.column("learning_rate")
    assert rates == [recipe.plan(5, 3).value("learning_rate", epoch) for epoch in range(3) for _ in range(5)]
    assert not optimizers[0]._optimizer_step_pre_hooks  # nothing is left to look at before each update


def test_a_callback_that_drives_some_of_it_leaves_the_rest_due() -> None:
    recipe = Recipe(AdamW(1.0, 0.1), learning_rate=DROPS, weight_decay=DROPS)
    with pytest.warns(UserWarning, match="whose weight_decay should follow"):
        train(of(recipe), EpochGatedDecay(0.1, start_epoch=1))


def test_without_a_schedule_nothing_is_due() -> None:
    assert train(of(Recipe(SGDW(1.0)))).learning_rates() == [1.0] * 15


def test_a_loop_of_one_s_own_is_warned_too() -> None:
    model = torch.nn.Linear(1, 1)
    recipe = Recipe(AdamW(1e-3), momentum=DROPS)
    optimizer = build_optimizer(recipe, model)
    with pytest.warns(
        UserWarning, match=r"whose momentum should follow .* build_optimizer\(recipe\.optimizer, model\)"
    ):
        optimizer.step()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        optimizer.step()
        build_optimizer(recipe.optimizer, model).step()  # type: ignore[arg-type]


def test_a_recipe_without_an_optimizer_cannot_build_one() -> None:
    with pytest.raises(ValueError, match=r"build_optimizer: found a recipe without an optimizer; give it one, as in"):
        build_optimizer(Recipe(learning_rate=DROPS), Ramp(None))
