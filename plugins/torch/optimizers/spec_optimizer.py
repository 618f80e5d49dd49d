"""The base of the optimizers whose update torch's own classes cannot express."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch

from ..kernels import Settings, clip_gradients
from ..param_groups import own_base, values
from .built_optimizer import BuiltOptimizer


class SpecOptimizer(BuiltOptimizer, ABC):
    """A torch optimizer for a spec that torch's own class cannot express.

    It has the state of torch's class and loads its checkpoints.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Make an update."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        if self.spec.clip is not None:
            every = [p.grad for group in self.param_groups for p in group["params"] if p.grad is not None]
            clip_gradients(self.spec, every)
        if len(self.multipliers) != len(self.param_groups):
            self.find_multipliers()
        for number, (group, multipliers) in enumerate(zip(self.param_groups, self.multipliers, strict=True)):
            numbers = group["lr"], group["weight_decay"], values(group)["momentum"]
            base = own_base(group, "learning_rate") if number >= self.built else None
            self._update(group, Settings(*numbers, multipliers, group["foreach"], group.get("fused"), base))
        return loss

    @abstractmethod
    def _update(self, group: dict[str, Any], settings: Settings) -> None:
        """Update those parameters of one group that have a gradient."""
