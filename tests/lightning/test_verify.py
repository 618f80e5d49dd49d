"""verify=True notices at the update itself that the optimizer does not hold the value of the plan."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pytorch_lightning import Callback
from pytorch_lightning.plugins import MixedPrecision

from samestep import AdamW, LinearDecay, ParameterRule, Recipe, StepDecay, epochs
from samestep.lightning import HyperparameterScheduler, build_optimizer

from .tiny_training import Ramp, train

RECIPE = Recipe(
    AdamW(0.5, 0.25, parameters=[ParameterRule(path="weights/1", learning_rate=0.5)]),
    learning_rate=LinearDecay(over=epochs(4)),
    weight_decay=StepDecay(0.5, every=epochs(1)),
)


def build(module: torch.nn.Module) -> torch.optim.Optimizer:
    return build_optimizer(RECIPE.optimizer, module)


class Meddler(Callback):
    """Writes a value of its own in one hook of one batch."""

    def __init__(self, hook: str, key: str, value: Any, group: int = 0, epoch: int = 1, batch: int = 2) -> None:
        self.written = key, value, group
        self.when = epoch, batch
        setattr(self, hook, self.meddle)

    def meddle(self, trainer: Any, *_: Any) -> None:
        key, value, group = self.written
        if (trainer.current_epoch, trainer.fit_loop.batch_idx) == self.when:
            trainer.optimizers[0].param_groups[group][key] = value


@pytest.mark.parametrize("hook", ["on_before_backward", "on_after_backward", "on_before_optimizer_step"])
@pytest.mark.parametrize(
    ("key", "value", "group", "named"),
    [
        ("lr", 9.0, 0, "learning_rate = 9.0"),
        ("lr", 9.0, 1, "learning_rate/1 = 9.0"),
        ("weight_decay", 0.0, 0, "weight_decay = 0.0"),
        ("betas", (0.5, 0.999), 1, "momentum/1 = 0.5"),
    ],
)
def test_a_value_of_another_is_noticed_at_the_update_that_uses_it(
    hook: str, key: str, value: Any, group: int, named: str
) -> None:
    callback, module = HyperparameterScheduler(RECIPE, verify=True), Ramp(build, weights=2)
    with pytest.raises(ValueError, match=f"found {named} at epoch 1, update 2, but the plan has ") as caught:
        train(None, callback, Meddler(hook, key, value, group), module=module)
    message = str(caught.value)
    assert "written last by HyperparameterScheduler; remove whatever has changed it since" in message
    assert "possibly one of Meddler, Ramp." in message
    assert module.batches == 8
    trained = train(build, HyperparameterScheduler(RECIPE), Meddler(hook, key, value, group), weights=2)
    assert len(trained.trace) == 15


@pytest.mark.parametrize("hook", ["on_train_batch_end"])
def test_a_value_of_another_between_two_batches_is_noticed_at_the_next(hook: str) -> None:
    callback, module = HyperparameterScheduler(RECIPE, verify=True), Ramp(build, weights=2)
    with pytest.raises(ValueError, match=r"found learning_rate = 9\.0 at epoch 1, update 3, but the plan has "):
        train(None, callback, Meddler(hook, "lr", 9.0), module=module)
    assert module.batches == 8


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("resolution", ["update", "epoch"])
@pytest.mark.parametrize("rate", [0.5, torch.tensor(0.5)], ids=["float", "tensor"])
def test_nothing_is_noticed_where_there_is_nothing(resolution: Any, accumulate: int, rate: Any) -> None:
    recipe = Recipe(learning_rate=LinearDecay(over=epochs(4), end=0.1), weight_decay=StepDecay(0.3, every=epochs(1)))
    callback = HyperparameterScheduler(recipe, resolution=resolution, verify=True)
    run = train(
        lambda module: torch.optim.AdamW(module.parameters(), lr=rate, weight_decay=0.1),
        callback,
        accumulate_grad_batches=accumulate,
        plugins=MixedPrecision("16-mixed", "cpu", scaler=torch.amp.GradScaler("cpu", init_scale=1.0)),
    )
    assert len(run.trace) == 3 * -(-5 // accumulate)
