"""Mistakes that people make with fit(), and what each is told before the first batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import torch

import samestep.lightning as theirs
from samestep import AdamW, EpochFunction, Recipe, StepDecay
from samestep.core.recipes.float32 import float32
from samestep.keras import (
    EpochGatedDecay,
    HyperparameterScheduler,
    LearningRateScheduler,
    ReduceOnPlateau,
    TraceRecorder,
    build_optimizer,
    describe_parameters,
    extract_weight_decay,
)

from .tiny_training import kernel, probe, train

RECIPE = Recipe(learning_rate=StepDecay(0.5, "1 epoch"))
SPEC = AdamW(learning_rate=0.125)
OTHER = torch.nn.Sequential(torch.nn.Linear(2, 1))


def sgd() -> keras.optimizers.Optimizer:
    return keras.optimizers.SGD(0.5)


def table(epoch: int) -> float:
    return [0.5, 0.25][epoch]


def two_epochs(epoch: int, rate: float) -> float:
    if epoch == 2:
        raise KeyError(epoch)
    return rate


# (what fit() is given, what it says)
CALLBACKS: list[tuple[Any, str]] = [
    (EpochGatedDecay, "found the class EpochGatedDecay among the callbacks; write EpochGatedDecay(...), an instance."),
    (TraceRecorder, "found the class TraceRecorder among the callbacks; write TraceRecorder(...), an instance."),
    (
        theirs.EpochGatedDecay(0.1, start_epoch=1),
        "EpochGatedDecay: found a callback of samestep.lightning given to Keras' fit(); write from samestep.keras "
        "import EpochGatedDecay.",
    ),
    (
        theirs.HyperparameterScheduler(RECIPE),
        "HyperparameterScheduler: found a callback of samestep.lightning given to Keras' fit(); write from ",
    ),
    (
        theirs.TraceRecorder(),
        "TraceRecorder: found a callback of samestep.lightning given to Keras' fit(); write from ",
    ),
    (RECIPE, "Recipe: found a Recipe given to Keras' fit(); write HyperparameterScheduler(recipe)."),
    (
        LearningRateScheduler(table),
        "LearningRateScheduler: found IndexError: list index out of range, raised by table for epoch 2; expected a "
        "number for each epoch of the run.",
    ),
    (LearningRateScheduler(two_epochs), "LearningRateScheduler: found KeyError: 2, raised by two_epochs for epoch 2;"),
    (
        HyperparameterScheduler(Recipe(learning_rate=EpochFunction(table))),
        "HyperparameterScheduler: found IndexError: list index out of range, raised by table for epoch 2; expected a",
    ),
    (LearningRateScheduler(lambda epoch: None), "LearningRateScheduler: the value of <function <lambda> at 0x"),  # type: ignore[arg-type, return-value]
]


@pytest.mark.parametrize("ours", [True, False], ids=["ours", "stock"])
@pytest.mark.parametrize(("given", "message"), CALLBACKS, ids=[message[:50] for _, message in CALLBACKS])
def test_what_is_no_callback_is_told_before_the_first_batch(given: Any, message: str, ours: bool) -> None:
    model = probe(SPEC if ours else sgd())
    before = kernel(model)
    with pytest.raises((AttributeError, TypeError, ValueError)) as error:
        model.fit(np.ones((1, 2)), np.ones((1, 1)), epochs=3, verbose=0, callbacks=[given])
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)
    assert kernel(model) == before


CALLS: list[tuple[Callable[[keras.Model], Any], str]] = [
    (
        lambda model: build_optimizer(SPEC, model.trainable_variables),
        "build_optimizer: found a list; give the model itself, which has the paths of its parameters.",
    ),
    (
        lambda model: build_optimizer(SPEC, keras.Sequential),  # type: ignore[arg-type]
        "build_optimizer: found the class Sequential; give a model, such as Sequential(...).",
    ),
    (
        lambda model: build_optimizer(model, SPEC),  # type: ignore[arg-type]
        "build_optimizer: found the model Sequential; expected a spec first: write build_optimizer(spec, model).",
    ),
    (
        lambda model: build_optimizer(AdamW, model),
        "build_optimizer: found the class AdamW; expected a spec, such as A",
    ),  # type: ignore[arg-type]
    (
        lambda model: build_optimizer("adamw", model),
        "build_optimizer: found 'adamw' (str); expected a spec, such as Ad",
    ),  # type: ignore[arg-type]
    (
        lambda model: build_optimizer(sgd(), model),
        "build_optimizer: found keras's SGD; expected a spec, such as SGDW(...) of ",
    ),  # type: ignore[arg-type]
    (lambda model: build_optimizer(SPEC, None), "build_optimizer: found None (NoneType); expected a keras.Model."),  # type: ignore[arg-type]
    (lambda model: build_optimizer(SPEC, network=model), "build_optimizer: found network=<Sequential name="),
    (lambda model: build_optimizer(SPEC, model, lr=0.1), "build_optimizer: found the options ['lr']; expected some of"),
    (
        lambda model: build_optimizer(SPEC, OTHER),  # type: ignore[arg-type]
        "build_optimizer: found the torch model Sequential; write from samestep.lightning import build_optimizer",
    ),
    (
        lambda model: describe_parameters(SPEC, OTHER),
        "describe_parameters: found the torch model Sequential; write fro",
    ),  # type: ignore[arg-type]
    (lambda model: describe_parameters(SPEC, model.trainable_variables), "describe_parameters: found a list; give the"),
    (
        lambda model: extract_weight_decay(model.weights),
        "extract_weight_decay: found a list; give the model itself, wh",
    ),
    (lambda model: LearningRateScheduler(function=table), "LearningRateScheduler: found function=<function table at 0"),
    (lambda model: LearningRateScheduler(table, 3), "LearningRateScheduler: found verbose=3; write verbose=1 to print"),
    (lambda model: ReduceOnPlateau(min_delta=0.1), "ReduceOnPlateau: found min_delta=0.1; write threshold=0.1 (with "),
    (
        lambda model: ReduceOnPlateau.like_torch(eps=1e-8),
        "ReduceOnPlateau.like_torch: found eps=1e-08; leave it out: no reduction is too small to be made.",
    ),
    (lambda model: ReduceOnPlateau.like_keras(min_dleta=0.1), "ReduceOnPlateau.like_keras: found min_dleta=0.1; writ"),
]


@pytest.mark.parametrize(("call", "message"), CALLS, ids=[message[:60] for _, message in CALLS])
def test_a_wrong_call_is_told_what_to_write(call: Callable[[keras.Model], Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError)) as error:
        call(probe(None))
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("ours", [True, False], ids=["ours", "stock"])
def test_keras_arguments_of_the_learning_rate_scheduler(ours: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """The lines that Keras' own prints, and the values that it sets; a run of two epochs needs two values."""
    said = []
    for kind in (LearningRateScheduler, keras.callbacks.LearningRateScheduler):
        model = probe(SPEC if ours and kind is LearningRateScheduler else sgd())
        run = train(model, kind(schedule=table, verbose=1), epochs=2, batches=1)
        assert run.used("learning_rate") == [float32(0.5), float32(0.25)]
        said.append([line.rstrip("0.") for line in capsys.readouterr().out.splitlines() if line.startswith("Epoch")])
    assert (
        said[0]
        == said[1]
        == [
            "Epoch 1: LearningRateScheduler setting learning rate to 0.5",
            "Epoch 2: LearningRateScheduler setting learning rate to 0.25",
        ]
    )
    train(probe(sgd()), LearningRateScheduler(table, 0), epochs=2, batches=1)
    assert "Epoch 1" not in capsys.readouterr().out


def test_keras_arguments_of_the_plateau() -> None:
    """Each argument of Keras' own, but `kwargs`, is one of like_keras."""
    import inspect

    own = inspect.signature(keras.callbacks.ReduceLROnPlateau).parameters
    assert set(own) - {"kwargs"} <= set(inspect.signature(ReduceOnPlateau.like_keras).parameters)
    own = inspect.signature(keras.callbacks.LearningRateScheduler).parameters
    assert [*own] == [*inspect.signature(LearningRateScheduler).parameters][: len(own)]
