"""Momentum has a schedule like any other hyperparameter: beta_1 of Adam's relatives, SGD's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler

from samestep import AdamW, LinearDecay, Recipe, StepDecay, epochs, one_cycle, updates
from samestep.core.version_numbers import is_older
from samestep.lightning import HyperparameterScheduler, build_optimizer

from .tiny_training import refusal, train

RUN = 15  # updates: 3 epochs of 5
HALVING = Recipe(momentum=StepDecay(0.5, every=epochs(1)))


def one_cycle_recipe(**options: Any) -> Recipe:
    """What OneCycleLR does in `RUN` updates with max_lr=0.1, base_momentum=0.85 and max_momentum=0.95."""
    timing: Any = {"over": updates(RUN - 1), "peak": updates("0.4") * RUN - updates(1), **options}
    return Recipe(
        AdamW(0.1, 0.0, betas=(0.95, 0.999)),
        learning_rate=one_cycle(**timing),
        momentum=one_cycle(start=1.0, top=0.85 / 0.95, end=1.0, **timing),
    )


@pytest.mark.parametrize("anneal", ["cosine", "linear"])
@pytest.mark.parametrize("three_phase", [False, True])
def test_one_cycle_drives_learning_rate_and_momentum_as_torchs_does(anneal: Any, three_phase: bool) -> None:
    recipe = one_cycle_recipe(anneal=anneal, three_phase=three_phase)

    def theirs(module: torch.nn.Module) -> dict[str, Any]:
        optimizer = torch.optim.AdamW(module.parameters(), 0.1, betas=(0.95, 0.999), weight_decay=0.0)
        torchs_name = {"cosine": "cos", "linear": "linear"}[anneal]
        options: Any = {"pct_start": 0.4, "anneal_strategy": torchs_name, "three_phase": three_phase}
        scheduler = lr_scheduler.OneCycleLR(optimizer, 0.1, RUN, **options)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    torchs = train(theirs)
    ours = train(lambda module: build_optimizer(recipe.optimizer, module), HyperparameterScheduler(recipe))
    for name in ("learning_rate", "momentum"):
        assert len(set(ours.trace.column(name))) > 5
        assert ours.trace.column(name) == pytest.approx(torchs.trace.column(name), rel=1e-12)
    assert ours.kept() == pytest.approx(torchs.kept(), rel=1e-12)


@pytest.mark.parametrize(
    "make",
    [
        lambda p: torch.optim.SGD(p, 0.1, momentum=0.8),
        lambda p: torch.optim.RMSprop(p, 0.1, momentum=0.8),
        lambda p: torch.optim.Adam(p, 0.1, betas=(0.8, 0.99)),
        lambda p: torch.optim.NAdam(p, 0.1, betas=(0.8, 0.99)),
        pytest.param(
            lambda p: torch.optim.Adam(p, 0.1, betas=(torch.tensor(0.8), torch.tensor(0.99)), foreach=False),
            marks=pytest.mark.skipif(is_older(torch.__version__, "2.6"), reason="needs torch >= 2.6: tensors as betas"),
        ),
    ],
    ids=["SGD", "RMSprop", "Adam", "NAdam", "tensor betas"],
)
def test_the_momentum_of_torchs_own_optimizers(make: Callable[..., Any]) -> None:
    run = train(lambda module: make(module.parameters()), HyperparameterScheduler(HALVING))
    assert run.trace.column("momentum") == pytest.approx([0.8] * 5 + [0.4] * 5 + [0.2] * 5, rel=1e-7)
    (group,) = run.trainer.optimizers[0].param_groups
    if "betas" in group:
        assert float(group["betas"][1]) == pytest.approx(0.99, rel=1e-7)
        assert type(group["betas"][0]) is type(group["betas"][1])


def test_the_update_uses_the_momentum() -> None:
    recipe = Recipe(momentum=LinearDecay(over=updates(RUN)))
    run = train(lambda module: torch.optim.SGD(module.parameters(), 1.0, momentum=0.8), HyperparameterScheduler(recipe))
    buffer, expected = 0.0, []
    for update in range(RUN):
        buffer = 0.8 * (1 - update / RUN) * buffer + 1.0
        expected.append(buffer)
    assert run.learning_rates() == pytest.approx(expected, rel=1e-14)


def test_each_group_keeps_its_own_momentum() -> None:
    def groups(module: torch.nn.Module) -> torch.optim.Optimizer:
        pairs = zip(module.parameters(), (0.8, 0.4), strict=True)
        return torch.optim.SGD([{"params": [p], "momentum": m} for p, m in pairs], 0.1)

    run = train(groups, HyperparameterScheduler(HALVING), weights=2, batches=1)
    assert run.trace.column("momentum") == [0.8, 0.4, 0.2]
    assert run.trace.column("momentum/1") == [0.4, 0.2, 0.1]


def test_an_optimizer_without_momentum_is_refused() -> None:
    message = refusal(lambda module: torch.optim.Adagrad(module.parameters()), HyperparameterScheduler(HALVING))
    assert message == (
        "HyperparameterScheduler: found the optimizer Adagrad, which has no momentum; leave its schedule out, or use "
        "another optimizer."
    )


def test_a_momentum_of_one_is_refused_before_the_first_batch() -> None:
    rising = Recipe(momentum=LinearDecay(over=updates(14), start=0.5, end=1.25))
    message = refusal(
        lambda module: torch.optim.SGD(module.parameters(), 0.1, momentum=0.8), HyperparameterScheduler(rising)
    )
    assert message == (
        "HyperparameterScheduler: the momentum at epoch 2, update 4 is 1.0; expected a value of at least 0 and below 1."
    )


@pytest.mark.parametrize("cycles_momentum", [True, False])
def test_a_torch_scheduler_that_cycles_the_momentum_is_refused_beside_a_momentum_schedule(
    cycles_momentum: bool,
) -> None:
    def both(module: torch.nn.Module) -> dict[str, Any]:
        optimizer = torch.optim.SGD(module.parameters(), 0.1, momentum=0.8)
        scheduler = lr_scheduler.OneCycleLR(optimizer, 0.1, RUN, cycle_momentum=cycles_momentum)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    if cycles_momentum:
        message = refusal(both, HyperparameterScheduler(HALVING))
        assert "found the OneCycleLR of configure_optimizers, which already drives momentum" in message
    else:
        run = train(both, HyperparameterScheduler(HALVING))
        assert run.trace.column("momentum") == [0.8] * 5 + [0.4] * 5 + [0.2] * 5
        assert len(set(run.trace.column("learning_rate"))) > 10
