"""ReduceOnPlateau: what the updates used after the scores of the epochs before, whatever schedules the values."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from samestep import SGDW, AdamW, CosineDecay, LinearDecay, Recipe, StepDecay, Warmup, epochs, percent, updates
from samestep.core.recipes.float32 import float32
from samestep.keras import (
    EpochGatedDecay,
    HyperparameterScheduler,
    LearningRateScheduler,
    ReduceOnPlateau,
    build_optimizer,
)

from .tiny_training import kernel, probe, train
from .versions import multi_optimizer

SCORES = [1.0, 0.5, 0.5, 0.25, 0.75, 0.5]  # those of the epochs 2, 4 and 5 are bad
REDUCED = [1.0, 1.0, 1.0, 0.5, 0.5, 0.25]  # what is left in each epoch, with a factor of a half and no patience
RECORDED = json.loads((Path(__file__).parents[1] / "golden" / "plateau_scores.json").read_text())
SPEC = AdamW(0.5, 0.0, betas=(0.0, 0.0))

ours_and_stock = pytest.mark.parametrize("ours", [True, False], ids=["ours", "stock"])
both_orders = pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
each_kind_in_an_order = pytest.mark.parametrize(
    ("ours", "first"), [(True, True), (False, False)], ids=["ours", "stock"]
)


def halving(**arguments: Any) -> ReduceOnPlateau:
    return ReduceOnPlateau(**{"factor": 0.5, "patience": 0, **arguments})


class Scores(keras.callbacks.Callback):
    """The user's own metric, which has a value in each epoch but those of None."""

    def __init__(self, scores: Sequence[float | None] = SCORES, name: str = "val_loss") -> None:
        super().__init__()
        self.scores, self.name = scores, name

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self.scores[epoch] is not None:
            logs[self.name] = self.scores[epoch]


@pytest.fixture(scope="module")
def models() -> dict[Any, keras.Model]:
    """One model for each kind of optimizer: it is traced once, and every test starts at its own first epoch."""
    return {}


@pytest.fixture
def model(ours: bool, models: dict[Any, keras.Model]) -> keras.Model:
    """A model without weight decay, whose first weight shows the learning rate: 0.5 before any reduction."""
    if ours not in models:
        models[ours] = probe(SPEC if ours else keras.optimizers.SGD(0.5))
    return models[ours]


def rates(run: Any) -> list[float]:
    """What the only update of each epoch took off a weight of 0 with gradient 1: the learning rate that it used."""
    found = [-weight for weight, _ in run.left]
    assert run.used("learning_rate") == found
    return found


def left(scheduled: Sequence[float], reduced: Sequence[float] = REDUCED) -> list[float]:
    return [float32(value * part) for value, part in zip(scheduled, reduced, strict=True)]


@ours_and_stock
@both_orders
def test_an_epoch_is_reduced_by_the_scores_of_those_before(model: Any, first: bool) -> None:
    callbacks = [Scores(), halving()]
    run = train(model, *callbacks[:: 1 if first else -1], batches=1, epochs=6)
    assert rates(run) == left([0.5] * 6)
    (callback,) = (each for each in callbacks if isinstance(each, ReduceOnPlateau))
    assert callback.scores == dict(enumerate(SCORES))


@ours_and_stock
@pytest.mark.parametrize("frequency", [1, 2])
def test_a_score_of_the_validation_of_keras_is_that_of_its_epoch(model: Any, frequency: int) -> None:
    """The second weight is 1, so that the loss is what the validation's example has for it."""

    class Validation(keras.utils.PyDataset):
        epoch = 0

        def __len__(self) -> int:
            return 1

        def __getitem__(self, index: int) -> Any:
            return np.array([[0.0, SCORES[self.epoch // frequency]]], "float32"), np.zeros((1, 1), "float32")

    callback, validation = halving(), Validation(workers=0)
    seen: list[int] = []
    clock = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, _: setattr(validation, "epoch", epoch),
        on_epoch_end=lambda *_: seen.append(len(callback.scores)),
    )
    options = {"validation_data": validation, "validation_freq": frequency}
    run = train(model, clock, callback, batches=1, epochs=6 * frequency, **options)
    assert seen == [(epoch + 1) // frequency for epoch in range(6 * frequency)]
    assert callback.scores == {(number + 1) * frequency - 1: score for number, score in enumerate(SCORES)}
    assert rates(run) == left([0.5] * 6 * frequency, [part for part in REDUCED for _ in range(frequency)])


COMPILED: list[tuple[dict[str, Any], bool]] = [({}, True), ({"run_eagerly": True}, False)]
if keras.backend.backend() != "torch":
    COMPILED += [({"jit_compile": False}, False), ({"jit_compile": True}, True)]
    COMPILED += [({"steps_per_execution": 3}, False)]


@pytest.mark.parametrize(("compiled", "first"), COMPILED, ids=str)
def test_a_schedule_that_changes_at_every_update_is_multiplied(compiled: dict[str, Any], first: bool) -> None:
    recipe = Recipe(SPEC, Warmup(over=updates(4)) * CosineDecay(over=percent(100)))
    callbacks = [HyperparameterScheduler(recipe, verify=True), halving()]
    run = train(probe(SPEC, **compiled), Scores(), *callbacks[:: -1 if first else 1], batches=4, epochs=6)
    plan = recipe.plan(4, 6)
    used = [value * REDUCED[epoch] for epoch in range(6) for value in plan.values("learning_rate", epoch)]
    assert run.used("learning_rate") == [float32(value) for value in used]
    for epoch, (weight, _) in enumerate(run.left):
        simulated = np.float32(0.0)
        for value in used[4 * epoch : 4 * epoch + 4]:
            simulated -= np.float32(value)
        assert weight == simulated


def test_mixed_precision_reduces_too() -> None:
    run = train(probe(SPEC, policy="mixed_float16"), Scores(), halving(), batches=1, epochs=6)
    assert rates(run) == left([0.5] * 6)


@each_kind_in_an_order
@pytest.mark.parametrize(
    ("make", "scheduled"),
    [
        (lambda: EpochGatedDecay(0.25, start_epoch=2, every_epochs=2), [0.5, 0.5, 2**-3, 2**-3, 2**-5, 2**-5]),
        (lambda: LearningRateScheduler(lambda epoch, rate: rate * 2), [1.0, 2.0, 4.0, 8.0, 16.0, 32.0]),
        (lambda: LearningRateScheduler(lambda epoch: 1.0 + epoch), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
        (
            lambda: HyperparameterScheduler(Recipe(learning_rate=LinearDecay(over=epochs(8))), resolution="epoch"),
            [0.5, 0.4375, 0.375, 0.3125, 0.25, 0.1875],
        ),
    ],
    ids=["gated", "folded function", "function", "resolution"],
)
def test_every_callback_that_schedules_is_multiplied(
    model: Any, make: Callable[[], Any], scheduled: list[float], first: bool
) -> None:
    callbacks = [make(), halving()]
    run = train(model, Scores(), *callbacks[:: -1 if first else 1], batches=1, epochs=6)
    assert rates(run) == left(scheduled)
    assert model.history.history["learning_rate"] == [
        value * part for value, part in zip(scheduled, REDUCED, strict=True)
    ]


@ours_and_stock
def test_a_stock_optimizer_is_reduced_from_the_base_that_is_given(model: Any) -> None:
    assert rates(train(model, Scores(), halving(base=2.0), batches=1, epochs=6)) == left([2.0] * 6)


@ours_and_stock
def test_no_reduction_goes_below_the_floor_and_a_schedule_may(model: Any) -> None:
    warmup = HyperparameterScheduler(Recipe(learning_rate=Warmup(over=epochs(4))), resolution="epoch")
    run = train(model, Scores([1.0] * 6), halving(floor=0.1875), warmup, batches=1, epochs=6)
    assert rates(run) == [0.0, 0.125, 0.1875, 0.1875, 0.1875, 0.1875]


@pytest.mark.parametrize("scheduled", [True, False])
def test_the_weight_decay_is_reduced_by_a_callback_of_its_own(scheduled: bool) -> None:
    spec = AdamW(0.5, 0.5, betas=(0.0, 0.0))
    recipe = Recipe(spec, weight_decay=StepDecay(0.5, "3 epochs"))
    callbacks = [halving(hyperparameter="weight_decay"), halving(monitor="other")]
    callbacks += [HyperparameterScheduler(recipe, verify=True)] if scheduled else []
    run = train(
        probe(spec), Scores(), Scores([1.0, 2.0, 0.5, 0.25, 0.125, 0.0], "other"), *callbacks, batches=1, epochs=6
    )
    rate = [0.5, 0.5, 0.25, 0.25, 0.25, 0.25]
    decay = [0.5 * part * (0.5 if scheduled and epoch >= 3 else 1.0) for epoch, part in enumerate(REDUCED)]
    assert (run.used("learning_rate"), run.used("weight_decay")) == (rate, decay)
    assert [kept for _, kept in run.left] == [1 - a * b for a, b in zip(rate, decay, strict=True)]


@both_orders
@pytest.mark.parametrize(
    "discriminator",
    [lambda model: build_optimizer(SGDW(8.0, 0.0), model), lambda _: keras.optimizers.SGD(8.0)],
    ids=["ours", "stock"],
)
def test_of_several_optimizers_each_is_reduced_whether_it_is_scheduled_or_not(
    discriminator: Callable[[Any], Any], first: bool
) -> None:
    inputs = keras.Input((1,))
    parts = [
        keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros", name=name)
        for name in ("generator", "discriminator")
    ]
    model = keras.Model(inputs, keras.layers.add([part(inputs) for part in parts]))
    chosen = {"generator/.*": build_optimizer(SGDW(1.0, 0.0), model), "discriminator/.*": discriminator(model)}
    model.compile(
        multi_optimizer(keras.optimizers.SGD(), chosen), loss=lambda _, predicted: keras.ops.mean(predicted, axis=-1)
    )
    scheduler = HyperparameterScheduler({"generator": Recipe(learning_rate=StepDecay(0.5, "1 epoch"))}, verify=True)
    callbacks, moved = [scheduler, halving()], []
    read = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda *_: moved.append([float(w[0, 0]) for w in model.get_weights()])
    )
    ones = np.ones((1, 1), "float32")
    history = model.fit(
        ones, ones, epochs=6, verbose=0, callbacks=[read, Scores(), *callbacks[:: -1 if first else 1]]
    ).history
    used = [[part * 0.5**epoch, 8.0 * part] for epoch, part in enumerate(REDUCED)]
    assert np.diff(moved, axis=0, prepend=0.0).tolist() == [[-a, -b] for a, b in used]
    assert [
        list(pair)
        for pair in zip(history["learning_rate/generator"], history["learning_rate/discriminator"], strict=True)
    ] == used


@each_kind_in_an_order
def test_a_csv_has_what_was_used(model: Any, first: bool, tmp_path: Path) -> None:
    callbacks = [keras.callbacks.CSVLogger(tmp_path / "log.csv"), Scores(), halving()]
    train(model, *callbacks[:: 1 if first else -1], batches=1, epochs=6)
    rows = list(csv.DictReader((tmp_path / "log.csv").open()))
    assert [float(row["learning_rate"]) for row in rows] == left([0.5] * 6)


def trained_by_hand(model: Any, callback: Any, scores: list[float], first: int = 0) -> list[float]:
    """The learning rate of each epoch of a loop of the user's own, which gives the scores in the logs."""
    callbacks, used = keras.callbacks.CallbackList([callback], model=model, epochs=len(scores), steps=1), []
    callbacks.on_train_begin()
    for epoch, score in enumerate(scores, first):
        callbacks.on_epoch_begin(epoch)
        model.trainable_variables[-1].assign([[0.0], [1.0]])
        model.train_on_batch(np.array([[1.0, 0.0]]), np.zeros((1, 1)))
        used.append(-kernel(model)[0])
        callbacks.on_epoch_end(epoch, {"val_loss": score})
    callbacks.on_train_end()
    return used


@ours_and_stock
@pytest.mark.parametrize(
    "settings",
    [{"patience": 4}, {"patience": 2, "cooldown": 2}, {"mode": "max", "factor": 0.5, "min_lr": 1e-3}],
    ids=str,
)
@pytest.mark.parametrize("scores", ["learns", "stalls"])
def test_like_keras_is_keras_own_on_the_same_scores(
    model: Any, settings: dict[str, Any], scores: str, models: dict[Any, keras.Model]
) -> None:
    theirs = models.setdefault("theirs", probe(keras.optimizers.SGD(0.5)))
    theirs.optimizer.learning_rate = 0.5
    values = RECORDED[scores]["val_loss"]
    expected = trained_by_hand(theirs, keras.callbacks.ReduceLROnPlateau(**settings), values)
    found = trained_by_hand(model, ReduceOnPlateau.like_keras(**settings), values)
    assert len(set(expected)) > 1
    assert found == pytest.approx(expected, rel=2e-6, abs=0)  # Keras rounds every reduction to float32


def test_where_keras_differs_it_forgets_its_scores_at_the_start_of_each_fit() -> None:
    settings: dict[str, Any] = {"patience": 2, "factor": 0.5}
    theirs, own = probe(keras.optimizers.SGD(0.5)), keras.callbacks.ReduceLROnPlateau(**settings)
    assert trained_by_hand(theirs, own, [1.0] * 2) == [0.5, 0.5]
    assert trained_by_hand(theirs, own, [1.0] * 2, first=2) == [0.5, 0.5]
    model, ours = probe(SPEC), ReduceOnPlateau.like_keras(**settings)
    assert trained_by_hand(model, ours, [1.0] * 2) == [0.5, 0.5]
    assert trained_by_hand(model, ours, [1.0] * 2, first=2) == [0.5, 0.25]
