"""Files of Keras that older versions wrote load for ever, on every backend; see tests/states/README.md."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
import torch
from keras import ops

from samestep import AdamW, CosineDecay, LinearDecay, Recipe, StepDecay, Trace, Warmup, epochs, percent, updates
from samestep.keras import (
    EpochGatedDecay,
    HyperparameterScheduler,
    LearningRateScheduler,
    ReduceOnPlateau,
    TraceRecorder,
    build_optimizer,
    import_state,
)

from ..states import runs
from .versions import load_model, multi_optimizer

STATES = Path(__file__).parents[1] / "states"
SPEC = AdamW(learning_rate=0.1, weight_decay=0.05)
RECIPE = Recipe(
    SPEC,
    learning_rate=Warmup(over=updates(3), start=0.25) * CosineDecay(over=percent(100), end=0.1),
    weight_decay=LinearDecay(over=epochs(3), end=0.2),
)
OTHER = Recipe(SPEC, RECIPE.learning_rate)
X, Y = np.ones((4, 2), "float32"), np.zeros((4, 1), "float32")


def load(version: int, ending: str) -> keras.Model:
    path = STATES / f"keras_{version}.{ending}"
    if ending == "keras":
        model = load_model(path)
        model.jit_compile = keras.backend.backend() == "jax"  # the file has it, and torch would take most of a minute
        return model
    with h5py.File(path) as file:
        names = set(file["optimizer"]["vars"])
    assert ("samestep" in names) == (version == 2), "the file is not to be written again"
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(build_optimizer(SPEC, model), "mse")
    model.optimizer.build(model.trainable_variables)
    model.load_weights(path)
    return model


def fit(model: keras.Model, recipe: Recipe, begin: int = 2) -> Any:
    recorder = TraceRecorder()
    callbacks = [HyperparameterScheduler(recipe), recorder]
    model.fit(X, Y, 1, 3, shuffle=False, verbose=0, callbacks=callbacks, initial_epoch=begin)
    return recorder.trace


def numpy(values: Any) -> list[np.ndarray]:
    return [np.array(ops.convert_to_numpy(value), "float64") for value in values]


def uninterrupted(model: keras.Model) -> list[np.ndarray]:
    """The weights after the third epoch by torch's AdamW in float64, from the weights and moments of the model."""
    optimizer = model.optimizer
    kernel, bias = weights = [torch.nn.Parameter(torch.tensor(each)) for each in numpy(model.trainable_variables)]
    adam, plan = torch.optim.AdamW(weights), RECIPE.plan(4, 3)
    moments = zip(weights, numpy(optimizer._momentums), numpy(optimizer._velocities), strict=True)
    for weight, first, second in moments:
        assert first.any()
        assert second.any()
        adam.state[weight] = {
            "step": torch.tensor(8.0),
            "exp_avg": torch.tensor(first),
            "exp_avg_sq": torch.tensor(second),
        }
    for update in range(4):
        rate, decay = (plan.value(name, 2, update) for name in ("learning_rate", "weight_decay"))
        adam.param_groups[0].update(lr=rate, weight_decay=decay)
        adam.zero_grad()
        (torch.ones(1, 2, dtype=torch.float64) @ kernel + bias).square().mean().backward()
        adam.step()
    return [weight.detach().numpy() for weight in weights]


@pytest.mark.parametrize("ending", ["keras", "weights.h5"])
@pytest.mark.parametrize("version", [1, 2])
def test_a_run_goes_on_from_where_an_older_version_left_it(version: int, ending: str) -> None:
    model = load(version, ending)
    assert int(ops.convert_to_numpy(model.optimizer.iterations)) == 8
    expected = uninterrupted(model)
    trace = fit(model, RECIPE)
    plan = RECIPE.plan(4, 3)
    for name in ("learning_rate", "weight_decay"):
        planned = [np.float32(plan.value(name, 2, update)) for update in range(4)]
        assert [np.float32(value) for value in trace.column(name)] == planned
    for ours, theirs in zip(numpy(model.trainable_variables), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)


@pytest.mark.parametrize("ending", ["keras", "weights.h5"])
def test_version_1_knows_no_recipe_and_goes_on_by_any(ending: str) -> None:
    assert [np.float32(value) for value in fit(load(1, ending), OTHER).column("weight_decay")] == [np.float32(0.05)] * 4


@pytest.mark.parametrize("ending", ["keras", "weights.h5"])
def test_version_2_knows_the_recipe_and_the_position(ending: str) -> None:
    with pytest.raises(
        ValueError,
        match=r"\(epoch 2, update 0\) that was .*: recipe\.weight_decay was LinearDecay\(over=epochs\(3\)",
    ):
        fit(load(2, ending), OTHER)
    with pytest.warns(UserWarning, match="loaded after 2 epochs"):
        fit(load(2, ending), RECIPE, begin=0)


def dense(name: str) -> keras.layers.Layer:
    return keras.layers.Dense(1, kernel_initializer="ones", bias_initializer="ones", name=name)


def one() -> keras.Model:
    """What the runs of tests/states/runs.py train."""
    model = keras.Sequential([keras.Input((2,)), dense("layer")])
    model.compile(build_optimizer(runs.SPEC, model), "mse", jit_compile=keras.backend.backend() == "jax")
    return model


def two() -> keras.Model:
    """The same with an optimizer for each of two layers."""
    inputs = keras.Input((2,))
    model = keras.Model(inputs, dense("generator")(inputs) + dense("discriminator")(inputs))
    chosen = {
        f"{name}/.*": build_optimizer(each.optimizer, model)  # type: ignore[arg-type]
        for name, each in runs.two_optimizers().items()
    }
    optimizer = multi_optimizer(keras.optimizers.SGD(), chosen)
    model.compile(optimizer, "mse", jit_compile=keras.backend.backend() == "jax")
    return model


class Scores(keras.callbacks.Callback):
    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs["score"] = runs.SCORES[epoch]


def scheduler(momentum: float = 0.5, **options: Any) -> list[Any]:
    return [HyperparameterScheduler(runs.scheduler(momentum), resolution="epoch", **options)]


def gated(factor: float = 0.5) -> list[Any]:
    return [EpochGatedDecay(factor, start_epoch=1, floor=runs.RATE / 4)]


def plateau(factor: float = 0.5, **options: Any) -> list[Any]:
    reduce = ReduceOnPlateau("score", factor=factor, patience=0, **options)
    return [Scores(), HyperparameterScheduler(runs.PLATEAU), reduce]


def several(decay: float = 0.5, **options: Any) -> list[Any]:
    return [HyperparameterScheduler(runs.two_optimizers(decay), **options)]


def older(name: str) -> keras.Model:
    """The model of a file."""
    path = STATES / f"keras_2_{name}"
    if path.suffix == ".keras":
        model = load_model(path)
        model.jit_compile = keras.backend.backend() == "jax"
        return model
    model = two() if "two" in name else one()
    model.optimizer.build(model.trainable_variables)
    model.load_weights(path)
    return model


def drive(model: keras.Model, callbacks: list[Any], begin: int = 2) -> list[Trace]:
    recorder = TraceRecorder()
    x, y = np.full((4, 2), 0.25, "float32"), np.zeros((4, 1), "float32")
    options: dict[str, Any] = {"initial_epoch": begin, "shuffle": False, "verbose": 0}
    model.fit(x, y, 1, runs.EPOCHS, callbacks=[*callbacks, recorder], **options)
    return list(recorder.traces.values())


GOING_ON: dict[str, tuple[Callable[[], list[Any]], list[dict[str, list[float]]]]] = {
    "scheduler.keras": (scheduler, [runs.scheduled()]),
    "gated.weights.h5": (gated, [runs.gated()]),
    "function.weights.h5": (lambda: [LearningRateScheduler(runs.halving)], [runs.by_function()]),
    "plateau.keras": (plateau, [runs.reduced()]),
    "plateau.weights.h5": (plateau, [runs.reduced()]),
    "two_optimizers.weights.h5": (several, [runs.of_generator(), runs.of_discriminator()]),
}


@pytest.mark.parametrize("name", GOING_ON)
def test_whatever_drove_an_older_run_goes_on_with_the_planned_values(name: str) -> None:
    callbacks, expected = GOING_ON[name]
    model, whole = older(name), two() if "two" in name else one()
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*(settings|score|recipe|saved state)")
        traces = drive(model, callbacks())
    for trace, values in zip(traces, expected, strict=True):
        runs.check(trace, values, 8)
    drive(whole, callbacks(), 0)
    for ours, uninterrupted in zip(numpy(model.trainable_variables), numpy(whole.trainable_variables), strict=True):
        np.testing.assert_allclose(ours, uninterrupted, rtol=1e-5)


CHANGED: dict[str, tuple[Callable[..., list[Any]], str, Callable[[float], list[dict[str, list[float]]]]]] = {
    "scheduler.keras": (scheduler, r"momentum\.factor", lambda each: [runs.scheduled(each)]),
    "plateau.weights.h5": (plateau, "factor", lambda each: [runs.reduced(each)]),
    "two_optimizers.weights.h5": (
        several,
        r"weight_decay\.factor",
        lambda each: [runs.of_generator(), runs.of_discriminator(1, each)],
    ),
}


@pytest.mark.parametrize("name", CHANGED)
def test_settings_that_an_older_run_did_not_have_are_refused_or_used_as_asked_for(name: str) -> None:
    callbacks, what, expected = CHANGED[name]
    with pytest.raises(ValueError, match=rf"{what} was 0\.5 and is 0\.25"):
        drive(older(name), callbacks(0.25))
    for on_change, held in (("use_new", 0.25), ("use_saved", 0.5)):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*settings")
            traces = drive(older(name), callbacks(0.25, on_change=on_change))
        for trace, values in zip(traces, expected(held), strict=True):
            runs.check(trace, values, 8)


def test_a_gated_decay_of_other_settings_than_an_older_run_had_holds_with_a_warning() -> None:
    with pytest.warns(UserWarning, match=r"factor was 0\.5 and is 0\.25"):
        (trace,) = drive(older("gated.weights.h5"), gated(0.25))
    runs.check(trace, runs.gated(0.25), 8)


def test_a_function_is_not_compared_with_that_of_an_older_run() -> None:
    callbacks = [LearningRateScheduler(lambda epoch, rate: rate / 4 if epoch else rate)]
    (trace,) = drive(older("function.weights.h5"), callbacks)
    runs.check(trace, runs.by_function(0.25), 8)


def test_another_kind_of_callback_than_an_older_run_had_is_a_change() -> None:
    recipe = Recipe(learning_rate=StepDecay(0.5, every=epochs(1)))
    with pytest.raises(ValueError, match="on_change='use_new'"):
        drive(older("gated.weights.h5"), [HyperparameterScheduler(recipe)])
    (trace,) = drive(older("gated.weights.h5"), [HyperparameterScheduler(recipe, on_change="use_new")])
    runs.check(trace, runs.by_function(), 8)


@pytest.mark.parametrize("framework", ["keras", "lightning"])
def test_an_older_run_is_handed_over_with_its_moments_and_its_recipe(framework: str, tmp_path: Path) -> None:
    names: dict[str, Any] = {
        "keras": {},
        "lightning": {"layer/kernel": ("layer/weight", (1, 0)), "layer/bias": "layer/bias"},
    }
    shutil.copy(STATES / f"{framework}_2_scheduler.npz", tmp_path / "run.npz")

    def handed_over() -> keras.Model:
        model = one()
        assert import_state(tmp_path / "run.npz", model, names[framework] or None) == 2
        return model

    model = handed_over()
    assert all(moment.all() for moment in numpy(model.optimizer.moments()["momentum_buffer"]))
    (trace,) = drive(model, scheduler())
    runs.check(trace, runs.scheduled(), 8)
    with pytest.raises(ValueError, match=r"\(epoch 2, update 0\).*momentum\.factor was 0\.5 and is 0\.25"):
        drive(handed_over(), scheduler(0.25))
