"""What cannot be honoured is refused before the first batch: the weights have not moved, and one sentence says why."""

from __future__ import annotations

from typing import Any

import keras
import pytest

from samestep import AdamW, CosineDecay, Recipe, StepDecay, epochs
from samestep.core.recipes.float32 import float32
from samestep.keras import (
    EpochGatedDecay,
    HyperparameterScheduler,
    LearningRateScheduler,
    TraceRecorder,
    build_optimizer,
)

from .tiny_training import probe, refusal, train

HALVING = StepDecay(0.5, every=epochs(1))
POLICIES = pytest.mark.parametrize("policy", ["float32", "mixed_float16"])


def sgd(rate: Any = 0.5, **options: Any) -> keras.optimizers.Optimizer:
    return keras.optimizers.SGD(rate, **options)


@POLICIES
@pytest.mark.parametrize(
    "callback",
    [
        EpochGatedDecay(0.5, start_epoch=1),
        LearningRateScheduler(lambda epoch, lr: lr),
        HyperparameterScheduler(Recipe(learning_rate=HALVING)),
    ],
    ids=lambda callback: type(callback).__name__,
)
def test_a_stock_optimizer_that_a_schedule_drives_already(policy: str, callback: Any) -> None:
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 3, 0.5)
    message = refusal(probe(sgd(schedule), policy=policy), callback)
    assert "the schedule ExponentialDecay, which already drives learning_rate" in message
    assert "build the optimizer with a number as its learning rate" in message


@pytest.mark.parametrize("ours", [True, False], ids=["ours", "stock"])
def test_two_callbacks_that_drive_the_same_hyperparameter(ours: bool, spec: AdamW) -> None:
    first, second = EpochGatedDecay(0.5, start_epoch=1), HyperparameterScheduler(Recipe(learning_rate=HALVING))
    for pair in ((first, second), (second, first), (first, EpochGatedDecay(0.5, start_epoch=2))):
        message = refusal(probe(spec if ours else sgd()), *pair)
        assert message.startswith("found two callbacks that drive learning_rate: ")
        assert repr(pair[0]) in message
        assert repr(pair[1]) in message


def test_two_callbacks_that_drive_the_weight_decay(spec: AdamW) -> None:
    pair = HyperparameterScheduler(Recipe(spec)), HyperparameterScheduler(Recipe(weight_decay=HALVING))
    assert "two callbacks that drive weight_decay" in refusal(probe(spec), *pair)


@POLICIES
def test_a_recipe_with_a_spec_and_a_stock_optimizer(policy: str, spec: AdamW) -> None:
    stock = keras.optimizers.AdamW(spec.learning_rate, spec.weight_decay)
    message = refusal(probe(stock, policy=policy), HyperparameterScheduler(Recipe(spec)))
    assert "the optimizer is Keras' own AdamW" in message
    assert "build_optimizer(recipe, model)" in message


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"learning_rate": 0.25}, "learning_rate is 0.25 and not 0.125"),
        ({"weight_decay": 0.2, "epsilon": 1e-6}, "weight_decay is 0.2 and not 0.1, epsilon is 1e-06 and not 1e-08"),
        ({"betas": (0.0, 0.9)}, "betas is (0.0, 0.9) and not (0.0, 0.0)"),
        ({"epsilon": 1e-6}, "epsilon is 1e-06 and not 1e-08"),
    ],
    ids=["learning_rate", "weight_decay and epsilon", "betas", "epsilon"],
)
def test_an_optimizer_of_another_spec_names_each_difference(
    changed: dict[str, Any], expected: str, spec: AdamW
) -> None:
    other = AdamW(**{"learning_rate": 0.125, "weight_decay": 0.1, "betas": (0.0, 0.0), **changed})
    message = refusal(probe(other), HyperparameterScheduler(Recipe(spec)))
    assert f"an optimizer that was not built from this recipe's spec: {expected}; " in message


@pytest.mark.parametrize("name", ["weight_decay", "momentum"])
def test_another_schedule_on_a_stock_optimizer_names_build_optimizer(name: str) -> None:
    callback = HyperparameterScheduler(Recipe(**{name: HALVING}))
    message = refusal(probe(keras.optimizers.AdamW(0.5)), callback)
    assert f"a {name} schedule for Keras' own AdamW" in message
    assert "build_optimizer(spec, model)" in message


@pytest.mark.parametrize(
    "callback", [keras.callbacks.LearningRateScheduler(lambda epoch: 0.5), keras.callbacks.ReduceLROnPlateau()]
)
@pytest.mark.parametrize("listed_first", [True, False], ids=["before_ours", "after_ours"])
@pytest.mark.parametrize("ours", [True, False], ids=["ours", "stock"])
def test_a_callback_of_keras_that_drives_the_learning_rate_too(
    ours: bool, listed_first: bool, callback: Any, spec: AdamW
) -> None:
    callbacks = [callback, EpochGatedDecay(0.5, start_epoch=1)]
    message = refusal(probe(spec if ours else sgd()), *(callbacks if listed_first else reversed(callbacks)))
    kind = type(callback).__name__
    assert f"EpochGatedDecay: found Keras' own {kind}, which already drives learning_rate; " in message


def test_a_callback_of_keras_beside_one_that_leaves_the_learning_rate_alone(spec: AdamW) -> None:
    class Halved(keras.callbacks.ReduceLROnPlateau):
        """It is never reached."""

    decay = HyperparameterScheduler(Recipe(weight_decay=HALVING))
    run = train(probe(spec), decay, Halved(patience=100), batches=1, epochs=2)
    assert run.used("weight_decay") == [float32(0.1), float32(0.05)]


def test_a_schedule_that_changes_within_an_epoch_of_unknown_length(spec: AdamW) -> None:
    callback = HyperparameterScheduler(Recipe(spec, weight_decay=CosineDecay(over=epochs(2))))
    message = refusal(probe(spec), callback, stream=True)
    assert "a weight_decay schedule that changes within an epoch, and training data of unknown length" in message
    assert "updates_per_epoch=, or resolution='epoch'" in message


@pytest.mark.parametrize(("accumulated", "made"), [(None, 6), (2, 3)])
def test_updates_per_epoch_that_contradicts_the_data(accumulated: int | None, made: int, spec: AdamW) -> None:
    model = probe(spec, options={"gradient_accumulation_steps": accumulated})
    message = refusal(model, HyperparameterScheduler(Recipe(spec), updates_per_epoch=7), batches=6)
    assert f"found updates_per_epoch=7, but the trainer makes {made} updates in an epoch" in message


@pytest.mark.parametrize("ours", [True, False], ids=["ours", "stock"])
def test_gradient_accumulation_that_does_not_divide_the_batches(ours: bool, spec: AdamW) -> None:
    accumulation = {"gradient_accumulation_steps": 2}
    model = probe(spec, options=accumulation) if ours else probe(sgd(**accumulation))
    message = refusal(model, EpochGatedDecay(0.5, start_epoch=1), batches=5)
    assert "5 batches in an epoch and gradient_accumulation_steps=2, which does not divide them" in message


def test_a_stock_optimizer_that_has_trained_without_base() -> None:
    model = probe(sgd())
    train(model, batches=3, epochs=1)
    message = refusal(model, EpochGatedDecay(0.5, start_epoch=1))
    assert "an optimizer that has already made 3 updates" in message
    assert "give base=, or build a fresh optimizer" in message


@pytest.mark.parametrize("ours", [True, False], ids=["ours", "stock"])
def test_a_floor_above_the_learning_rate(ours: bool, spec: AdamW) -> None:
    message = refusal(probe(spec if ours else sgd(0.125)), EpochGatedDecay(0.5, start_epoch=1, floor=0.2))
    assert "floor=0.2 above the learning rate 0.125" in message


def test_a_refused_fit_leaves_the_model_as_it_was(spec: AdamW) -> None:
    model = probe(spec)
    refusal(model, HyperparameterScheduler(Recipe(AdamW(0.5))))
    refusal(model, HyperparameterScheduler(Recipe(spec, weight_decay=HALVING)), EpochGatedDecay(0.5, start_epoch=0))
    assert train(model, batches=1, epochs=1).used("learning_rate") == [0.125]


@POLICIES
def test_the_learning_rate_of_our_optimizer_cannot_be_set(policy: str, spec: AdamW) -> None:
    model = probe(spec, policy=policy)
    with pytest.raises(
        TypeError, match=r"found learning_rate = 0.5 .* use a callback of samestep.keras, such as .*\.$"
    ):
        model.optimizer.learning_rate = 0.5


def test_the_weight_decay_of_our_optimizer_cannot_be_set(spec: AdamW) -> None:
    with pytest.raises(TypeError, match=r"found weight_decay = 0.5 .*HyperparameterScheduler\(Recipe\(weight_decay="):
        probe(spec).optimizer.weight_decay = 0.5


def test_keras_own_scheduler_on_our_optimizer(spec: AdamW) -> None:
    message = refusal(probe(spec), keras.callbacks.LearningRateScheduler(lambda epoch: 0.5))
    assert "found learning_rate = 0.5 set on an optimizer of build_optimizer" in message


def test_build_optimizer_takes_a_spec_a_model_and_known_options(spec: AdamW) -> None:
    model = probe(None)
    for arguments, found in (((sgd(), model), "expected a spec"), ((spec, sgd()), "expected a keras.Model")):
        with pytest.raises(TypeError, match=found):
            build_optimizer(*arguments)
    with pytest.raises(TypeError, match=r"found the options \['clipnorm', 'learning_rate'\]"):
        build_optimizer(spec, model, learning_rate=0.5, clipnorm=1.0)
    if keras.backend.backend() != "torch":
        with pytest.raises(TypeError, match=r"found the options \['fused'\]"):
            build_optimizer(spec, model, fused=True)


if keras.backend.backend() != "torch":  # which refuses steps_per_execution > 1 itself

    def test_recording_a_stock_optimizer_with_several_steps_per_execution() -> None:
        message = refusal(probe(sgd(), steps_per_execution=2), TraceRecorder())
        assert "steps_per_execution=2 and Keras' own SGD, whose updates cannot be seen one by one" in message
