"""Which tensors torch's fused kernels may update: those whose weight, gradient and moments lie alike in memory.

On a CPU these kernels take tensors as flat memory, whatever their strides (torch 2.13): where they differ, elements
meet the moments of others, and where a weight is a slice, what lies between its elements is overwritten.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

Lists = Sequence[list[Any]]
_PLAIN = {Tensor, Parameter}
_SCALARS = "step", "mu_product"  # of a parameter's state
_USUAL = torch.contiguous_format, torch.channels_last


def by_layout(fused: bool | None, like: Lists, beside: Lists = ()) -> Iterator[tuple[bool | None, list[list[Any]]]]:
    """Split the tensors of an update by the kernel that may update them.

    A moment whose layout alone is in the way is given that of its weight, and keeps it.

    Args:
        fused: the kernel that was chosen, as torch's optimizers take it.
        like: weights, gradients, and each kind of moment; a list is as long as that of the weights, or empty.
        beside: what else belongs to each weight and has no layout, as the number of its updates.

    Returns:
        For each part its `fused`, which is the given one or None, torch's own choice, and its lists, those of `like`
        before those of `beside`. Where every layout is ordinary, the only part is the given lists themselves.
    """
    lists = [*like, *beside]
    apart = _apart(like) if fused and not _ordinary(like) else set()
    if not apart:
        yield fused, lists
        return
    together = [index for index in range(len(like[0])) if index not in apart]
    for kernel, members in ((fused, together), (None, sorted(apart))):
        if members:
            yield kernel, pick(lists, members)


def pick(lists: Lists, members: list[int]) -> list[list[Any]]:
    """Of each list what stands at these indices; of an empty one, nothing."""
    return [[each[index] for index in members] if each else [] for each in lists]


def _ordinary(like: Lists) -> bool:
    """Whether all tensors are contiguous, which nearly all are: asked in C, as updates of small tensors are short."""
    return set(map(type, like[0])) <= _PLAIN and all(all(map(Tensor.is_contiguous, each)) for each in like)


def _apart(like: Lists) -> set[int]:
    """The indices of the weights that a fused kernel must not update, once moments have their weights' layouts."""
    found = set()
    for index in range(len(like[0])):
        weight, gradient, *moments = (_local(each[index]) for each in like if each)
        tensors = weight, gradient, *moments
        if any(all(tensor.is_contiguous(memory_format=usual) for tensor in tensors) for usual in _USUAL):
            continue
        order = sorted(range(weight.dim()), key=weight.stride, reverse=True)
        if not (_lies(weight, order) and _lies(gradient, order)):
            found.add(index)
            continue
        others = [moment for moment in moments if not _lies(moment, order)]
        # Code that torch's inductor compiled would read the moment by the strides that it had.
        movable = type(like[0][index]) in _PLAIN and not torch.compiler.is_compiling()
        if movable and all(moment.shape == weight.shape for moment in others):
            for moment in others:
                moment.data = torch.empty_like(weight, dtype=moment.dtype).copy_(moment)
        elif others:
            found.add(index)
    return found


def _lies(tensor: Tensor, order: list[int]) -> bool:
    """Whether a tensor fills its memory, without gaps or overlaps, in this order of its dimensions, widest first."""
    return tensor.dim() == len(order) and tensor.permute(order).is_contiguous()


def _local(tensor: Any) -> Tensor:
    """What a device has of a DTensor, and of any other all."""
    return tensor if type(tensor) in _PLAIN or not hasattr(tensor, "to_local") else tensor.to_local()


def refuse_other_shapes(optimizer: torch.optim.Optimizer) -> None:
    """Refuse loaded moments of another shape than their weight, which a fused kernel would read past their end.

    Raises:
        ValueError: There is one.
    """
    for weight, state in optimizer.state.items():
        for key, moment in state.items():
            if key not in _SCALARS and isinstance(moment, Tensor) and moment.shape != weight.shape:
                raise ValueError(
                    f"{type(optimizer).__name__}: found a saved {key!r} of the shape {tuple(moment.shape)} for a "
                    f"parameter of the shape {tuple(weight.shape)}; load the state of the same model, with its "
                    f"parameters in the same order."
                )
