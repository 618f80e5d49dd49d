"""NAdamW on torch's kernels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.optim.nadam import nadam as torch_nadam

from ...core.specs import nadamw as specs
from ..kernels import Settings, decay
from . import native
from .record import TorchRecord
from .spec_optimizer import SpecOptimizer


def update(
    spec: specs.NAdamW,
    settings: Settings,
    weights: list[Tensor],
    gradients: list[Tensor],
    firsts: list[Tensor],
    seconds: list[Tensor],
    products: list[Tensor],
    counts: list[Tensor],
) -> None:
    """Make one update of NAdamW in place.

    Args:
        spec: The optimizer's spec.
        settings: The group's settings for this update.
        weights: The weights to update.
        gradients: Their gradients.
        firsts: Their first moments.
        seconds: Their second moments.
        products: The products of mu so far; multiplied by this update's.
        counts: The number of updates before this one; incremented.
    """
    if not weights:
        return
    torch_nadam(
        weights,
        gradients,
        firsts,
        seconds,
        products,
        counts,
        decoupled_weight_decay=True,
        foreach=settings.foreach,
        has_complex=any(map(torch.is_complex, weights)),
        maximize=spec.maximize,
        beta1=settings.momentum,
        beta2=spec.betas[1],
        lr=settings.learning_rate,
        weight_decay=decay(spec, settings, weights),
        momentum_decay=spec.momentum_decay,
        eps=spec.epsilon,
    )


class NAdamW(SpecOptimizer, torch.optim.NAdam):
    """torch's NAdam with decoupled weight decay and everything that `samestep.NAdamW` adds."""

    def _update(self, group: dict[str, Any], settings: Settings) -> None:
        lists: tuple[list[Any], ...] = ([], [], [], [], [], [])
        self._init_group(group, *lists)
        update(self.spec, settings, *lists)


RECORD = TorchRecord(
    kind=specs.NAdamW,
    torch_class=torch.optim.NAdam,
    native=native.NAdam,
    own=NAdamW,
    fields={
        "lr": "learning_rate",
        "betas": "betas",
        "eps": "epsilon",
        "weight_decay": "weight_decay",
        "momentum_decay": "momentum_decay",
        "maximize": "maximize",
    },
    constants={"decoupled_weight_decay": True},
    options=("foreach", "capturable", "differentiable"),
    own_options=("foreach",),
    moments={"exp_avg": "momentum", "exp_avg_sq": "velocity"},
    product="mu_product",
)
