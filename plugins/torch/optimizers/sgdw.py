"""SGDW on torch's kernels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.optim.sgd import sgd as torch_sgd

from ...core.specs import sgdw as specs
from ..kernels import Settings, decay
from ..layouts import by_layout
from .record import TorchRecord
from .spec_optimizer import SpecOptimizer


def update(
    spec: specs.SGDW,
    settings: Settings,
    weights: list[Tensor],
    gradients: list[Tensor],
    buffers: list[Tensor | None],
) -> list[Tensor | None]:
    """Make one update of SGDW in place.

    Args:
        spec: The optimizer's spec.
        settings: The group's settings for this update.
        weights: The weights to update.
        gradients: Their gradients.
        buffers: Their momentum buffers, None before the first update; empty if the spec has no momentum.

    Returns:
        The buffers after the update: the old ones where they existed.
    """
    if not weights:
        return []
    decay(spec, settings, weights, native=False)  # torch's own would be added to the gradient
    rate, momentum = settings.learning_rate, settings.momentum
    if spec.momentum_mode == "keras":
        gradients, rate = list(torch._foreach_mul(gradients, rate)), 1.0
    made: list[Tensor | None] = []
    if momentum:
        pairs = zip(buffers, gradients, strict=True)
        made = [torch.zeros_like(gradient) if buffer is None else buffer for buffer, gradient in pairs]
    sparse = any(gradient.is_sparse for gradient in gradients)
    # torch has no fused kernel for sparse gradients, and on a CPU (2.13) its fused one skips most 16-bit elements.
    short = any(dtype.itemsize < 4 for dtype in {weight.dtype for weight in weights})
    chosen = None if sparse or (short and weights[0].device.type == "cpu") else settings.fused
    for fused, (params, grads, moving) in by_layout(chosen, [weights, gradients, made]):
        torch_sgd(
            params,
            grads,
            moving,
            has_sparse_grad=sparse,
            foreach=settings.foreach,
            fused=fused,
            weight_decay=0.0,
            momentum=momentum,
            lr=rate,
            dampening=0.0,
            nesterov=spec.nesterov and momentum != 0,
            maximize=spec.maximize,
        )
    if momentum:
        return made
    if not buffers:
        return [None] * len(weights)
    # With a momentum of 0 torch leaves the buffer alone; by the formula it is the gradient.
    return [gradient.neg() if spec.maximize else gradient.clone() for gradient in gradients]


class SGDW(SpecOptimizer, torch.optim.SGD):
    """torch's SGD with decoupled weight decay and everything else that `samestep.SGDW` adds."""

    def _update(self, group: dict[str, Any], settings: Settings) -> None:
        params = [p for p in group["params"] if p.grad is not None]
        gradients = [p.grad for p in params]
        moves = self.spec.momentum or settings.momentum
        buffers = [self.state[p].get("momentum_buffer") for p in params] if moves else []
        made = update(self.spec, settings, params, gradients, buffers)
        for p, former, buffer in zip(params, buffers, made):  # noqa: B905
            if buffer is not former:
                self.state[p]["momentum_buffer"] = buffer


RECORD = TorchRecord(
    kind=specs.SGDW,
    torch_class=torch.optim.SGD,
    native=None,
    own=SGDW,
    fields={
        "lr": "learning_rate",
        "weight_decay": "weight_decay",
        "momentum": "momentum",
        "nesterov": "nesterov",
        "maximize": "maximize",
    },
    constants={"dampening": 0.0},
    options=("foreach", "fused"),
    own_options=("foreach", "fused"),
    moments={"momentum_buffer": "momentum_buffer"},
    counts=False,
)
