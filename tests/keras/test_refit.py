"""Training in several pieces: the position decides the value, whatever the optimizer has been through."""

from __future__ import annotations

from typing import Any

import keras
import pytest

from samestep import AdamW, CosineDecay, ExponentialDecay, LinearDecay, Recipe, StepDecay, epochs, updates
from samestep.core.recipes.float32 import float32
from samestep.keras import EpochGatedDecay, HyperparameterScheduler, LearningRateScheduler, TraceRecorder

from .tiny_training import followed, probe, train


@pytest.fixture
def recipe(spec: AdamW) -> Recipe:
    return Recipe(
        spec, learning_rate=LinearDecay(over=updates(40)), weight_decay=ExponentialDecay(0.5, every=epochs(1))
    )


@pytest.mark.parametrize("lengths", [(3, 8), (8, 3), (3, 8, 5)])
def test_a_fit_of_longer_or_shorter_epochs_follows_its_own_plan(lengths: tuple[int, ...], recipe: Recipe) -> None:
    model, scheduler = probe(recipe.optimizer), HyperparameterScheduler(recipe)
    for batches in lengths:
        followed(train(model, scheduler, batches=batches, epochs=2), recipe.plan(batches, 2), batches)


def test_a_recompiled_model_follows_the_plan(recipe: Recipe) -> None:
    model = probe(recipe.optimizer)
    train(model, HyperparameterScheduler(recipe), batches=4, epochs=2)
    model.compile(optimizer=model.optimizer, loss=model.loss)
    followed(train(model, HyperparameterScheduler(recipe), batches=4, epochs=2), recipe.plan(4, 2), 4)


def test_initial_epoch_continues_where_an_uninterrupted_run_would_be(recipe: Recipe) -> None:
    model = probe(recipe.optimizer)
    followed(train(model, HyperparameterScheduler(recipe), batches=4, epochs=2), recipe.plan(4, 2), 4)
    run = train(model, HyperparameterScheduler(recipe), batches=4, epochs=5, initial_epoch=3)
    followed(run, recipe.plan(4, 5), 4, first_epoch=3)


class Failure(keras.callbacks.Callback):
    """The user's own bug, in the second epoch."""

    def __init__(self, hook: str) -> None:
        super().__init__()
        self.epoch = 0
        setattr(self, hook, self.fail)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch

    def fail(self, *_: Any, **__: Any) -> None:
        if self.epoch == 1:
            raise RuntimeError("the user's own failure")


@pytest.mark.parametrize("hook", ["on_train_batch_begin", "on_train_batch_end", "on_epoch_end"])
@pytest.mark.parametrize("batches", [4, 6])
def test_a_fit_after_an_interrupted_one_follows_the_plan(hook: str, batches: int, recipe: Recipe) -> None:
    model = probe(recipe.optimizer)
    with pytest.raises(RuntimeError, match="own failure"):
        train(model, HyperparameterScheduler(recipe), Failure(hook), batches=4)
    run = train(model, HyperparameterScheduler(recipe), batches=batches, epochs=2)
    followed(run, recipe.plan(batches, 2), batches)


def test_a_fit_after_an_interrupted_one_has_the_base_values_of_what_it_does_not_schedule(recipe: Recipe) -> None:
    for callbacks in ([], [EpochGatedDecay(0.5, start_epoch=1)]):
        model = probe(recipe.optimizer)
        with pytest.raises(RuntimeError, match="own failure"):
            train(model, HyperparameterScheduler(recipe), Failure("on_train_batch_begin"), batches=4)
        run = train(model, *callbacks, batches=4, epochs=1)
        assert run.used("learning_rate") == [0.125] * 4
        assert run.used("weight_decay") == [float32(0.1)] * 4


@pytest.mark.parametrize(
    "scheduler", [EpochGatedDecay(0.5, start_epoch=0), LearningRateScheduler(lambda e, lr: lr / 2)]
)
def test_a_stock_optimizer_decays_once_after_a_fit_that_failed_at_its_first_batch(
    scheduler: keras.callbacks.Callback,
) -> None:
    model, failure = probe(keras.optimizers.SGD(0.5)), Failure("on_train_batch_begin")
    failure.on_epoch_begin = lambda epoch, logs=None: setattr(failure, "epoch", 1)
    with pytest.raises(RuntimeError, match="own failure"):
        train(model, scheduler, failure)
    assert train(model, scheduler, batches=1, epochs=1).left == [[-0.25, 1.0]]


def test_a_recorder_does_not_change_a_fit_that_nothing_schedules(recipe: Recipe) -> None:
    trained = []
    for recorders in ([], [TraceRecorder()]):
        model = probe(recipe.optimizer)
        data = {"x": [[1.0, 0.0]] * 4, "y": [[0.0]] * 4}
        data = {name: keras.ops.convert_to_numpy(rows) for name, rows in data.items()}
        model.fit(**data, batch_size=1, verbose=0, callbacks=[HyperparameterScheduler(recipe)])
        model.fit(**data, batch_size=1, verbose=0, callbacks=recorders)
        trained.append(keras.ops.convert_to_numpy(model.trainable_variables[0]).tolist())
    assert trained[0] == trained[1]


def test_what_a_fit_does_not_schedule_has_its_base_value(spec: AdamW) -> None:
    model = probe(spec)
    train(model, HyperparameterScheduler(Recipe(weight_decay=LinearDecay(over=updates(6)))), batches=3, epochs=2)
    run = train(model, EpochGatedDecay(0.5, start_epoch=1), batches=3, epochs=2)
    assert run.used("learning_rate") == [0.125] * 3 + [0.0625] * 3
    assert run.used("weight_decay") == [float32(0.1)] * 6


@pytest.mark.parametrize("resolution", ["update", "epoch"])
def test_data_of_unknown_length_with_values_that_stay_within_epochs(resolution: Any, spec: AdamW) -> None:
    stepped = Recipe(spec, learning_rate=StepDecay(0.5, every=epochs(1)), weight_decay=StepDecay(3.0, every=epochs(2)))
    run = train(probe(spec), HyperparameterScheduler(stepped, resolution=resolution), stream=True)
    followed(run, stepped.plan(5, 3), 5)


def test_data_of_unknown_length_with_updates_per_epoch_given(recipe: Recipe) -> None:
    run = train(probe(recipe.optimizer), HyperparameterScheduler(recipe, updates_per_epoch=5), stream=True)
    followed(run, recipe.plan(5, 3), 5)


def test_data_of_unknown_length_at_the_resolution_of_epochs(spec: AdamW) -> None:
    cosine = Recipe(spec, learning_rate=CosineDecay(over=epochs(4)))
    run = train(probe(spec), HyperparameterScheduler(cosine, resolution="epoch"), stream=True, batches=2)
    expected = [float32(cosine.plan(None, 3).value("learning_rate", epoch)) for epoch in (0, 0, 1, 1, 2, 2)]
    assert run.used("learning_rate") == expected


def test_a_generator_of_a_given_number_of_steps(recipe: Recipe) -> None:
    run = train(probe(recipe.optimizer), HyperparameterScheduler(recipe), batches=12, stream=True, steps_per_epoch=4)
    followed(run, recipe.plan(4, 3), 4)
