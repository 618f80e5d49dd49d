"""SGD with decoupled weight decay: torch's own numbers where torch has the same, and the formula where it has not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from samestep import SGDW, LinearDecay, Recipe, StepDecay, epochs, updates
from samestep.lightning import HyperparameterScheduler, build_optimizer

from .tiny_training import refusal, train

UPDATES = 200
CASES = [(0.0, False), (0.9, False), (0.9, True)]


def value(update: int, momentum: float) -> tuple[float, float]:
    """Another learning rate at each update, 0 at each tenth; no momentum at each seventh."""
    return (0.0 if update % 10 == 0 else 0.1 / (1 + update % 7)), (0.0 if update % 7 == 3 else momentum)


def trained(optimizer: torch.optim.Optimizer, weights: list[torch.nn.Parameter], momentum: float) -> list[np.ndarray]:
    generator = torch.Generator().manual_seed(1)
    for update in range(UPDATES):
        group = optimizer.param_groups[0]
        group["lr"], group["momentum"] = value(update, momentum)
        for weight in weights:
            weight.grad = torch.randn(weight.shape, generator=generator, dtype=weight.dtype)
        optimizer.step()
    return [weight.detach().numpy() for weight in weights]


class Model(torch.nn.Module):
    """Two weights of several elements."""

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.a, self.b = (
            torch.nn.Parameter(torch.randn(shape, generator=generator, dtype=dtype)) for shape in ((8, 4), (5,))
        )


@pytest.mark.parametrize(("momentum", "nesterov"), CASES)
@pytest.mark.parametrize("kernel", [{"fused": True}, {"foreach": True}, {"foreach": False}], ids=str)
def test_without_decay_it_is_torchs_sgd_bit_for_bit(momentum: float, nesterov: bool, kernel: dict[str, bool]) -> None:
    def constant(optimizer: torch.optim.Optimizer, model: Model) -> list[np.ndarray]:
        generator = torch.Generator().manual_seed(1)
        for update in range(UPDATES):
            optimizer.param_groups[0]["lr"] = value(update, momentum)[0]
            for weight in model.parameters():
                weight.grad = torch.randn(weight.shape, generator=generator)
            optimizer.step()
        return [weight.detach().numpy() for weight in model.parameters()]

    spec, ours, theirs = SGDW(0.1, 0.0, momentum, nesterov), Model(), Model()
    torchs = torch.optim.SGD(theirs.parameters(), 0.1, momentum, nesterov=nesterov, **kernel)
    for a, b in zip(constant(build_optimizer(spec, ours, **kernel), ours), constant(torchs, theirs), strict=True):
        assert np.array_equal(a, b)


@pytest.mark.parametrize(("momentum", "nesterov"), CASES)
def test_it_is_the_formula(momentum: float, nesterov: bool) -> None:
    """Loshchilov and Hutter 2019, algorithm 1, with alpha outside of the buffer; in float64."""
    model, generator = Model(torch.float64), torch.Generator().manual_seed(1)
    thetas = [weight.detach().numpy().copy() for weight in model.parameters()]
    buffers = [np.zeros_like(theta) for theta in thetas]
    for update in range(UPDATES):
        rate, m = value(update, momentum)
        for i, theta in enumerate(thetas):
            gradient = torch.randn(theta.shape, generator=generator, dtype=torch.float64).numpy()
            buffers[i] = m * buffers[i] + gradient
            direction = gradient + m * buffers[i] if nesterov else buffers[i]
            thetas[i] = theta * (1 - rate * 0.3) - rate * direction
    optimizer = build_optimizer(SGDW(0.1, 0.3, momentum, nesterov), model)
    for ours, theta in zip(trained(optimizer, list(model.parameters()), momentum), thetas, strict=True):
        np.testing.assert_allclose(ours, theta, rtol=1e-13)


def test_a_recipe_drives_learning_rate_weight_decay_and_momentum() -> None:
    recipe = Recipe(
        SGDW(0.5, 0.25, momentum=0.8),
        learning_rate=LinearDecay(over=updates(15), end=0.5),
        weight_decay=StepDecay(0.5, every=epochs(1)),
        momentum=LinearDecay(over=updates(15)),
    )
    plan = recipe.plan(updates_per_epoch=5, epochs=3)
    run = train(lambda module: build_optimizer(recipe.optimizer, module), HyperparameterScheduler(recipe), gradient=0.0)
    for name in ("learning_rate", "weight_decay", "momentum"):
        assert run.trace.column(name) == plan.values(name)
    pairs = zip(plan.values("learning_rate"), plan.values("weight_decay"), strict=True)
    assert run.kept() == [1 - rate * decay for rate, decay in pairs]
    assert len(run.kept()) == 15  # an update is counted once


def test_another_spec_is_refused() -> None:
    scheduler = HyperparameterScheduler(Recipe(SGDW(0.5, momentum=0.9)))
    assert "found an optimizer that was not built from this recipe's spec: momentum is 0.8 and not 0.9; " in refusal(
        lambda module: build_optimizer(SGDW(0.5, momentum=0.8), module), scheduler
    )
    # torch's own SGD would put the weight decay into the gradient.
    assert "the optimizer is SGD and not SGDW; " in refusal(
        lambda module: torch.optim.SGD(module.parameters(), 0.5, momentum=0.9), scheduler
    )


def test_an_option_that_it_has_not_is_refused() -> None:
    with pytest.raises(TypeError, match=r"found the options \['capturable'\]; expected some of \['foreach', 'fused'\]"):
        build_optimizer(SGDW(0.5), Model(), capturable=True)
