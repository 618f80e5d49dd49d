"""A loop of one's own with Fabric: samestep's callbacks demand a Trainer, and the plan gives the values."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from lightning.fabric import Fabric

from samestep import AdamW, Recipe, StepDecay
from samestep.lightning import (
    EpochGatedDecay,
    HyperparameterScheduler,
    LearningRateScheduler,
    ReduceOnPlateau,
    TraceRecorder,
    build_optimizer,
)

RECIPE = Recipe(AdamW(0.5), StepDecay(0.5, "1 update"))
CALLBACKS = {
    "scheduler": lambda: HyperparameterScheduler(RECIPE),
    "gated": lambda: EpochGatedDecay(0.5, start_epoch=1),
    "function": lambda: LearningRateScheduler(lambda epoch: 0.5),
    "plateau": lambda: ReduceOnPlateau("loss"),
    "recorder": TraceRecorder,
}
HOOKS: dict[str, tuple[Any, ...]] = {
    "on_fit_start": (),
    "on_train_start": (),
    "on_train_epoch_start": (),
    "on_train_batch_start": ("batch", 0),
    "on_train_batch_end": ("outputs", "batch", 0),
    "on_train_epoch_end": (),
    "on_train_end": (),
}


@pytest.mark.parametrize("make", CALLBACKS.values(), ids=CALLBACKS)
def test_a_hook_called_without_a_trainer_says_what_to_write(make: Any) -> None:
    callback = make()
    fabric = Fabric(accelerator="cpu", devices=1, callbacks=[callback])
    called = 0
    for hook, arguments in HOOKS.items():
        if hook not in _own(type(callback)):
            continue
        called += 1
        with pytest.raises(TypeError) as caught:
            fabric.call(hook, *arguments)
        message = str(caught.value)
        assert message.startswith(
            f"{type(callback).__name__}: found a call of {hook} without a Trainer, as by Fabric; "
        )
        assert "\n" not in message
    assert called >= 3


def _own(kind: type) -> set[str]:
    """The hooks that samestep's classes define."""
    return {name for each in kind.__mro__ if each.__module__.startswith("samestep") for name in vars(each)}


@pytest.mark.parametrize("make", CALLBACKS.values(), ids=CALLBACKS)
def test_a_loop_that_calls_no_hook_is_refused_at_its_first_update(make: Any) -> None:
    model = torch.nn.Linear(1, 1)
    fabric = Fabric(accelerator="cpu", devices=1, callbacks=[make()])
    model, optimizer = fabric.setup(model, build_optimizer(RECIPE.optimizer, model))
    fabric.backward(model(torch.ones(1, 1)).sum())
    with pytest.raises(TypeError, match="without a Trainer, as by Fabric"):
        optimizer.step()


def test_what_the_message_says_is_exact() -> None:
    plan = RECIPE.plan(updates_per_epoch=2, epochs=2)
    model = torch.nn.Linear(1, 1)
    fabric = Fabric(accelerator="cpu", devices=1)
    model, optimizer = fabric.setup(model, build_optimizer(RECIPE.optimizer, model))
    used = []
    for epoch in range(2):
        for update in range(2):
            for group in optimizer.param_groups:
                group["lr"] = plan.value("learning_rate", epoch, update)
            fabric.backward(model(torch.ones(1, 1)).sum())
            optimizer.step()
            used.append(optimizer.optimizer.param_groups[0]["lr"])
    assert used == [0.5, 0.25, 0.125, 0.0625]
