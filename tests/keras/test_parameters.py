"""Rules in training: what the weights show, from the very first update on, also of a model that is built late."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from samestep import SGDW, AdamW, LinearDecay, NAdamW, ParameterRule, Recipe, updates
from samestep.core.recipes.float32 import float32
from samestep.core.specs.spec import Spec
from samestep.keras import (
    EpochGatedDecay,
    HyperparameterScheduler,
    LearningRateScheduler,
    TraceRecorder,
    build_optimizer,
)

EXCLUDED = ParameterRule(role=["bias", "norm"], weight_decay=0)
RULES = [EXCLUDED, ParameterRule(path="first/kernel", learning_rate=0.5, weight_decay=4)]
ONES: dict[str, Any] = {"kernel_initializer": "ones", "bias_initializer": "ones"}
LINE = [1 - n / 8 for n in range(6)]


def layers() -> dict[str, keras.layers.Layer]:
    return {
        "first": keras.layers.Dense(3, name="first", **ONES),
        "norm": keras.layers.LayerNormalization(name="norm", beta_initializer="ones"),
        "last": keras.layers.Dense(1, name="last", **ONES),
    }


class Subclassed(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        for name, layer in layers().items():
            setattr(self, name, layer)

    def call(self, inputs: Any) -> Any:
        return self.last(self.norm(self.first(inputs)))


def functional() -> keras.Model:
    inputs = outputs = keras.Input((2,))
    for layer in layers().values():
        outputs = layer(outputs)
    return keras.Model(inputs, outputs)


MODELS: dict[str, Callable[[], keras.Model]] = {
    "functional": functional,
    "sequential": lambda: keras.Sequential([keras.Input((2,)), *layers().values()]),
    "sequential, built late": lambda: keras.Sequential(list(layers().values())),
    "subclassed, built late": Subclassed,
}
LATE = [name for name in MODELS if "late" in name]
CALLBACKS: dict[str, Callable[[Spec], list[Any]]] = {
    "without a callback": lambda spec: [],
    "recipe": lambda spec: [HyperparameterScheduler(Recipe(spec))],
    "recorder": lambda spec: [TraceRecorder()],
    "decay": lambda spec: [EpochGatedDecay(0.5, start_epoch=1), TraceRecorder()],
}


def nothing(_: Any, predicted: Any) -> Any:
    """A loss whose gradients are zero."""
    return 0.0 * keras.ops.mean(predicted, axis=-1)


def compiled(make: Callable[[], keras.Model], spec: Spec, **options: Any) -> keras.Model:
    model = make()
    model.compile(build_optimizer(spec, model, **options), nothing)
    return model


def one_update(model: keras.Model, *callbacks: Any) -> list[np.ndarray]:
    data = np.ones((2, 2), "float32"), np.ones((2, 1), "float32")
    model.fit(*data, batch_size=2, verbose=0, callbacks=list(callbacks))
    weights: list[np.ndarray] = model.get_weights()
    return weights


@pytest.mark.parametrize("callbacks", CALLBACKS.values(), ids=CALLBACKS)
@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_rules_hold_from_the_first_update_on(make: Any, callbacks: Any) -> None:
    spec = AdamW(0.5, 0.125, parameters=RULES)
    model = compiled(make, spec)
    given = callbacks(spec)
    found = [set(weight.ravel().tolist()) for weight in one_update(model, *given)]
    # 0.25 * 0.5 off the first kernel, 0.5 * 0.125 off the last: all weights were 1.
    assert found == [{0.875}, {1.0}, {1.0}, {1.0}, {0.9375}, {1.0}]
    if given and isinstance(given[-1], TraceRecorder):
        (entry,) = given[-1].trace.entries
        assert (entry.values["learning_rate/1"], entry.values["weight_decay/2"]) == (0.25, 0.0)


@pytest.mark.parametrize("callbacks", CALLBACKS.values(), ids=CALLBACKS)
@pytest.mark.parametrize("late", LATE)
def test_a_model_that_is_built_late_trains_without_rules_too(late: str, callbacks: Any) -> None:
    spec = AdamW(0.5, 0.25)
    found = one_update(compiled(MODELS[late], spec), *callbacks(spec))
    assert [set(weight.ravel().tolist()) for weight in found] == [{0.875}] * 6


@pytest.mark.parametrize("late", LATE)
def test_a_schedule_and_the_rules_hold_together_in_the_first_update_of_a_model_built_late(late: str) -> None:
    spec = AdamW(0.5, 0.125, parameters=RULES)
    line = LinearDecay(over=updates(2), start=0.5)
    for scheduler in (EpochGatedDecay(0.5, start_epoch=0), HyperparameterScheduler(Recipe(spec, learning_rate=line))):
        recorder = TraceRecorder()
        found = one_update(compiled(MODELS[late], spec), scheduler, recorder)
        assert [set(w.ravel().tolist()) for w in found] == [{0.9375}, {1.0}, {1.0}, {1.0}, {0.96875}, {1.0}]
        assert recorder.trace.column("learning_rate/1") == [0.125]
    with pytest.raises(ValueError, match=r"the learning rates \[0.25, 0.5\] and a function of the epoch alone"):
        one_update(compiled(MODELS[late], spec), LearningRateScheduler(lambda epoch: 0.5))


@pytest.mark.parametrize("callbacks", CALLBACKS.values(), ids=CALLBACKS)
@pytest.mark.parametrize("late", LATE)
def test_a_rule_that_matches_nothing_is_refused_before_the_first_update_of_a_model_built_late(
    late: str, callbacks: Any
) -> None:
    spec = AdamW(0.5, 0.25, parameters=[ParameterRule(path="nowhere/*", weight_decay=0)])
    model = compiled(MODELS[late], spec)
    with pytest.raises(ValueError, match=r"path='nowhere/\*'.* matches no parameter; the model has 'first/kernel', 'f"):
        one_update(model, *callbacks(spec))
    assert all((weight == 1).all() for weight in model.get_weights())


@pytest.mark.parametrize("built", ["functional", "sequential"])
def test_a_rule_that_matches_nothing_is_refused_at_once_for_a_model_that_is_built(built: str) -> None:
    model = MODELS[built]()
    with pytest.raises(ValueError, match=r"matches no parameter; the model has 'first/kernel', .* and 1 more: correct"):
        build_optimizer(AdamW(parameters=[ParameterRule(path="nowhere/*", weight_decay=0)]), model)


@pytest.mark.parametrize("kind", [AdamW, NAdamW, SGDW])
@pytest.mark.parametrize(
    ("basis", "expected"), [("learning_rate", [0.875, 0.9375]), ("schedule", [0.5, 0.875]), ("update", [0.5, 0.875])]
)
def test_with_zero_gradients_an_excluded_weight_stays_and_others_shrink_as_the_basis_says(
    kind: type[Spec], basis: Any, expected: list[float]
) -> None:
    spec = kind(0.5, 0.125, weight_decay_basis=basis, parameters=RULES)
    first, last = ({value} for value in expected)
    found = one_update(compiled(functional, spec))
    assert [set(weight.ravel().tolist()) for weight in found] == [first, {1.0}, {1.0}, {1.0}, last, {1.0}]


def test_l1_of_a_rule_takes_off_the_same_from_every_weight() -> None:
    rules = [ParameterRule(path="first/*", l1_ratio=1), ParameterRule(path="last/kernel", l1_ratio=0.5), EXCLUDED]
    model = compiled(functional, SGDW(0.5, 0.25, parameters=rules))
    model.layers[1].set_weights([np.array([[2, -2, 0], [4, 1, -1]]), np.array([1, -1, 0])])
    found = one_update(model)
    assert found[0].tolist() == [[1.875, -1.875, 0], [3.875, 0.875, -0.875]]
    assert found[1].tolist() == [1, -1, 0]  # a bias, whose decay is 0
    assert set(found[4].ravel().tolist()) == {1 - 0.0625 - 0.0625}


@pytest.mark.parametrize("name", ["functional", "subclassed, built late"])
def test_mixed_precision_has_the_rules_too(name: str) -> None:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        spec = AdamW(0.5, 0.125, parameters=RULES)
        recorder = TraceRecorder()
        for callbacks in ([], [HyperparameterScheduler(Recipe(spec)), recorder]):
            found = one_update(compiled(MODELS[name], spec), *callbacks)
            assert [set(w.ravel().tolist()) for w in found] == [{0.875}, {1.0}, {1.0}, {1.0}, {0.9375}, {1.0}]
        assert "learning_rate/2" in recorder.trace[0].values
    finally:
        keras.config.set_dtype_policy(before)


SCALED = SGDW(2**-4, 2**-3, parameters=[ParameterRule(role="bias", learning_rate=2, weight_decay=0)])


def trained(spec: Spec, *callbacks: Any, **options: Any) -> tuple[list[float], Any]:
    """Kernel and bias of a model after six updates with gradient 1, from 0; and what the updates recorded."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="zeros")])
    model.compile(build_optimizer(spec, model, **options), lambda _, predicted: keras.ops.mean(predicted, axis=-1))
    recorder = TraceRecorder()
    data = np.ones((2, 1), "float32"), np.ones((2, 1), "float32")
    model.fit(*data, batch_size=1, epochs=3, verbose=0, callbacks=[*callbacks, recorder])
    return [float(weight.item()) for weight in model.get_weights()], recorder.trace


@pytest.mark.parametrize(
    ("callback", "etas"),
    [
        (HyperparameterScheduler(Recipe(SCALED, learning_rate=LinearDecay(over=updates(8)))), LINE),
        (HyperparameterScheduler(Recipe(learning_rate=LinearDecay(over=updates(8))), resolution="epoch"), LINE[::2]),
        (EpochGatedDecay(0.5, start_epoch=1), [1, 0.5, 0.25]),
        (LearningRateScheduler(lambda epoch, rate: rate * 0.5 if epoch else rate), [1, 0.5, 0.25]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_schedules_keep_the_ratios_of_the_groups(callback: Any, etas: list[float]) -> None:
    etas = etas if len(etas) == 6 else [eta for eta in etas for _ in range(2)]
    (kernel, bias), trace = trained(SCALED, callback)
    assert trace.column("learning_rate") == [2**-4 * eta for eta in etas]
    assert trace.column("learning_rate/1") == [2**-3 * eta for eta in etas]
    assert trace.column("weight_decay") == [2**-3] * 6
    assert trace.column("weight_decay/1") == [0.0] * 6
    assert bias == -sum(2**-3 * eta for eta in etas)
    expected = np.float32(0)
    for eta in etas:
        expected = expected * np.float32(1 - 2**-7 * eta) - np.float32(2**-4 * eta)
    assert kernel == float(expected)


def test_a_scheduled_weight_decay_keeps_the_ratios_of_the_groups() -> None:
    spec = SGDW(2**-4, 2**-3, parameters=[ParameterRule(role="bias", weight_decay=2)])
    recipe = Recipe(spec, weight_decay=LinearDecay(over=updates(8)))
    (kernel, bias), trace = trained(spec, HyperparameterScheduler(recipe))
    assert trace.column("weight_decay/1") == [2 * value for value in trace.column("weight_decay")]
    for found, factor in ((kernel, 1), (bias, 2)):
        expected = np.float32(0)
        for eta in LINE:
            expected = expected * np.float32(1 - factor * 2**-7 * eta) - np.float32(2**-4)
        assert found == float(expected)


def test_an_update_of_accumulated_gradients_has_the_rules() -> None:
    (_, bias), trace = trained(SCALED, EpochGatedDecay(0.5, start_epoch=1), gradient_accumulation_steps=2)
    assert trace.column("learning_rate/1") == [2**-3, 2**-4, 2**-5]
    assert bias == -sum(trace.column("learning_rate/1"))


def test_a_function_of_the_epoch_alone_is_refused_for_several_learning_rates() -> None:
    with pytest.raises(ValueError, match=r"the learning rates \[0.0625, 0.125\] and a function of the epoch alone"):
        trained(SCALED, LearningRateScheduler(lambda epoch: 0.5))
    weights, _ = trained(SGDW(2**-4, 0.0, parameters=[EXCLUDED]), LearningRateScheduler(lambda epoch: 0.5))
    assert weights == [-3.0, -3.0]


def test_the_recorded_values_are_rounded_to_float32_and_no_more() -> None:
    spec = AdamW(1e-3, 0.1, parameters=[ParameterRule(role="bias", learning_rate=0.3)])
    _, trace = trained(spec)
    assert {float32(value) for value in trace.column("learning_rate/1")} == {float32(1e-3 * 0.3)}
    assert set(trace[0].values) == {
        f"{n}{g}" for n in ("learning_rate", "weight_decay", "momentum") for g in ("", "/1")
    }
