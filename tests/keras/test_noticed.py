"""What can only be seen while training goes on is noticed at the latest at the end of the epoch."""

from __future__ import annotations

from typing import Any

import keras
import pytest

from samestep import AdamW, LinearDecay, Recipe, StepDecay, epochs, updates
from samestep.core.recipes.float32 import float32
from samestep.keras import EpochGatedDecay, HyperparameterScheduler

from .tiny_training import probe, train


class Overwrite(keras.callbacks.Callback):
    """Somebody else's callback, which sets the learning rate too."""

    def __init__(self, hook: str) -> None:
        super().__init__()
        setattr(self, hook, self.overwrite)

    def overwrite(self, *_: Any, **__: Any) -> None:
        self.model.optimizer.learning_rate = 0.375


def noticed(model: keras.Model, *callbacks: Any, **options: Any) -> str:
    with pytest.raises(ValueError, match=r"^[^\n]*\.$") as caught:
        train(model, *callbacks, **options)
    return str(caught.value)


@pytest.mark.parametrize("schedule", [LinearDecay(over=updates(30)), StepDecay(0.5, every=updates(6))], ids=repr)
def test_more_updates_in_an_epoch_than_were_given(schedule: Any, spec: AdamW) -> None:
    scheduler = HyperparameterScheduler(Recipe(spec, learning_rate=schedule), updates_per_epoch=3)
    message = noticed(probe(spec), scheduler, stream=True, batches=5)
    assert "more than 3 updates in epoch 0, but updates_per_epoch is 3" in message
    assert "set it to the number of updates that an epoch makes" in message


def test_fewer_updates_in_an_epoch_than_were_given(spec: AdamW) -> None:
    recipe = Recipe(spec, learning_rate=LinearDecay(over=updates(30)))
    scheduler = HyperparameterScheduler(recipe, updates_per_epoch=5)
    with pytest.warns(UserWarning, match=r"found 3 updates in epoch 1, but updates_per_epoch is 5; the next epoch"):
        run = train(probe(spec), scheduler, stream=True, batches=3, epochs=2)
    plan = recipe.plan(5, 2)
    assert run.used("learning_rate") == [
        float32(plan.value("learning_rate", epoch, update)) for epoch in range(2) for update in range(3)
    ]


def test_the_length_of_an_epoch_does_not_matter_to_a_schedule_in_epochs(spec: AdamW) -> None:
    recipe = Recipe(spec, learning_rate=StepDecay(0.5, every=epochs(1)))
    run = train(probe(spec), HyperparameterScheduler(recipe, updates_per_epoch=3), stream=True, batches=4, epochs=2)
    assert run.used("learning_rate") == [0.125] * 4 + [0.0625] * 4


HOOKS = ("on_epoch_begin", "on_train_batch_begin", "on_train_batch_end", "on_epoch_end")


@pytest.mark.parametrize(
    ("hook", "policy"), [*((hook, "float32") for hook in HOOKS), ("on_train_batch_end", "mixed_float16")]
)
@pytest.mark.parametrize("listed_first", [True, False], ids=["before_ours", "after_ours"])
def test_another_callback_that_sets_a_stock_optimizers_learning_rate(
    listed_first: bool, hook: str, policy: str
) -> None:
    callbacks = [Overwrite(hook), EpochGatedDecay(0.5, start_epoch=1)]
    model = probe(keras.optimizers.SGD(0.5), policy=policy)
    message = noticed(model, *(callbacks if listed_first else reversed(callbacks)), batches=2)
    assert message.startswith("EpochGatedDecay: found learning_rate = 0.375 at epoch ")
    assert "but the plan has 0.5, written last by EpochGatedDecay; " in message
    assert "remove whatever has changed it since, possibly one of Weights, Overwrite" in message


def test_a_run_that_stops_within_an_epoch_is_no_contradiction(spec: AdamW) -> None:
    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.model.stop_training = batch == 2

    recipe = Recipe(spec, learning_rate=LinearDecay(over=epochs(3)))
    run = train(probe(spec), HyperparameterScheduler(recipe, updates_per_epoch=5), Stop(), stream=True)
    assert [tuple(position) for position in run.positions()] == [(0, 0), (0, 1), (0, 2)]
