"""What differs between the versions of torch that samestep supports, each with the floor with which it can go."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

# until torch 2.7: Adam's takes amsgrad in third place, between the gradients and the moments.
_TAKES_AMSGRAD = "amsgrad" in inspect.signature(torch.optim.AdamW._init_group).parameters


def init_adam_group(optimizer: Any, group: dict[str, Any], lists: tuple[list[Any], ...]) -> bool:
    """Have torch's Adam fill the lists that its kernel takes; returns whether any weight is complex."""
    given = (*lists[:2], group["amsgrad"], *lists[2:]) if _TAKES_AMSGRAD else lists
    found: bool = optimizer._init_group(group, *given)
    return found


def check_capture(optimizer: Any) -> None:
    """Have torch check whether a graph of this update is being captured."""
    if hasattr(Optimizer, "_accelerator_graph_capture_health_check"):
        optimizer._accelerator_graph_capture_health_check()
    else:  # until torch 2.11: only for CUDA, by another name
        optimizer._cuda_graph_capture_health_check()


def total_norm(gradients: list[Tensor]) -> Tensor:
    """The norm of all gradients together."""
    if hasattr(torch.nn.utils, "get_total_norm"):
        return torch.nn.utils.get_total_norm(gradients)
    # until torch 2.6: it is a part of clip_grad_norm_
    norms = torch._foreach_norm(gradients)
    return torch.linalg.vector_norm(torch.stack([norm.to(gradients[0].device) for norm in norms]))
