"""Every kind of optimizer, by torch in float64, against the reference of its kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from samestep.lightning import build_optimizer
from samestep.parity.references import REFERENCES
from samestep.torch.optimizers import RECORDS

from ..kinds import EVERY, KINDS, check_against_the_reference


class Two(torch.nn.Module):
    """A kernel and a bias."""

    def __init__(self, starts: dict[str, np.ndarray]) -> None:
        super().__init__()
        for name, value in starts.items():
            self.register_parameter(name, torch.nn.Parameter(torch.tensor(value, dtype=torch.float64)))


@pytest.mark.parametrize("options", [{}, {"foreach": True}, {"foreach": False}], ids=["default", "foreach", "loop"])
@pytest.mark.parametrize("name", EVERY)
def test_torch_makes_the_updates_of_the_reference(name: str, options: dict[str, bool]) -> None:
    spec: Any = EVERY[name]

    def trained(starts: Any, gradients: Any) -> dict[str, np.ndarray]:
        model = Two(starts)
        optimizer = build_optimizer(spec, model, **options)
        for given in gradients:
            for each, value in given.items():
                model.get_parameter(each).grad = torch.tensor(value, dtype=torch.float64)
            optimizer.step()
        return {each: parameter.detach().numpy() for each, parameter in model.named_parameters()}

    check_against_the_reference(spec, trained, bound=1e-6)  # torch keeps NAdam's product of momenta in float32


def test_every_room_has_every_kind() -> None:
    assert set(RECORDS) == set(REFERENCES) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_state_of_torch_has_the_moments_of_the_spec(kind: Any) -> None:
    for spec in (spec for spec in EVERY.values() if type(spec) is kind):
        model = Two({"kernel": np.ones((3, 4)), "bias": np.ones(4)})
        optimizer = build_optimizer(spec, model)
        for parameter in model.parameters():
            parameter.grad = torch.ones_like(parameter)
        optimizer.step()
        record = RECORDS[kind]
        for state in optimizer.state.values():
            kept = {record.moments[key] for key, value in state.items() if key in record.moments and value is not None}
            assert kept == set(spec.moments)
