"""Counts the updates of a torch optimizer."""

from __future__ import annotations

from collections.abc import Callable

import torch

from . import param_groups
from .wrapped_steps import members, watch


class UpdateCount:
    """Counts the updates that an optimizer really makes in an epoch, without those that a loss scaler skips.

    Args:
        optimizer: The optimizer to count.
        made: The updates of this epoch so far.
        on_update: Called after each update, before it is counted.
        before_update: Called before each update.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        made: int,
        on_update: Callable[[], None] | None = None,
        before_update: Callable[[], None] | None = None,
    ) -> None:
        self.made: int = made
        self._on_update, self._before_update = on_update, before_update
        self._members = members(optimizer)
        self._stop = watch(optimizer, self._begun, self._ended)

    def remove(self) -> None:
        """Stop counting."""
        self._stop()

    def _begun(self) -> None:
        if self._before_update is not None:
            self._before_update()

    def _ended(self) -> None:
        if not any(map(param_groups.skipped, self._members)):
            if self._on_update is not None:
                self._on_update()
            self.made += 1
