"""Counts the updates of a torch optimizer."""

from __future__ import annotations

from collections.abc import Callable

import torch

from . import param_groups


class UpdateCount:
    """Counts the updates that an optimizer really makes in an epoch, without those that a loss scaler skips.

    Args:
        optimizer: The optimizer to count.
        made: The updates of this epoch so far.
        on_update: Called after each update, before it is counted.
    """

    def __init__(
        self, optimizer: torch.optim.Optimizer, made: int, on_update: Callable[[], None] | None = None
    ) -> None:
        self.made = made
        self._on_update = on_update
        self._hook = optimizer.register_step_post_hook(torch.compiler.disable(self._count))

    def _count(self, optimizer: torch.optim.Optimizer, *_: object) -> None:
        if not param_groups.skipped(optimizer):
            if self._on_update is not None:
                self._on_update()
            self.made += 1

    def remove(self) -> None:
        """Stop counting."""
        self._hook.remove()
