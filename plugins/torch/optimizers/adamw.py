"""AdamW on torch's kernels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.optim.adamw import adamw as torch_adamw

from ...core.specs import adamw as specs
from ..kernels import Settings, decay
from ..layouts import by_layout, pick
from ..versions import init_adam_group
from . import native
from .record import TorchRecord
from .spec_optimizer import SpecOptimizer


def update(
    spec: specs.AdamW,
    settings: Settings,
    weights: list[Tensor],
    gradients: list[Tensor],
    firsts: list[Tensor],
    seconds: list[Tensor],
    largest: list[Tensor],
    counts: list[Tensor],
) -> None:
    """Make one update of AdamW in place.

    Args:
        spec: The optimizer's spec.
        settings: The group's settings for this update.
        weights: The weights to update.
        gradients: Their gradients.
        firsts: Their first moments.
        seconds: Their second moments.
        largest: With amsgrad their largest second moments; otherwise ignored.
        counts: The number of updates before this one; incremented.
    """
    if not weights:
        return
    weight_decay = decay(spec, settings, weights)
    lists = [weights, gradients, firsts, seconds, largest if spec.amsgrad else [], counts]
    # The foreach kernel does not ask the tensors.
    has_complex, parts = any(map(torch.is_complex, weights)), {0.0: lists}
    if spec.epsilon_mode == "hat":
        # torch adds epsilon after the bias correction. Adding it before is the same with an epsilon that depends on the
        # number of updates.
        together: dict[float, list[int]] = {}
        for index, count in enumerate(map(float, counts)):
            together.setdefault(count, []).append(index)
        parts = {count: pick(lists, indices) for count, indices in together.items()}
    for count, (*like, numbers) in parts.items():
        epsilon = spec.epsilon
        if spec.epsilon_mode == "hat":
            epsilon /= (1 - spec.betas[1] ** (count + 1)) ** 0.5
        for fused, (params, grads, means, squares, peaks, steps) in by_layout(settings.fused, like, [numbers]):
            torch_adamw(
                params,
                grads,
                means,
                squares,
                peaks,
                steps,
                foreach=settings.foreach,
                fused=fused,
                amsgrad=spec.amsgrad,
                has_complex=has_complex,
                beta1=settings.momentum,
                beta2=spec.betas[1],
                lr=settings.learning_rate,
                weight_decay=weight_decay,
                eps=epsilon,
                maximize=spec.maximize,
            )


class AdamW(SpecOptimizer, torch.optim.AdamW):
    """torch's AdamW with everything that `samestep.AdamW` adds."""

    def _update(self, group: dict[str, Any], settings: Settings) -> None:
        lists: tuple[list[Any], ...] = ([], [], [], [], [], [])
        init_adam_group(self, group, lists)
        update(self.spec, settings, *lists)


RECORD = TorchRecord(
    kind=specs.AdamW,
    torch_class=torch.optim.AdamW,
    native=native.AdamW,
    own=AdamW,
    fields={
        "lr": "learning_rate",
        "betas": "betas",
        "eps": "epsilon",
        "weight_decay": "weight_decay",
        "amsgrad": "amsgrad",
        "maximize": "maximize",
    },
    options=("foreach", "fused", "capturable", "differentiable"),
    own_options=("foreach", "fused"),
    moments={"exp_avg": "momentum", "exp_avg_sq": "velocity", "max_exp_avg_sq": "largest_velocity"},
)
