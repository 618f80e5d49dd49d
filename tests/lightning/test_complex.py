"""Complex parameters: torch's optimizers treat each as a pair of real ones, whatever kernel runs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import Parameter

from samestep import SGDW, AdamW, NAdamW
from samestep.core.specs.spec import Spec
from samestep.lightning import build_optimizer

from ..kinds import EVERY

UPDATES = 3
WITH_COMPLEX = {name: spec for name, spec in EVERY.items() if spec.clipvalue is None}


class Mixed(torch.nn.Module):
    """A complex kernel and bias and a real kernel; as pairs of real numbers if asked."""

    def __init__(self, as_pairs: bool = False) -> None:
        super().__init__()
        self.as_pairs, self.generator = as_pairs, torch.Generator().manual_seed(0)
        self.kernel, self.bias = Parameter(self.some(3, 4)), Parameter(self.some(4))
        self.real = Parameter(torch.randn(2, 2, dtype=torch.float64, generator=self.generator))

    def some(self, *shape: int) -> torch.Tensor:
        value = torch.randn(shape, dtype=torch.complex128, generator=self.generator)
        return torch.view_as_real(value) if self.as_pairs else value

    def trained(self, optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
        for _ in range(UPDATES):
            self.kernel.grad, self.bias.grad = self.some(3, 4), self.some(4)
            self.real.grad = torch.randn(2, 2, dtype=torch.float64, generator=self.generator)
            optimizer.step()
        return [torch.view_as_real(p.detach()) if p.is_complex() else p.detach() for p in self.parameters()]


def assert_same(got: list[torch.Tensor], expected: list[torch.Tensor]) -> None:
    for one, other in zip(got, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", WITH_COMPLEX)
def test_every_kernel_makes_the_update_of_the_plain_loop(name: str) -> None:
    spec, reference = WITH_COMPLEX[name], Mixed()
    start = [parameter.detach().clone() for parameter in reference.parameters()]
    expected = reference.trained(build_optimizer(spec, reference, foreach=False))
    assert not any(torch.equal(p, s) for p, s in zip(reference.parameters(), start, strict=True))
    for options in ({}, {"foreach": True}):
        ours = Mixed()
        assert_same(ours.trained(build_optimizer(spec, ours, **options)), expected)


@pytest.mark.parametrize("foreach", [False, True])
@pytest.mark.parametrize("name", [n for n, spec in WITH_COMPLEX.items() if not (spec.l1_ratio or spec.parameters)])
def test_a_complex_number_is_a_pair_of_real_ones(name: str, foreach: bool) -> None:
    """But for L1, which moves it towards zero along the line between them."""
    spec, pairs, ours = WITH_COMPLEX[name], Mixed(as_pairs=True), Mixed()
    assert_same(ours.trained(build_optimizer(spec, ours, foreach=foreach)), pairs.trained(build_optimizer(spec, pairs)))


@pytest.mark.parametrize(
    "spec", [AdamW(0.5, 0.25, l1_ratio=1), NAdamW(0.5, 0.25, l1_ratio=1), SGDW(0.5, 0.25, l1_ratio=1)], ids=str
)
def test_l1_moves_a_complex_weight_towards_zero(spec: Spec) -> None:
    model = torch.nn.ParameterList([torch.tensor([3 + 4j, 0j])])
    model[0].grad = torch.zeros_like(model[0])
    build_optimizer(spec, model).step()
    torch.testing.assert_close(model[0].detach(), torch.tensor([(3 + 4j) * (1 - 0.125 / 5), 0j]))


@pytest.mark.parametrize(
    ("spec", "options", "message"),
    [
        (
            AdamW(0.1),
            {"fused": True},
            "fused=True and the complex parameter 'bias'; expected real parameters: leave fused= out.",
        ),
        (AdamW(0.1, clipnorm=1.0), {"fused": True}, "leave fused= out."),
        (SGDW(0.1), {"fused": True}, "leave fused= out."),
        (AdamW(0.1, clipvalue=0.5), {}, "expected real parameters: write clipnorm= or global_clipnorm=."),
        (NAdamW(0.1, clipvalue=0.5), {}, "write clipnorm= or global_clipnorm=."),
        (SGDW(0.1, clipvalue=0.5), {}, "write clipnorm= or global_clipnorm=."),
    ],
)
def test_what_torch_cannot_do_is_refused(spec: Any, options: dict[str, bool], message: str) -> None:
    model = torch.nn.Linear(2, 2)
    build_optimizer(spec, model, **options)
    model.bias = Parameter(torch.zeros(2, dtype=torch.complex64))
    with pytest.raises(ValueError, match="build_optimizer") as caught:
        build_optimizer(spec, model, **options)
    assert str(caught.value).endswith(message)
