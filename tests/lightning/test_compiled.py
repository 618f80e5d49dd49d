"""torch.compile of the module and of the optimizer's step: a value of every update is no reason to compile again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch._dynamo.testing import CompileCounter

from samestep import SGDW, AdamW, CosineDecay, NAdamW, ParameterRule, Recipe, Warmup, percent, updates
from samestep.lightning import HyperparameterScheduler, build_optimizer

from .tiny_training import train

Make = Callable[[torch.nn.Module], torch.optim.Optimizer]

# From 0 up and down to 0, where it stays for two updates: another value at each of the others.
WHOLE_RUN = Warmup(updates(5)) * CosineDecay(over=percent(100) - updates(2))
RULES = [ParameterRule(role="bias", weight_decay=0)]


@pytest.fixture(autouse=True)
def _nothing_is_compiled_yet() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


class Net(pl.LightningModule):
    """Two layers, whose optimizer's step may be compiled, and how often that happened until each update."""

    def __init__(self, make: Make, compiled: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Linear(3, 2))
        self.make, self.compiled = make, compiled
        self.compilations = CompileCounter()
        self.until: list[int] = []

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        loss: torch.Tensor = self.layers(batch.reshape(1, 1).expand(1, 4)).square().sum()
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        optimizer = self.make(self)
        if self.compiled:
            optimizer.step = torch.compile(optimizer.step, backend=self.compilations)  # type: ignore[method-assign]
        return optimizer

    def on_train_batch_end(self, *_: Any) -> None:
        self.until.append(self.compilations.frame_count)


def stock(tensor: bool = False, **options: Any) -> Make:
    return lambda module: torch.optim.AdamW(
        module.parameters(), lr=torch.tensor(0.01) if tensor else 0.01, weight_decay=0.25, **options
    )


def built(spec: Any, **options: Any) -> Make:
    return lambda module: build_optimizer(spec, module, **options)


OPTIMIZERS: dict[str, Make] = {
    "stock": stock(),
    "stock fused": stock(fused=True),
    "stock tensor": stock(tensor=True),
    "adamw": built(AdamW(0.01, 0.25)),
    "adamw foreach": built(AdamW(0.01, 0.25), foreach=True),
    "adamw rules": built(AdamW(0.01, 0.25, parameters=RULES)),
    "adamw schedule": built(AdamW(0.01, 0.25, weight_decay_basis="schedule")),
    "nadamw": built(NAdamW(0.01, 0.25)),
    "sgdw": built(SGDW(0.001, 0.25, 0.5)),
    "sgdw clip": built(SGDW(0.001, 0.25, global_clipnorm=1.0)),
}

RECIPE = Recipe(learning_rate=WHOLE_RUN, weight_decay=CosineDecay(over=percent(100), end=0.5))
DATA = torch.arange(1.0, 9.0)


def follow(module: Any, *recipes: Recipe) -> Any:
    return train(None, *map(HyperparameterScheduler, recipes), module=module, data=DATA, epochs=2)


def same_weights(module: Any, other: Any) -> bool:
    pairs = zip(module.parameters(), other.parameters(), strict=True)
    return all(torch.allclose(ours, theirs, rtol=1e-5, atol=1e-5) for ours, theirs in pairs)  # float32


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_compiled_step_is_not_compiled_again_after_the_second_update(name: str) -> None:
    """At the second the optimizer has its state, and torch has seen the values change."""
    run = follow(Net(OPTIMIZERS[name], True), RECIPE)
    plain = follow(Net(OPTIMIZERS[name], False), RECIPE)
    assert run.module.until[1] > 0
    assert run.module.until[1:] == [run.module.until[1]] * 15
    assert len(set(run.trace.column("learning_rate"))) > 10
    assert run.trace == plain.trace
    assert same_weights(run.module, plain.module)


# Those whose step is a single graph: torch's fused kernels, and a loop over parameter groups, cut it into several.
@pytest.mark.parametrize(("name", "extra"), [("stock", 1), ("stock tensor", 0), ("adamw foreach", 1), ("nadamw", 1)])
def test_a_learning_rate_of_every_update_costs_at_most_one_compilation(name: str, extra: int) -> None:
    run = follow(Net(OPTIMIZERS[name], True), Recipe(learning_rate=WHOLE_RUN))
    torch._dynamo.reset()
    constant = follow(Net(OPTIMIZERS[name], True))
    assert run.module.until[-1] - constant.module.until[-1] <= extra


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_tensor_learning_rate_stays_the_same_tensor_under_a_compiled_step(dtype: torch.dtype) -> None:
    given = torch.tensor(0.5, dtype=dtype)
    run = follow(Net(lambda module: torch.optim.AdamW(module.parameters(), lr=given), True), RECIPE)
    (group,) = run.trainer.optimizers[0].param_groups
    assert group["lr"] is given
    assert (given.dtype, given.device, given.item()) == (dtype, torch.device("cpu"), 0.0)
    assert len(set(run.trace.column("learning_rate"))) > 10


@pytest.mark.parametrize("name", ["stock", "adamw"])
def test_a_compiled_module_is_compiled_once(name: str) -> None:
    module = Net(OPTIMIZERS[name], False)
    run = follow(torch.compile(module, backend=module.compilations), RECIPE)
    plain = follow(Net(OPTIMIZERS[name], False), RECIPE)
    assert module.until[0] > 0
    assert module.until == [module.until[0]] * 16
    assert run.trace == plain.trace
    assert same_weights(module, plain.module)
