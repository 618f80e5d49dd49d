"""What torch tests its own optimizers with, as specs; and every other spec, with torch's class of the same kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.testing._internal.common_optimizers import optim_db

from samestep import SGDW, AdamW, NAdamW
from samestep.core.specs.spec import Spec
from samestep.lightning import build_optimizer

from ...kinds import EVERY

_INPUTS = {info.optim_cls: info.optim_inputs_func(device="cpu") for info in optim_db}
KERNELS: dict[str, dict[str, bool]] = {"default": {}, "loop": {"foreach": False}, "foreach": {"foreach": True}}
FUSED: dict[str, dict[str, bool]] = {**KERNELS, "fused": {"fused": True}}


@dataclass(frozen=True)
class Case:
    """An optimizer to test.

    Attributes:
        spec: The spec.
        stock: Makes torch's own optimizer of the same numbers; None if torch has none.
        tensor_lr: Whether the learning rate is a tensor.
    """

    spec: Any
    stock: Callable[..., torch.optim.Optimizer] | None = None
    tensor_lr: bool = False

    @property
    def kernels(self) -> dict[str, dict[str, bool]]:
        """The options that choose a kernel, by name."""
        return KERNELS if isinstance(self.spec, NAdamW) else FUSED

    def build(self, model: torch.nn.Module, **options: Any) -> Any:
        """Our optimizer over the parameters of a model."""
        optimizer = build_optimizer(self.spec, model, **options)
        for group in optimizer.param_groups if self.tensor_lr else ():
            group["lr"] = torch.tensor(group["lr"])
        return optimizer


def _spec(kind: type, numbers: dict[str, Any]) -> Spec | None:
    """The spec of some arguments of torch's class; None if specs have no such arguments."""
    numbers = {"lr": 1e-2 if kind is torch.optim.AdamW else 2e-3, **numbers}
    defaults = {"lr": 1e-3, "weight_decay": 1e-2} if kind is torch.optim.AdamW else {"lr": 2e-3, "weight_decay": 0.0}
    given = {**defaults, **numbers}
    given = {"learning_rate": float(given.pop("lr")), "weight_decay": given.pop("weight_decay"), **given}
    if kind is torch.optim.AdamW:
        return AdamW(**given)
    if kind is torch.optim.NAdam:
        decoupled = given.pop("decoupled_weight_decay", False)
        return NAdamW(**given) if decoupled or not given["weight_decay"] else None
    if given.pop("dampening", 0) or given["weight_decay"]:
        return None
    return SGDW(**given)


def _of_torch() -> tuple[dict[str, Case], list[str]]:
    found, without = {}, []
    for kind in (torch.optim.AdamW, torch.optim.NAdam, torch.optim.SGD):
        for each in _INPUTS[kind]:
            name, spec = f"{kind.__name__}, {each.desc}", _spec(kind, each.kwargs)
            if spec is None:
                without.append(name)
                continue
            numbers = {"lr": spec.learning_rate, **each.kwargs}

            def stock(parameters: Any, kind: Any = kind, numbers: Any = numbers, **options: Any) -> Any:
                return kind(parameters, **numbers, **options)

            found[name] = Case(spec, stock, isinstance(each.kwargs.get("lr"), torch.Tensor))
    return found, without


OF_TORCH, WITHOUT = _of_torch()
"""The inputs that torch ships, and the names of those that no spec expresses."""


def _anywhere(spec: Spec) -> Spec:
    """The spec with rules that may match nothing, as the models here differ."""
    return replace(spec, parameters=[replace(rule, optional=True) for rule in spec.parameters])  # type: ignore[arg-type]


CASES = {**OF_TORCH, **{name: Case(_anywhere(spec)) for name, spec in EVERY.items()}}


class Parameters(torch.nn.Module):
    """Some parameters, with gradients that are the same for all models of one seed."""

    def __init__(self, *values: torch.Tensor) -> None:
        super().__init__()
        self.every = torch.nn.ParameterList(torch.nn.Parameter(value) for value in values)
        self.generator = torch.Generator().manual_seed(1)

    def gradients(self, layout: Callable[[torch.Tensor], torch.Tensor] = lambda gradient: gradient) -> None:
        """Give each parameter its next gradient."""
        for parameter in self.every:
            found = torch.randn(parameter.shape, dtype=parameter.dtype, generator=self.generator)
            parameter.grad = layout(found)

    def values(self) -> list[torch.Tensor]:
        return [parameter.detach().clone() for parameter in self.every]


def some(*shapes: tuple[int, ...], dtype: torch.dtype = torch.float64) -> Parameters:
    """Parameters of these shapes."""
    generator = torch.Generator().manual_seed(0)
    return Parameters(*(torch.randn(shape, dtype=dtype, generator=generator) for shape in shapes))


def step(model: Parameters, optimizer: torch.optim.Optimizer, updates: int = 3, **gradients: Any) -> list[torch.Tensor]:
    """Make updates, and return the parameters."""
    for _ in range(updates):
        model.gradients(**gradients)
        optimizer.step()
    return model.values()


def assert_close(got: list[torch.Tensor], expected: list[torch.Tensor], tolerance: float = 1e-10) -> None:
    for one, other in zip(got, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance, equal_nan=True)
