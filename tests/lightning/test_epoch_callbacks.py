"""EpochGatedDecay and LearningRateScheduler: the learning rate that plain SGD really used in each epoch."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from samestep import Recipe, StepDecay, epochs
from samestep.lightning import EpochGatedDecay, HyperparameterScheduler, LearningRateScheduler

from .tiny_training import Ramp, sgd, train

# The number of drops in effect in epochs 0 to 11, by (start_epoch, every_epochs); the same for every framework.
GOLDEN = Path(__file__).parents[1] / "golden" / "epoch_gated_decay.json"
DROPS = {(row["start_epoch"], row["every_epochs"]): row["drops"] for row in json.loads(GOLDEN.read_text())}


def forum(epoch: int, lr: float) -> float:
    """The function of the forum question: a tenth every five epochs."""
    return lr * 0.1 if epoch % 5 == 0 and epoch != 0 else lr


def per_epoch(run: Any, updates: int) -> list[float]:
    """The learning rate of each epoch, once it is sure that no update within an epoch had another."""
    used = run.learning_rates()
    firsts = used[::updates]
    assert used == [value for value in firsts for _ in range(updates)]
    return firsts


@pytest.mark.parametrize(("start", "every"), DROPS)
def test_gated_decay_drops_at_start_epoch_and_every_so_many_epochs(start: int, every: int) -> None:
    decay = EpochGatedDecay(0.5, start_epoch=start, every_epochs=every)
    run = train(sgd(1.0), decay, batches=2, epochs=12)
    assert per_epoch(run, 2) == [0.5**drops for drops in DROPS[start, every]]


def test_gated_decay_drops_every_epoch_unless_told_otherwise() -> None:
    run = train(sgd(1.0), EpochGatedDecay(0.5, start_epoch=2), batches=2, epochs=5)
    assert per_epoch(run, 2) == [1.0, 1.0, 0.5, 0.25, 0.125]


def test_gated_decay_counts_epochs_under_accumulation() -> None:
    decay = EpochGatedDecay(0.5, start_epoch=1)
    run = train(sgd(1.0), decay, batches=3, epochs=3, accumulate_grad_batches=2)
    assert per_epoch(run, 2) == [1.0, 0.5, 0.25]


def test_gated_decay_stops_at_its_floor() -> None:
    decay = EpochGatedDecay(0.1, start_epoch=1, floor=0.004)
    run = train(sgd(1.0), decay, batches=2, epochs=6)
    assert per_epoch(run, 2) == [1.0, 0.1, 0.1**2, 0.004, 0.004, 0.004]


def test_gated_decay_starts_from_the_base_that_it_is_given() -> None:
    run = train(sgd(1.0), EpochGatedDecay(0.5, start_epoch=1, base=3.0), batches=2, epochs=3)
    assert per_epoch(run, 2) == [3.0, 1.5, 0.75]


def test_gated_decay_is_the_recipe_with_a_step_decay() -> None:
    recipe = Recipe(learning_rate=StepDecay(0.1, every=epochs(2), first=epochs(1)))
    run = train(sgd(0.3), EpochGatedDecay(0.1, start_epoch=1, every_epochs=2), batches=2, epochs=6)
    same = train(sgd(0.3), HyperparameterScheduler(recipe), batches=2, epochs=6)
    assert run.learning_rates() == same.learning_rates()


def test_gated_decay_needs_no_run_length() -> None:
    run = train(sgd(1.0), EpochGatedDecay(0.5, start_epoch=1), batches=2, max_epochs=-1, max_steps=5)
    assert run.learning_rates() == [1.0, 1.0, 0.5, 0.5, 0.25]


def test_forum_function_drops_every_fifth_epoch() -> None:
    run = train(sgd(1.0), LearningRateScheduler(forum), batches=2, epochs=11)
    assert per_epoch(run, 2) == [1.0] * 5 + [0.1] * 5 + [0.1 * 0.1]


def test_forum_function_and_gated_decay_agree() -> None:
    run = train(sgd(0.01), LearningRateScheduler(forum), batches=2, epochs=11)
    same = train(sgd(0.01), EpochGatedDecay(0.1, start_epoch=5, every_epochs=5), batches=2, epochs=11)
    # lr * 0.1 * 0.1 and lr * 0.1 ** 2 are the same number up to the rounding of a double.
    assert per_epoch(run, 2) == pytest.approx(per_epoch(same, 2), rel=4e-16)


def test_one_argument_function_gives_the_learning_rate_itself() -> None:
    run = train(sgd(9.0), LearningRateScheduler(lambda epoch: [0.5, 0.125, 0.25][epoch]), batches=2)
    assert per_epoch(run, 2) == [0.5, 0.125, 0.25]


def test_function_is_asked_once_for_each_epoch_and_in_order() -> None:
    asked = []

    def halve(epoch: int, lr: float) -> float:
        asked.append((epoch, lr))
        return lr / 2

    train(sgd(1.0), LearningRateScheduler(halve))
    assert asked == [(0, 1.0), (1, 0.5), (2, 0.25)]


def test_two_argument_function_starts_from_the_base_that_it_is_given() -> None:
    run = train(sgd(1.0), LearningRateScheduler(lambda epoch, lr: lr / 2, base=3.0), batches=2)
    assert per_epoch(run, 2) == [1.5, 0.75, 0.375]


def test_partial_and_bound_functions_are_accepted() -> None:
    def shrink(factor: float, epoch: int, lr: float) -> float:
        return lr * factor

    run = train(sgd(1.0), LearningRateScheduler(partial(shrink, 0.5)), batches=2)
    assert per_epoch(run, 2) == [0.5, 0.25, 0.125]


def both_callbacks() -> list[Any]:
    return [EpochGatedDecay(0.5, start_epoch=1), LearningRateScheduler(lambda e, lr: lr / 2 if e else lr)]


@pytest.mark.parametrize("decay", both_callbacks(), ids=lambda callback: type(callback).__name__)
def test_second_fit_of_one_callback_starts_from_the_base_again(decay: Any) -> None:
    assert train(sgd(1.0), decay, batches=1).learning_rates() == [1.0, 0.5, 0.25]
    assert train(sgd(1.0), decay, batches=1).learning_rates() == [1.0, 0.5, 0.25]


@pytest.mark.parametrize("number", [0, 1])
def test_an_optimizer_that_outlives_its_run_does_not_decay_twice(number: int) -> None:
    kept: list[torch.optim.Optimizer] = []

    def keep(module: torch.nn.Module) -> torch.optim.Optimizer:
        kept.append(torch.optim.SGD(module.parameters(), lr=1.0) if not kept else kept[0])
        return kept[0]

    module = Ramp(keep)
    for _ in range(2):
        run = train(None, both_callbacks()[number], batches=1, module=module)
    assert run.learning_rates() == [1.0, 0.5, 0.25] * 2
