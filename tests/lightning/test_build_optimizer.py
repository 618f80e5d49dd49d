"""build_optimizer writes every number of the spec, and the kernel that runs is torch's own."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from samestep import AdamW
from samestep.lightning import build_optimizer

from .tiny_training import train

SPEC = AdamW(learning_rate=0.02, weight_decay=0.3, betas=(0.7, 0.95), epsilon=1e-5)


@pytest.fixture
def network() -> torch.nn.Sequential:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(7, 5), torch.nn.LayerNorm(5), torch.nn.Linear(5, 3))


@pytest.mark.parametrize("spec", [SPEC, AdamW()], ids=["given", "defaults"])
def test_every_number_of_the_spec_is_written(network: torch.nn.Module, spec: AdamW) -> None:
    optimizer = build_optimizer(spec, network)
    assert isinstance(optimizer, torch.optim.AdamW)
    assert len(optimizer.param_groups) == 1
    for numbers in (optimizer.param_groups[0], optimizer.defaults):
        assert numbers["lr"] == spec.learning_rate
        assert numbers["weight_decay"] == spec.weight_decay
        assert numbers["betas"] == spec.betas
        assert numbers["eps"] == spec.epsilon
        assert numbers["amsgrad"] is False
        assert numbers["maximize"] is False


def test_all_trainable_parameters_are_in_and_frozen_ones_are_out(network: torch.nn.Sequential) -> None:
    network[1].requires_grad_(False)
    optimizer = build_optimizer(SPEC, network)
    trainable = [*network[0].parameters(), *network[2].parameters()]
    assert [id(p) for p in optimizer.param_groups[0]["params"]] == [id(p) for p in trainable]


@pytest.mark.parametrize("options", [{"fused": True}, {"foreach": True}, {"foreach": False}, {"capturable": False}])
def test_options_reach_torch(network: torch.nn.Module, options: dict[str, bool]) -> None:
    group = build_optimizer(SPEC, network, **options).param_groups[0]
    assert {name: group[name] for name in options} == options


@pytest.mark.parametrize("options", [{"lr": 0.1}, {"betas": (0.9, 0.99)}, {"amsgrad": True}, {"use_ema": True}])
def test_other_options_are_refused(network: torch.nn.Module, options: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=f"found the options {list(options)!r}".replace("[", r"\[")) as caught:
        build_optimizer(SPEC, network, **options)
    assert "'foreach', 'fused', 'capturable', 'differentiable'" in str(caught.value)


@pytest.mark.parametrize("spec", [{"learning_rate": 0.1}, 0.1, None, torch.optim.AdamW, AdamW])
def test_what_is_not_a_spec_is_refused(network: torch.nn.Module, spec: Any) -> None:
    with pytest.raises(TypeError, match=r"^build_optimizer: found .*; expected a spec, such as AdamW\("):
        build_optimizer(spec, network)


def test_a_model_without_trainable_parameters_is_refused(network: torch.nn.Module) -> None:
    with pytest.raises(ValueError, match="found a model without trainable parameters"):
        build_optimizer(SPEC, network.requires_grad_(False))


def follow(optimizer: torch.optim.Optimizer, parameters: list[torch.nn.Parameter]) -> None:
    """200 updates on gradients that depend on nothing but the number of the update."""
    noise = torch.Generator().manual_seed(1)
    for update in range(200):
        for parameter in parameters:
            scale = 10.0 ** (-(update % 9))
            parameter.grad = torch.randn(parameter.shape, generator=noise) * scale
        optimizer.step()


@pytest.mark.parametrize("options", [{}, {"fused": True}, {"foreach": True}], ids=str)
def test_same_bits_as_an_adamw_made_by_hand(network: torch.nn.Module, options: dict[str, bool]) -> None:
    other = copy.deepcopy(network)
    by_hand = torch.optim.AdamW(
        other.parameters(),
        lr=0.02,
        betas=(0.7, 0.95),
        eps=1e-5,
        weight_decay=0.3,
        amsgrad=False,
        **(options or {"fused": True}),
    )
    before = [parameter.detach().clone() for parameter in network.parameters()]
    follow(build_optimizer(SPEC, network, **options), list(network.parameters()))
    follow(by_hand, list(other.parameters()))
    for start, ours, theirs in zip(before, network.parameters(), other.parameters(), strict=True):
        assert not torch.equal(ours, start)
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("options", [{}, {"fused": True}, {"foreach": True}], ids=str)
def test_built_optimizer_trains_in_lightning(options: dict[str, bool]) -> None:
    spec = AdamW(learning_rate=0.5, weight_decay=0.25)
    run = train(lambda m: build_optimizer(spec, m, **options), gradient=0.0, batches=2, epochs=1)
    assert run.kept() == [1 - 0.125, 1 - 0.125]
