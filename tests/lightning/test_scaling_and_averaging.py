"""What stands around the optimizer: loss scaling, which skips updates, and averages of the weights."""

from __future__ import annotations

from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning import callbacks
from pytorch_lightning.plugins import MixedPrecision
from torch import nn

from samestep import SGDW, AdamW, LinearDecay, NAdamW, ParameterRule, Recipe, updates
from samestep.core.specs.spec import Spec
from samestep.lightning import HyperparameterScheduler, build_optimizer

from .tiny_training import train

RULES = [ParameterRule(role="bias", weight_decay=0, learning_rate=2)]
SPECS = {
    "adamw": AdamW(0.5, 0.25),
    "adamw rules": AdamW(0.5, 0.25, parameters=RULES),
    "adamw clip": AdamW(0.5, 0.25, global_clipnorm=1.0),
    "adamw update": AdamW(0.5, 0.25, weight_decay_basis="update"),
    "nadamw": NAdamW(0.5, 0.25),
    "nadamw l1": NAdamW(0.5, 0.25, l1_ratio=0.5),
    "sgdw": SGDW(2**-8, 0.25, 0.5),
}


@pytest.fixture(params=SPECS)
def spec(request: pytest.FixtureRequest) -> Spec:
    return SPECS[request.param]


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(3, 2)


def scaled_update(scaler: Any, optimizer: torch.optim.Optimizer, model: nn.Module, factor: float = 1.0) -> None:
    optimizer.zero_grad()
    scaler.scale(model(torch.ones(1, 3)).sum() * factor).backward()
    scaler.step(optimizer)
    scaler.update()


def counts(optimizer: torch.optim.Optimizer) -> list[float]:
    return [float(state["step"]) for state in optimizer.state.values() if "step" in state]


@pytest.mark.parametrize("kernel", [{}, {"fused": True}, {"foreach": True}], ids=str)
def test_an_update_that_the_loss_scaler_skips_is_skipped_on_the_host_and_not_counted(
    kernel: dict[str, bool], spec: Spec, model: nn.Module
) -> None:
    if isinstance(spec, NAdamW) and "fused" in kernel:
        kernel = {}  # torch has no such kernel
    optimizer: Any = build_optimizer(spec, model, **kernel)
    made: list[Any] = []
    optimizer.register_step_post_hook(lambda *_: made.append(1))
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    scaled_update(scaler, optimizer, model)
    before = [p.detach().clone() for p in model.parameters()]
    scaled_update(scaler, optimizer, model, float("inf"))
    assert (len(made), scaler.get_scale()) == (1, 4.0)
    assert all(map(torch.equal, before, model.parameters()))
    assert set(counts(optimizer)) <= {1.0}
    scaled_update(scaler, optimizer, model)
    assert len(made) == 2
    assert not any(map(torch.equal, before, model.parameters()))
    assert set(counts(optimizer)) <= {2.0}


def test_scaled_updates_are_those_without_scaling_to_the_bit(spec: Spec, model: nn.Module) -> None:
    torch.manual_seed(0)
    other = nn.Linear(3, 2)
    ours, theirs = build_optimizer(spec, model), build_optimizer(spec, other)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**12)
    for update in range(5):
        scaled_update(scaler, ours, model, float("inf") if update == 2 else 3.0)
        if update != 2:
            theirs.zero_grad()
            (other(torch.ones(1, 3)).sum() * 3.0).backward()
            theirs.step()
    assert all(map(torch.equal, model.parameters(), other.parameters()))


@pytest.mark.parametrize(
    ("clip", "moved"),
    [
        ({"clipvalue": 0.5}, 0.5),
        ({"clipnorm": 1.0}, 6**-0.5),
        ({"global_clipnorm": 1.0}, 8**-0.5),
        ({"global_clipnorm": 9.0}, 3.0),
    ],
    ids=str,
)
def test_it_is_the_unscaled_gradients_that_are_clipped(clip: dict[str, Any], moved: float, model: Any) -> None:
    """Eight gradients of 3, six of them those of the kernel."""
    torch.nn.init.zeros_(model.weight)
    optimizer = build_optimizer(SGDW(1.0, 0.0, **clip), model)
    scaled_update(torch.amp.GradScaler("cpu", init_scale=2.0**10), optimizer, model, 3.0)
    torch.testing.assert_close(model.weight.detach(), torch.full((2, 3), -moved), rtol=1e-5, atol=0)


class Net(pl.LightningModule):
    """A module that keeps its weights after each update, and whose loss can be made infinite in one of them."""

    def __init__(self, spec: Spec, infinite: int | None = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(3, 2)
        self.spec, self.infinite = spec, infinite
        self.left: list[list[torch.Tensor]] = []

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        factor = float("inf") if batch_idx == self.infinite else 1.0
        return self.layer(batch.reshape(1, 1).expand(1, 3)).square().sum() * factor

    def on_train_batch_end(self, *_: Any) -> None:
        self.left.append([p.detach().clone() for p in self.parameters()])

    def configure_optimizers(self) -> Any:
        return build_optimizer(self.spec, self)


DATA = torch.arange(1.0, 7.0)


def test_in_lightning_a_skipped_update_is_no_position_of_the_plan(spec: Spec) -> None:
    line = LinearDecay(over=updates(6))
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0)
    run = train(
        None,
        HyperparameterScheduler(Recipe(spec, learning_rate=line)),
        module=Net(spec, infinite=2),
        data=DATA,
        epochs=1,
        plugins=MixedPrecision("16-mixed", "cpu", scaler=scaler),
    )
    assert [position.update for position in run.positions()] == [0, 1, 2, 3, 4]
    expected = [spec.learning_rate * (1 - n / 6) for n in range(5)]
    assert run.trace.column("learning_rate") == pytest.approx(expected, rel=1e-15)
    assert all(map(torch.equal, run.module.left[1], run.module.left[2]))


def since(version: str, name: str, *values: Any) -> Any:
    """The parameters of a test that needs a callback which older versions of Lightning lack."""
    reason = f"needs Lightning >= {version}: {name}"
    return pytest.param(*values, marks=pytest.mark.skipif(not hasattr(callbacks, name), reason=reason))


@pytest.mark.parametrize(
    ("averaging", "average"),
    [
        since(
            "2.5.1",
            "WeightAveraging",
            lambda: callbacks.WeightAveraging(),
            lambda mean, new, n: mean + (new - mean) / (n + 1),
        ),
        since(
            "2.6",
            "EMAWeightAveraging",
            lambda: callbacks.EMAWeightAveraging(decay=0.5),
            lambda mean, new, n: 0.5 * mean + 0.5 * new,
        ),
    ],
    ids=["equal", "exponential"],
)
def test_averages_of_the_weights_are_those_of_the_weights_that_the_updates_left(
    averaging: Any, average: Any, spec: Spec
) -> None:
    recipe = Recipe(spec, learning_rate=LinearDecay(over=updates(12)))
    alone = train(None, HyperparameterScheduler(recipe), module=Net(spec), data=DATA, epochs=2)
    run = train(None, HyperparameterScheduler(recipe), averaging(), module=Net(spec), data=DATA, epochs=2)
    assert run.trace == alone.trace
    assert len(run.module.left) == 12
    for ours, theirs in zip(run.module.left, alone.module.left, strict=True):
        assert all(map(torch.equal, ours, theirs))
    for index, parameter in enumerate(run.module.parameters()):
        mean = alone.module.left[0][index]
        for n, left in enumerate(alone.module.left[1:], 1):
            mean = average(mean, left[index], n)
        assert not torch.equal(parameter, alone.module.left[-1][index])
        torch.testing.assert_close(parameter.detach(), mean, rtol=1e-5, atol=1e-6)
