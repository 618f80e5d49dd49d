"""Notices that weights were updated without any step that could be counted."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim import Optimizer

from .layouts import local

_SAMPLES = 8  # elements looked at per weight


class UnseenUpdates:
    """Compares the weights of an optimizer before and after a batch in which no update was counted.

    Args:
        optimizer: The optimizer.
        others: The other optimizers in the training; weights that one of them updates as well are left out.
    """

    def __init__(self, optimizer: Optimizer, others: Sequence[Optimizer]) -> None:
        theirs = {id(p) for other in others for group in other.param_groups for p in group["params"]}
        every = [p for group in optimizer.param_groups for p in group["params"]]
        # FullyShardedDataParallel puts other memory into its flattened parameters.
        self._weights = [p for p in every if id(p) not in theirs and not getattr(p, "_fsdp_flattened", False)]
        self._groups = optimizer.param_groups
        self._before: list[tuple[Tensor, tuple[int, int]]] = []

    def look(self) -> None:
        """Remember the weights."""
        self._before = [(_some(weight), _writes(weight)) for weight in self._weights]

    def found(self) -> bool:
        """Whether most of the weights have changed since; with a learning rate of 0, whether they were written."""
        still = not any(group.get("lr") for group in self._groups)
        changed = [
            _writes(weight) != writes if still else not torch.equal(_some(weight), values)
            for weight, (values, writes) in zip(self._weights, self._before, strict=False)
        ]
        # A program may itself write single weights, as one that keeps some at norm 1.
        return sum(changed) * 2 > len(changed)


def _writes(weight: Tensor) -> tuple[int, int]:
    """What changes when a weight is written, or given other memory, whatever the values are."""
    return weight._version, local(weight.detach()).data_ptr()


def _some(weight: Tensor) -> Tensor:
    """A copy of some elements of a weight, as bits: NaN is equal to itself."""
    flat = local(weight.detach()).flatten()
    some = flat[:: max(1, flat.numel() // _SAMPLES)].contiguous().clone()
    return torch.view_as_real(some).view(torch.uint8) if some.is_complex() else some.view(torch.uint8)
