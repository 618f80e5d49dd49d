"""Decides which tensors torch's fused kernels may update: weight, gradient and moments must share a memory layout.

On a CPU these kernels treat tensors as flat memory and ignore strides (torch 2.13). Where strides differ, elements are
paired with the moments of others; where a weight is a slice, the memory between its elements is overwritten.
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

    If only a moment's layout differs, the moment is moved to the layout of its weight for good.

    Args:
        fused: The chosen kernel, as torch's optimizers take it.
        like: Lists of weights, gradients and each kind of moment, each as long as the weights or empty.
        beside: Lists of whatever else belongs to each weight and has no layout, such as its number of updates.

    Returns:
        For each part, its `fused` (the given one, or None for torch's own choice) and its lists, those of `like` before
        those of `beside`. If all layouts are ordinary, the only part is the given lists themselves.
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
    """The items of each list at these indices; an empty list stays empty."""
    return [[each[index] for index in members] if each else [] for each in lists]


def _ordinary(like: Lists) -> bool:
    """Whether all tensors are contiguous, as nearly all are; checked in C, as updates of small tensors are short."""
    return set(map(type, like[0])) <= _PLAIN and all(all(map(Tensor.is_contiguous, each)) for each in like)


def _apart(like: Lists) -> set[int]:
    """The indices of weights that a fused kernel must not update, after moving moments to their weights' layouts."""
    found = set()
    for index in range(len(like[0])):
        weight, gradient, *moments = (local(each[index]) for each in like if each)
        tensors = weight, gradient, *moments
        if any(all(tensor.is_contiguous(memory_format=usual) for tensor in tensors) for usual in _USUAL):
            continue
        order = sorted(range(weight.dim()), key=weight.stride, reverse=True)
        if not (_lies(weight, order) and _lies(gradient, order)):
            found.add(index)
            continue
        others = [moment for moment in moments if not _lies(moment, order)]
        # Code compiled by torch's inductor would read the moment by its old strides.
        movable = type(like[0][index]) in _PLAIN and not torch.compiler.is_compiling()
        if movable and all(moment.shape == weight.shape for moment in others):
            for moment in others:
                moment.data = torch.empty_like(weight, dtype=moment.dtype).copy_(moment)
        elif others:
            found.add(index)
    return found


def _lies(tensor: Tensor, order: list[int]) -> bool:
    """Whether a tensor fills its memory without gaps or overlaps in this order of dimensions, widest stride first."""
    return tensor.dim() == len(order) and tensor.permute(order).is_contiguous()


def local(tensor: Any) -> Tensor:
    """This device's part of a DTensor; any other tensor itself."""
    return tensor if type(tensor) in _PLAIN or not hasattr(tensor, "to_local") else tensor.to_local()


def refuse_other_shapes(optimizer: torch.optim.Optimizer) -> None:
    """Refuse loaded moments whose shape differs from their weight's: a fused kernel would read past their end.

    Raises:
        ValueError: The shapes differ.
    """
    for weight, state in optimizer.state.items():
        for key, moment in state.items():
            if key not in _SCALARS and isinstance(moment, Tensor) and moment.shape != weight.shape:
                raise ValueError(
                    f"{type(optimizer).__name__}: found a saved {key!r} of shape {tuple(moment.shape)} for a "
                    f"parameter of shape {tuple(weight.shape)}; load the state of the same model, with its "
                    f"parameters in the same order."
                )
