"""A parameter has the path that its model gives it, whatever was put around the model or its parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from lightning_fabric import Fabric
from torch import nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper

from samestep import SGDW, AdamW, LinearDecay, ParameterRule, Recipe
from samestep.lightning import (
    HyperparameterScheduler,
    TraceRecorder,
    build_optimizer,
    describe_parameters,
    extract_weight_decay,
)

from .tiny_training import QUIET

SPEC = AdamW(0.5, 0.25, parameters=[ParameterRule(path="body/*/weight", learning_rate=0.5)])


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3))
        self.head = nn.Linear(3, 1)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(batch))


def compiled(module: nn.Module) -> Any:
    return torch.compile(module, backend="eager")


def replaced(wrap: Callable[[nn.Module], Any]) -> Callable[[Network], nn.Module]:
    def make(network: Network) -> nn.Module:
        network.body = wrap(network.body)
        network.head = wrap(network.head)
        return network

    return make


WRAPPED: dict[str, Callable[[Network], Any]] = {
    "compiled parts": replaced(compiled),
    "compiled": compiled,
    "compiled twice": lambda network: compiled(replaced(compiled)(network)),
    "checkpointed parts": replaced(checkpoint_wrapper),
    "checkpointed": checkpoint_wrapper,
    "DataParallel": nn.DataParallel,
    "averaged": torch.optim.swa_utils.AveragedModel,
    "Fabric": lambda network: Fabric(accelerator="cpu").setup_module(network),
    "Fabric, compiled": lambda network: Fabric(accelerator="cpu").setup_module(compiled(network)),
}


@pytest.mark.parametrize("name", WRAPPED)
def test_wrappers_are_no_part_of_a_path(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    plain, wrapped = describe_parameters(SPEC, Network()), describe_parameters(SPEC, WRAPPED[name](Network()))
    assert [row.path for row in plain][:2] == ["body/0/weight", "body/0/bias"]
    assert wrapped == plain
    assert build_optimizer(SPEC, WRAPPED[name](Network())).param_groups[1]["lr"] == 0.25
    capsys.readouterr()


def test_ddp_is_no_part_of_a_path(capsys: pytest.CaptureFixture[str]) -> None:
    from torch import distributed

    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    try:
        wrapped = nn.parallel.DistributedDataParallel(Network())
        assert describe_parameters(SPEC, wrapped) == describe_parameters(SPEC, Network())
    finally:
        distributed.destroy_process_group()


def test_a_module_of_the_program_s_own_is_part_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    """Also one with the name of a wrapper, or a wrapper's name for its inside."""

    class DataParallel(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = nn.Linear(2, 2, bias=False)

    (row,) = describe_parameters(SGDW(0.1), DataParallel())
    assert row.path == "module/weight"
    parametrized = nn.utils.parametrizations.orthogonal(nn.Linear(2, 2, bias=False))
    (row,) = describe_parameters(SGDW(0.1), parametrized)
    assert row.path == "parametrizations/weight/original"


@pytest.mark.parametrize("name", WRAPPED)
def test_extract_weight_decay_has_the_same_paths(name: str) -> None:
    network = WRAPPED[name](Network())
    found = extract_weight_decay(network, torch.optim.SGD(network.parameters(), lr=0.1, weight_decay=0.5))
    assert [*found][:2] == ["body/0/weight", "body/0/bias"]


class Two(pl.LightningModule):
    """Trains body and head by an optimizer each."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.network = Network()
        self.parts = self.network.body[0], self.network.head
        self.network.body = compiled(self.network.body)

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> None:
        self.manual_backward(self.network(batch).sum())
        for optimizer in self.optimizers():  # type: ignore[union-attr]
            optimizer.step()
            optimizer.zero_grad()

    def configure_optimizers(self) -> Any:
        return [build_optimizer(SGDW(0.5), part) for part in self.parts]


def test_a_recipe_names_a_compiled_part_as_the_model_does() -> None:
    recipe, recorder = Recipe(SGDW(0.5), learning_rate=LinearDecay("2 epochs")), TraceRecorder()
    drivers = HyperparameterScheduler({"network/body/0": recipe, "network/head": recipe}, resolution="epoch")
    trainer = pl.Trainer(callbacks=[drivers, recorder], **{**QUIET, "max_epochs": 2})
    trainer.fit(Two(), torch.utils.data.DataLoader(torch.ones(2, 3)))
    assert set(recorder.traces) == {"network/body", "network/head"}


@pytest.mark.parametrize("make", [build_optimizer, describe_parameters])
def test_a_lazy_module_has_to_make_its_parameters_first(make: Any, capsys: pytest.CaptureFixture[str]) -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.LazyLinear(2))
    with pytest.raises(ValueError, match="lazy") as caught:
        make(SGDW(0.1), model)
    assert str(caught.value) == (
        "found the parameter '1/weight', which a lazy module has yet to make; call the model on a batch first."
    )
    model(torch.ones(1, 3))
    make(SGDW(0.1), model)
