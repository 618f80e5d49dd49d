"""torch's own classes, kept from giving a fused kernel tensors that it would update wrongly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.optim.adamw import adamw as torch_adamw
from torch.optim.optimizer import _use_grad_for_differentiable

from ..layouts import by_layout
from ..versions import check_capture, init_adam_group
from .built_optimizer import BuiltOptimizer


class AdamW(BuiltOptimizer, torch.optim.AdamW):
    """torch.optim.AdamW: the same constructor, state, checkpoints and bits.

    Tensors whose layouts differ are updated by torch's default kernel and not by the fused one.
    """

    @_use_grad_for_differentiable  # type: ignore[untyped-decorator]
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Make an update; the body is torch 2.13's except for the memory layouts."""
        check_capture(self)
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            lists: tuple[list[Any], ...] = ([], [], [], [], [], [])
            has_complex = init_adam_group(self, group, lists)
            for fused, (weights, gradients, firsts, seconds, largest, counts) in by_layout(
                group["fused"], lists[:-1], lists[-1:]
            ):
                torch_adamw(
                    weights,
                    gradients,
                    firsts,
                    seconds,
                    largest,
                    counts,
                    amsgrad=group["amsgrad"],
                    has_complex=has_complex,
                    beta1=group["betas"][0],
                    beta2=group["betas"][1],
                    lr=group["lr"],
                    weight_decay=group["weight_decay"],
                    eps=group["eps"],
                    maximize=group["maximize"],
                    foreach=group["foreach"],
                    capturable=group["capturable"],
                    differentiable=group["differentiable"],
                    fused=fused,
                    grad_scale=getattr(self, "grad_scale", None),
                    found_inf=getattr(self, "found_inf", None),
                )
        return loss


class NAdam(BuiltOptimizer, torch.optim.NAdam):
    """torch.optim.NAdam: the same constructor, state, checkpoints and bits."""
