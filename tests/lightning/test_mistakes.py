"""Mistakes that people make with a Trainer, and what each is told before the first batch."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import pytest
import pytorch_lightning as pl
import torch

import samestep.keras as theirs
from samestep import AdamW, EpochFunction, Recipe, StepDecay
from samestep.lightning import (
    EpochGatedDecay,
    HyperparameterScheduler,
    LearningRateScheduler,
    ReduceOnPlateau,
    TraceRecorder,
    build_optimizer,
    describe_parameters,
    extract_weight_decay,
)

from .tiny_training import QUIET, Ramp, Run, sgd, train

RECIPE = Recipe(learning_rate=StepDecay(0.5, "1 epoch"))
SPEC = AdamW(learning_rate=0.1)
MODEL = torch.nn.Sequential(torch.nn.Linear(2, 1))
OTHER = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])


def table(epoch: int) -> float:
    return [0.1, 0.2][epoch]


def two_epochs(epoch: int, rate: float) -> float:
    if epoch == 2:
        raise KeyError(epoch)
    return rate


def copied(kind: type) -> type:
    """A class of the same name: a Trainer gives each callback the module's `log`, here the class."""
    return type(kind.__name__, (kind,), {})


# (what the Trainer is given, what it says)
CALLBACKS: list[tuple[Any, str]] = [
    (
        copied(EpochGatedDecay),
        "found the class EpochGatedDecay among the callbacks; write EpochGatedDecay(...), an instance.",
    ),
    (
        copied(TraceRecorder),
        "found the class TraceRecorder among the callbacks; write TraceRecorder(...), an instance.",
    ),
    (
        theirs.EpochGatedDecay(0.1, start_epoch=1),
        "EpochGatedDecay: found a callback of samestep.keras given to a Lightning Trainer; write from "
        "samestep.lightning import EpochGatedDecay.",
    ),
    (
        theirs.HyperparameterScheduler(RECIPE),
        "HyperparameterScheduler: found a callback of samestep.keras given to a Lightning Trainer; write from ",
    ),
    (theirs.TraceRecorder(), "TraceRecorder: found a callback of samestep.keras given to a Lightning Trainer; write "),
    (RECIPE, "Recipe: found a Recipe given to a Lightning Trainer; write HyperparameterScheduler(recipe)."),
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


@pytest.mark.parametrize(("given", "message"), CALLBACKS, ids=[message[:50] for _, message in CALLBACKS])
def test_what_is_no_callback_is_told_before_the_first_batch(given: Any, message: str) -> None:
    module = Ramp(sgd(1.0))
    with pytest.raises((AttributeError, TypeError, ValueError)) as error:
        pl.Trainer(callbacks=[given], max_epochs=3, **QUIET).fit(module, torch.utils.data.DataLoader(torch.zeros(2)))
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)
    assert module.batches == 0


CALLS: list[tuple[Callable[[], Any], str]] = [
    (
        lambda: build_optimizer(SPEC, MODEL.parameters()),  # type: ignore[arg-type]
        "build_optimizer: found a generator; give the model itself, which has the paths of its parameters.",
    ),
    (
        lambda: build_optimizer(SPEC, [*MODEL.parameters()]),  # type: ignore[arg-type]
        "build_optimizer: found a list; give the model itself, which has the paths of its parameters.",
    ),
    (
        lambda: build_optimizer(SPEC, torch.nn.Linear),  # type: ignore[arg-type]
        "build_optimizer: found the class Linear; give a model, such as Linear(...).",
    ),
    (
        lambda: build_optimizer(MODEL, SPEC),  # type: ignore[arg-type]
        "build_optimizer: found the model Sequential; expected a spec first: write build_optimizer(spec, model).",
    ),
    (lambda: build_optimizer(AdamW, MODEL), "build_optimizer: found the class AdamW; expected a spec, such as AdamW"),  # type: ignore[arg-type]
    (
        lambda: build_optimizer("adamw", MODEL),
        "build_optimizer: found 'adamw' (str); expected a spec, such as AdamW(...",
    ),  # type: ignore[arg-type]
    (
        lambda: build_optimizer(torch.optim.AdamW, MODEL),
        "build_optimizer: found torch's AdamW; expected a spec, such as AdamW(...) of ",
    ),  # type: ignore[arg-type]
    (lambda: build_optimizer(SPEC, None), "build_optimizer: found None (NoneType); expected a torch.nn.Module."),  # type: ignore[arg-type]
    (lambda: build_optimizer(SPEC, net=MODEL), "build_optimizer: found net=Sequential( (0): Linear"),
    (lambda: build_optimizer(SPEC, MODEL, lr=0.1), "build_optimizer: found the options ['lr']; expected some of ['for"),
    (lambda: describe_parameters(SPEC, MODEL.parameters()), "describe_parameters: found a generator; give the model"),  # type: ignore[arg-type]
    (
        lambda: extract_weight_decay(MODEL.parameters(), torch.optim.SGD(MODEL.parameters(), 0.1)),  # type: ignore[arg-type]
        "extract_weight_decay: found a generator; give the model itself, which has the paths of its parameters.",
    ),
    (lambda: LearningRateScheduler(function=table), "LearningRateScheduler: found function=<function table at 0x"),
    (lambda: LearningRateScheduler(table, 3), "LearningRateScheduler: found verbose=3; write verbose=1 to print each "),
    (lambda: ReduceOnPlateau(min_delta=0.1), "ReduceOnPlateau: found min_delta=0.1; write threshold=0.1 (with thresh"),
    (
        lambda: ReduceOnPlateau.like_torch(eps=1e-8),
        "ReduceOnPlateau.like_torch: found eps=1e-08; leave it out: no reduction is too small to be made.",
    ),
    (lambda: ReduceOnPlateau.like_keras(min_dleta=0.1), "ReduceOnPlateau.like_keras: found min_dleta=0.1; write min_d"),
]
if not isinstance(OTHER, torch.nn.Module):  # on torch, a model of Keras is a module
    CALLS += [
        (
            lambda: build_optimizer(SPEC, OTHER),
            "build_optimizer: found the Keras model Sequential; write from samestep.keras import build_optimizer",
        ),
        (
            lambda: describe_parameters(SPEC, OTHER),
            "describe_parameters: found the Keras model Sequential; write from ",
        ),
    ]


@pytest.mark.parametrize(("call", "message"), CALLS, ids=[message[:60] for _, message in CALLS])
def test_a_wrong_call_is_told_what_to_write(call: Callable[[], Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError)) as error:
        call()
    assert str(error.value).startswith(message)


def test_the_function_of_epochs_that_are_not_trained_is_not_called() -> None:
    """A run of two epochs needs two values."""
    assert train(sgd(1.0), LearningRateScheduler(table), epochs=2, batches=1).learning_rates() == [0.1, 0.2]


def test_an_error_of_the_function_names_it_where_the_epochs_are_unknown() -> None:
    with pytest.raises(IndexError) as error:
        train(sgd(1.0), LearningRateScheduler(table), epochs=-1, batches=1)
    assert error.value.__notes__ == ["raised by table for epoch 2"]


def test_keras_arguments_of_the_learning_rate_scheduler(capsys: pytest.CaptureFixture[str]) -> None:
    run: Run = train(sgd(1.0), LearningRateScheduler(schedule=table, verbose=1), epochs=2, batches=2)
    assert run.learning_rates() == [0.1, 0.1, 0.2, 0.2]
    assert [line for line in capsys.readouterr().out.splitlines() if line.startswith("Epoch")] == [
        "Epoch 1: LearningRateScheduler setting learning rate to 0.1.",
        "Epoch 2: LearningRateScheduler setting learning rate to 0.2.",
    ]
    train(sgd(1.0), LearningRateScheduler(table, 0), epochs=2, batches=2)
    assert "Epoch 1" not in capsys.readouterr().out


def test_keras_arguments_of_the_plateau(capsys: pytest.CaptureFixture[str]) -> None:
    reduce = ReduceOnPlateau.like_keras("loss", factor=0.5, patience=1, verbose=1)
    for epoch in (0, 1, 1, 2):
        reduce.observe(epoch, 1.0)
    assert capsys.readouterr().out == (
        "\nEpoch 2: ReduceOnPlateau reducing learning rate to 0.5 of its schedule.\n"
        "\nEpoch 3: ReduceOnPlateau reducing learning rate to 0.25 of its schedule.\n"
    )


class Outer(LearningRateScheduler):
    def __init__(self) -> None:
        super().__init__(two_epochs)


def test_a_subclass_of_a_callback_goes_by_its_own_name() -> None:
    with pytest.raises(ValueError, match=r"^Outer: found KeyError: 2, raised by two_epochs for epoch 2; "):
        train(sgd(1.0), Outer(), epochs=3)
