"""The base of the optimizers whose update torch's own classes cannot express."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch

from ...core.specs.parameter_rules import Multipliers
from ..kernels import Settings, clip_gradients
from ..layouts import refuse_other_shapes
from ..param_groups import values


class BuiltOptimizer(torch.optim.Optimizer):
    """A torch optimizer that `build_optimizer` makes. Its copies and pickles keep the spec.

    Attributes:
        spec: The spec it was built from.
        multipliers: The multipliers of each parameter group.
    """

    spec: Any
    multipliers: list[Multipliers]

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a state as torch does; raises ValueError for moments whose shape differs from their weights'."""
        super().load_state_dict(state_dict)
        refuse_other_shapes(self)

    def __getstate__(self) -> dict[str, Any]:
        # torch keeps only defaults, state and groups.
        return {**super().__getstate__(), "spec": self.spec, "multipliers": self.multipliers}


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
        for group, multipliers in zip(self.param_groups, self.multipliers, strict=True):
            momentum = values(group)["momentum"]
            kernel = group["foreach"], group.get("fused")
            self._update(group, Settings(group["lr"], group["weight_decay"], momentum, multipliers, *kernel))
        return loss

    @abstractmethod
    def _update(self, group: dict[str, Any], settings: Settings) -> None:
        """Update those parameters of one group that have a gradient."""

    def _state_of(self, group: dict[str, Any]) -> tuple[list[Any], ...]:
        """The lists that torch's class passes to its kernel for the parameters of a group that have a gradient."""
        lists: tuple[list[Any], ...] = ([], [], [], [], [], [])
        self._init_group(group, *lists)  # type: ignore[attr-defined]  # of torch's class
        return lists
