"""Weight decay that torch's own optimizers put into the gradient, read from their groups and taken out of them."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
from torch import nn

from samestep import SGDW, AdamW, NAdamW
from samestep.lightning import build_optimizer, extract_weight_decay


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))


def decays(optimizer: torch.optim.Optimizer) -> list[float]:
    return [group["weight_decay"] for group in optimizer.param_groups]


def split(model: nn.Module, *values: float) -> list[dict[str, Any]]:
    """The kernels and the biases in a group each, with these weight decays."""
    parameters = list(model.parameters())
    return [{"params": parameters[n::2], "weight_decay": value} for n, value in enumerate(values)]


COUPLED = pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam, torch.optim.NAdam, torch.optim.RMSprop])


@COUPLED
def test_the_decay_of_each_group_is_read_by_path_and_taken_out(kind: Any, model: nn.Module) -> None:
    optimizer = kind(split(model, 0.5, 0.25), lr=0.1)
    expected = {"0/weight": (0.0, 0.5), "1/weight": (0.0, 0.5), "0/bias": (0.0, 0.25), "1/bias": (0.0, 0.25)}
    assert extract_weight_decay(model, optimizer, zero=False) == expected
    assert decays(optimizer) == [0.5, 0.25]
    assert extract_weight_decay(model, optimizer) == expected
    assert decays(optimizer) == [0.0, 0.0]
    assert extract_weight_decay(model, optimizer) == {}


@COUPLED
def test_afterwards_an_update_with_zero_gradients_moves_nothing(kind: Any, model: nn.Module) -> None:
    optimizer = kind(split(model, 0.5, 0.0), lr=0.1)
    assert set(extract_weight_decay(model, optimizer)) == {"0/weight", "1/weight"}
    before = [parameter.detach().clone() for parameter in model.parameters()]
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    assert all(map(torch.equal, before, model.parameters()))


def test_a_shared_weight_is_read_by_its_first_path(model: Any) -> None:
    model[1].weight = nn.Parameter(torch.zeros(2, 4))
    model.append(nn.Linear(4, 2))
    model[2].weight = model[1].weight
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.5)
    assert set(extract_weight_decay(model, optimizer)) == {"0/weight", "0/bias", "1/weight", "1/bias", "2/bias"}


@pytest.mark.parametrize(
    "decoupled",
    [
        lambda model: torch.optim.AdamW(model.parameters(), weight_decay=0.5),
        pytest.param(
            lambda model: torch.optim.Adam(model.parameters(), weight_decay=0.5, decoupled_weight_decay=True),
            marks=pytest.mark.skipif(
                "decoupled_weight_decay" not in inspect.signature(torch.optim.Adam).parameters,
                reason="needs torch >= 2.7: Adam(decoupled_weight_decay=)",
            ),
        ),
        lambda model: torch.optim.NAdam(model.parameters(), weight_decay=0.5, decoupled_weight_decay=True),
        pytest.param(
            lambda model: torch.optim.Adafactor(model.parameters(), weight_decay=0.5),
            marks=pytest.mark.skipif(
                not hasattr(torch.optim, "Adafactor"), reason="needs torch >= 2.5: torch.optim.Adafactor"
            ),
        ),
        pytest.param(
            lambda model: torch.optim.Muon([model[0].weight], weight_decay=0.5),
            marks=pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="needs torch >= 2.9: torch.optim.Muon"),
        ),
        lambda model: build_optimizer(AdamW(0.1, 0.5), model),
        lambda model: build_optimizer(AdamW(0.1, 0.5, weight_decay_basis="update"), model),
        lambda model: build_optimizer(NAdamW(0.1, 0.5), model),
        lambda model: build_optimizer(SGDW(0.1, 0.5), model),
    ],
    ids=["AdamW", "Adam", "NAdam", "Adafactor", "Muon", "our AdamW", "our other AdamW", "our NAdamW", "our SGDW"],
)
def test_decay_that_is_decoupled_already_is_refused_and_nothing_is_changed(decoupled: Any, model: nn.Module) -> None:
    optimizer = decoupled(model)
    with pytest.raises(ValueError, match=r"^extract_weight_decay: found .* whose weight decay is decoupled; set"):
        extract_weight_decay(model, optimizer)
    assert decays(optimizer) == [0.5]


def test_no_optimizer_is_refused(model: nn.Module) -> None:
    with pytest.raises(ValueError, match=r"^extract_weight_decay: found no optimizer; give the torch optimizer"):
        extract_weight_decay(model)


def test_the_decay_of_a_frozen_parameter_is_not_lost(model: Any) -> None:
    """torch does not apply it as long as the parameter is frozen."""
    groups = [{"params": [*layer.parameters()], "weight_decay": n / 4} for n, layer in enumerate(model, 1)]
    optimizer = torch.optim.SGD(groups, lr=0.1)
    model[0].requires_grad_(False)
    found = extract_weight_decay(model, optimizer)
    assert found["1/weight"] == (0.0, 0.5)
    assert found.get("0/weight") == (0.0, 0.25) or decays(optimizer)[0] == 0.25


def test_the_decay_of_another_models_parameters_is_not_lost(model: Any) -> None:
    optimizer = torch.optim.SGD(split(model, 0.5, 0.25), lr=0.1)
    with pytest.raises(ValueError, match=r"^extract_weight_decay: found .*not in the model"):
        extract_weight_decay(model[1], optimizer)
    assert decays(optimizer) == [0.5, 0.25]
