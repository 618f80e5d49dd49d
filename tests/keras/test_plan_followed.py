"""The values of the plan are those that the compiled update uses, at every update from the very first."""

from __future__ import annotations

import math
from typing import Any

import keras
import pytest

from samestep import AdamW, CosineDecay, ExponentialDecay, LinearDecay, Recipe, StepDecay, Warmup, epochs, percent
from samestep.core.recipes.float32 import float32
from samestep.keras import HyperparameterScheduler, TraceRecorder

from .tiny_training import followed, probe, train

COMPILED = keras.backend.backend() != "torch"

CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "default": {},
    "run_eagerly": {"run_eagerly": True},
    "mixed_float16": {"policy": "mixed_float16"},
}
if COMPILED:  # the torch backend has no XLA, and refuses steps_per_execution > 1
    CONFIGURATIONS |= {
        "jit": {"jit_compile": True},
        "no_jit": {"jit_compile": False},
        "two_steps_per_execution": {"steps_per_execution": 2},
        "four_steps_per_execution": {"steps_per_execution": 4},
        "seven_steps_per_execution": {"steps_per_execution": 7},
        "mixed_float16_jit": {"policy": "mixed_float16", "jit_compile": True},
    }
else:
    CONFIGURATIONS |= {kernel: {"options": {kernel: True}} for kernel in ("foreach", "fused")}


def recipe(spec: AdamW) -> Recipe:
    """Both hyperparameters change at every update, neither starts at its base value, and the last rate is tiny."""
    return Recipe(
        spec,
        learning_rate=Warmup(over="7 updates", start=0.25) * ExponentialDecay(0.3, every="1 epoch"),
        weight_decay=LinearDecay(over=percent(100), start=2.0, end=0.5),
    )


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_every_update_uses_the_plan(configuration: str, spec: AdamW) -> None:
    model = probe(spec, **CONFIGURATIONS[configuration])
    run = train(model, HyperparameterScheduler(recipe(spec)), batches=12)
    followed(run, recipe(spec).plan(12, 3), 12)


def test_accumulated_micro_batches_are_one_update(spec: AdamW) -> None:
    model = probe(spec, options={"gradient_accumulation_steps": 2})
    run = train(model, HyperparameterScheduler(recipe(spec)), batches=12)
    followed(run, recipe(spec).plan(6, 3), 6)


def test_the_order_of_recorder_and_scheduler_does_not_matter(spec: AdamW) -> None:
    before = TraceRecorder()
    run = train(probe(spec), before, HyperparameterScheduler(recipe(spec)))
    assert before.trace == run.trace
    assert len(before.trace) == 15


def test_a_zero_gradient_weight_shrinks_by_the_scheduled_weight_decay(spec: AdamW) -> None:
    stepped = Recipe(spec, weight_decay=StepDecay(5.0, every=epochs(100), first=epochs(2)))  # 0.1, 0.1, 0.5
    run = train(probe(spec), HyperparameterScheduler(stepped), batches=6)
    kept = [math.prod([1 - 0.125 * decay] * 6) for decay in (0.1, 0.1, 0.5)]
    # Six float32 products, each off by half a unit in the last place (2**-24) at most, of a factor as much off.
    assert [weight for _, weight in run.left] == pytest.approx(kept, rel=12 * 2**-24)


@pytest.mark.parametrize(("rate", "decay"), [(0.03, 0.76), (0.3, 0.3), (0.3, 0.64)])
def test_the_shrink_is_rounded_once_from_float64(rate: float, decay: float) -> None:
    """As torch does it; these are pairs for which float32 arithmetic would give another number."""
    run = train(probe(AdamW(rate, decay, betas=(0.0, 0.0))), batches=1, epochs=1)
    assert run.left[0][1] == float32(1 - rate * decay)


def test_without_a_callback_the_base_values_hold(spec: AdamW) -> None:
    run = train(probe(spec), batches=1)
    assert run.left == [[-0.125, float32(1 - 0.125 * 0.1)]] * 3
    assert run.used("learning_rate") == [0.125] * 3
    assert run.used("weight_decay") == [float32(0.1)] * 3


def test_resolution_epoch_holds_the_value_of_the_first_update(spec: AdamW) -> None:
    cosine = Recipe(spec, learning_rate=CosineDecay(over=percent(100)))
    run = train(probe(spec), HyperparameterScheduler(cosine, resolution="epoch"), batches=4)
    firsts = [float32(cosine.plan(4, 3).value("learning_rate", epoch)) for epoch in range(3)]
    assert run.used("learning_rate") == [first for first in firsts for _ in range(4)]
    assert len(set(firsts)) == 3


def test_a_recipe_without_spec_drives_the_base_values_of_the_optimizer(spec: AdamW) -> None:
    schedules = Recipe(weight_decay=LinearDecay(over=percent(100)))
    run = train(probe(spec), HyperparameterScheduler(schedules))
    assert run.used("learning_rate") == [0.125] * 15
    assert run.used("weight_decay") == [float32(0.1 * (1 - update / 15)) for update in range(15)]


def test_two_callbacks_drive_different_hyperparameters(spec: AdamW) -> None:
    rate = HyperparameterScheduler(Recipe(learning_rate=StepDecay(0.5, every=epochs(1))))
    decay = HyperparameterScheduler(Recipe(weight_decay=LinearDecay(over=percent(100))))
    for callbacks in ((rate, decay), (decay, rate)):
        run = train(probe(spec), *callbacks, batches=2, epochs=2)
        assert run.used("learning_rate") == [0.125, 0.125, 0.0625, 0.0625]
        assert run.used("weight_decay") == [float32(0.1 * share) for share in (1.0, 0.75, 0.5, 0.25)]


def test_an_update_that_the_loss_scaler_skips_is_none(spec: AdamW) -> None:
    plan = recipe(spec).plan(4, 2)
    model = probe(spec, policy="mixed_float16")
    model.optimizer.initial_scale = 2.0**17  # overflows float16 in the first two batches, then is halved to 2**15
    run = train(model, HyperparameterScheduler(recipe(spec)), batches=4, epochs=1)
    assert run.used("learning_rate") == [float32(plan.value("learning_rate", 0, update)) for update in range(2)]
