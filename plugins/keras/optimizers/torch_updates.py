"""Updates on the torch backend, with torch's own kernels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def fused(variables: Iterable[Any]) -> bool:
    """Whether torch's fused kernels accept these variables."""
    from ...torch.kernels import can_fuse

    return can_fuse(variable.value for variable in variables)


def update(optimizer: Any, grads: list[Any], variables: list[Any], column: list[list[float]]) -> None:
    """Make one update of all variables.

    Args:
        optimizer: The optimizer; its `_update_group` updates one group.
        grads: torch tensors, one per variable.
        variables: Keras variables.
        column: The table's rows for this update, for each group.
    """
    import torch

    from ...torch.kernels import Settings

    half = torch.bfloat16, torch.float16
    indices = [optimizer._get_variable_index(variable) for variable in variables]
    groups = list(map(optimizer.table.group, indices))
    with torch.no_grad():
        for group, multipliers in enumerate(optimizer.table.groups):
            members = [n for n, found in enumerate(groups) if found == group]
            if not members:
                continue
            rate, decay, momentum = column[group][:3]
            weights = [variables[n].value for n in members]
            wide = weights if optimizer.plain else [w.float() if w.dtype in half else w for w in weights]
            optimizer._update_group(
                Settings(rate, decay, momentum, multipliers, *optimizer._kernel),
                wide,
                [grads[n] for n in members],
                [indices[n] for n in members],
            )
            for weight, updated in zip(weights, wide, strict=True):
                if updated is not weight:
                    weight.copy_(updated)


def scalar_tensors(value: float, count: int, device: Any) -> list[Any]:
    """One tensor per variable, as torch keeps its counters."""
    import torch

    return list(torch.full((count,), value, device=device).unbind())
