"""Parameters that are frozen when the optimizer is built, and added to it later: the spec's numbers and its rules."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import nn

from samestep import SGDW, AdamW, NAdamW, ParameterRule
from samestep.lightning import build_optimizer, describe_parameters

from ..kinds import EVERY

RULES = [
    ParameterRule(role="bias", weight_decay=0),
    ParameterRule(path="body/**", learning_rate=0.5),
    ParameterRule(path="body/**", role="kernel", weight_decay=0.25),
]


class Network(nn.Module):
    """A body that is frozen at first, and a head."""

    def __init__(self, frozen: bool = True) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body, self.head = nn.Linear(3, 4), nn.Linear(4, 2)
        self.body.requires_grad_(not frozen)


def numbers(optimizer: torch.optim.Optimizer) -> list[tuple[float, float, int]]:
    return [(group["lr"], group["weight_decay"], len(group["params"])) for group in optimizer.param_groups]


def update(network: Network, optimizer: torch.optim.Optimizer, frozen: bool, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        gradient = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
        of_body = any(parameter is each for each in network.body.parameters())
        parameter.grad = None if of_body and frozen else gradient
    optimizer.step()


@pytest.mark.parametrize("spec", EVERY.values(), ids=EVERY)
def test_an_added_group_is_updated_as_if_it_had_always_been_there(spec: Any) -> None:
    network, always = Network(), Network(frozen=False)
    optimizer, expected = build_optimizer(spec, network), build_optimizer(spec, always)
    before = copy.deepcopy(network)
    for number in range(4):
        if number == 2:
            optimizer.add_param_group({"params": list(network.body.requires_grad_(True).parameters())})
        update(network, optimizer, number < 2, number)
        update(always, expected, number < 2, number)
    for start, ours, theirs in zip(before.parameters(), network.parameters(), always.parameters(), strict=True):
        assert not torch.equal(ours, start)
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("kind", [AdamW, NAdamW, SGDW])
def test_rules_name_frozen_parameters(kind: Any) -> None:
    network = Network()
    optimizer = build_optimizer(kind(0.5, 0.25, parameters=RULES), network)
    assert numbers(optimizer) == [(0.5, 0.25, 1), (0.5, 0.0, 1)]
    optimizer.add_param_group({"params": network.body.requires_grad_(True).parameters()})
    assert numbers(optimizer)[2:] == [(0.25, 0.0, 1), (0.25, 0.0625, 1)]


def test_the_groups_own_numbers_come_before_the_specs() -> None:
    network = Network()
    optimizer = build_optimizer(AdamW(0.5, 0.25, parameters=RULES[:1]), network)
    optimizer.add_param_group({"params": network.body.weight, "lr": 0.125, "betas": (0.5, 0.999)})
    optimizer.add_param_group({"params": [network.body.bias], "weight_decay": 0.75})
    assert numbers(optimizer)[2:] == [(0.125, 0.25, 1), (0.5, 0.75, 1)]
    assert [group["betas"][0] for group in optimizer.param_groups] == [0.9, 0.9, 0.5, 0.9]


def test_a_learning_rate_that_a_rule_would_multiply_is_told() -> None:
    network = Network()
    optimizer = build_optimizer(AdamW(0.5, parameters=RULES), network)
    with pytest.warns(UserWarning, match=r"^AdamW.add_param_group: found lr=0.125 for parameters whose learning rate"):
        optimizer.add_param_group({"params": network.body.parameters(), "lr": 0.125})
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.5, 0.125, 0.125]


@pytest.mark.parametrize("basis", ["learning_rate", "schedule", "update"])
def test_an_own_learning_rate_is_the_base_that_the_weight_decay_refers_to(basis: Any) -> None:
    network = Network()
    optimizer = build_optimizer(SGDW(0.5, 0.25, weight_decay_basis=basis), network)
    optimizer.add_param_group({"params": [network.body.weight], "lr": 0.125})
    optimizer.param_groups[1]["lr"] = 0.0625  # as a schedule writes it
    before = network.body.weight.detach().clone()
    network.body.weight.grad = torch.zeros_like(before)
    optimizer.step()
    kept = 1 - {"learning_rate": 0.0625 * 0.25, "schedule": 0.5 * 0.25, "update": 0.25}[basis]
    assert torch.equal(network.body.weight.detach(), before * kept)


def test_momentum_of_its_own_beside_a_spec_without() -> None:
    network = Network()
    optimizer = build_optimizer(SGDW(0.5), network)
    optimizer.add_param_group({"params": [network.body.bias], "momentum": 0.5})
    before = network.body.bias.detach().clone()
    for _ in range(2):
        network.body.bias.grad = torch.ones(4)
        optimizer.step()
    assert torch.equal(network.body.bias.detach(), before - 0.5 - 0.75)


@pytest.mark.parametrize("given", [{"eps": 1e-3}, {"betas": (0.9, 0.5)}, {"amsgrad": True}, {"maximize": True}])
def test_other_numbers_are_refused(given: dict[str, Any]) -> None:
    network = Network()
    optimizer = build_optimizer(AdamW(), network)
    with pytest.raises(ValueError, match=rf"^AdamW.add_param_group: found {next(iter(given))}=.* where the spec has"):
        optimizer.add_param_group({"params": network.body.parameters(), **given})
    assert len(optimizer.param_groups) == len(optimizer.multipliers) == 1  # type: ignore[attr-defined]


def test_parameters_of_another_model() -> None:
    optimizer = build_optimizer(AdamW(0.5), Network())
    optimizer.add_param_group({"params": nn.Linear(1, 1).parameters()})
    assert numbers(optimizer)[1:] == [(0.5, 0.01, 2)]
    optimizer = build_optimizer(AdamW(parameters=RULES), Network())
    with pytest.raises(
        ValueError, match=r"found 2 parameters that the model did not have when the optimizer was built"
    ):
        optimizer.add_param_group({"params": nn.Linear(1, 1).parameters()})


def test_a_kernel_that_the_new_parameters_do_not_allow() -> None:
    network = Network()
    network.body.to(torch.complex64)
    optimizer = build_optimizer(AdamW(0.5, weight_decay_basis="update"), network)
    assert optimizer.param_groups[0]["fused"]
    optimizer.add_param_group({"params": network.body.parameters()})
    assert not optimizer.param_groups[1]["fused"]
    update(network, optimizer, False, 0)


def test_copies_and_loaded_states_know_the_groups() -> None:
    spec = AdamW(0.5, 0.25, weight_decay_basis="update", parameters=RULES)
    network = Network()
    optimizer = build_optimizer(spec, network)
    optimizer.add_param_group({"params": network.body.requires_grad_(True).parameters()})
    for again in (copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        assert again.multipliers == optimizer.multipliers  # type: ignore[attr-defined]
        assert numbers(again) == numbers(optimizer)
    update(network, optimizer, False, 0)
    network.body.requires_grad_(False)
    fresh = build_optimizer(spec, network)
    # As Lightning's BaseFinetuning restores them.
    fresh.param_groups = [{**group} for group in optimizer.param_groups]
    fresh.load_state_dict(optimizer.state_dict())
    assert fresh.multipliers == optimizer.multipliers  # type: ignore[attr-defined]


def test_the_table_has_no_row_of_frozen_parameters_and_a_rule_may_name_them() -> None:
    rows = describe_parameters(AdamW(parameters=RULES), Network())
    assert [row.path for row in rows] == ["head/weight", "head/bias"]


def test_depths_are_those_of_the_model_and_do_not_depend_on_what_is_frozen() -> None:
    layers = nn.Sequential(*(nn.Linear(1, 1, bias=False) for _ in range(3)))
    layers[1].requires_grad_(False)
    spec = AdamW(1.0, parameters=[ParameterRule(depth=["*/weight"], learning_rate=0.5)])
    optimizer = build_optimizer(spec, layers)
    assert sorted(group["lr"] for group in optimizer.param_groups) == [0.25, 1.0]
    optimizer.add_param_group({"params": [layers[1].weight]})
    assert optimizer.param_groups[-1]["lr"] == 0.5
