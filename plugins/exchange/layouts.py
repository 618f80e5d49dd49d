"""Takes the arrays of a parameter apart into the shared layout, and puts them together from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..core.specs.shared_layout import Layout, Part


def part_of(array: np.ndarray, part: Part) -> np.ndarray:
    """A part of a parameter's array, in the shared layout.

    >>> linear = np.arange(6).reshape(2, 3)
    >>> part_of(linear, Part("kernel", (3, 2), (1, 0))).tolist()
    [[0, 3], [1, 4], [2, 5]]
    """
    if part.blocks:
        array = np.concatenate([array[start:stop] for start, stop in part.blocks])
    return np.reshape(np.transpose(array, part.axes) if part.axes else array, part.shape).copy()


def put_together(parts: Mapping[str, np.ndarray], layout: Layout, shape: tuple[int, ...]) -> np.ndarray:
    """The array of a parameter from all of its parts in the shared layout, by name.

    >>> both = (Part("a", (2,), blocks=((2, 4),)), Part("b", (2,), blocks=((0, 2),)))
    >>> put_together({"a": np.array([1, 2]), "b": np.array([3, 4])}, both, (4,)).tolist()
    [3, 4, 1, 2]
    """
    whole = np.empty(shape, next(iter(parts.values())).dtype)
    for part in layout:
        taken = sum(stop - start for start, stop in part.blocks)
        own = (taken, *shape[1:]) if part.blocks else shape
        axes = part.axes or tuple(range(len(own)))
        array = parts[part.name].reshape([own[axis] for axis in axes]).transpose(np.argsort(axes))
        if not part.blocks:
            return array.copy()
        at = 0
        for start, stop in part.blocks:
            whole[start:stop] = array[at : at + stop - start]
            at += stop - start
    return whole


def to_plain(layout: Layout) -> list[Any]:
    """A layout as JSON can keep it."""
    return [[part.name, list(part.shape), list(part.axes), [list(block) for block in part.blocks]] for part in layout]


def from_plain(plain: Sequence[Any]) -> Layout:
    """What `to_plain` made."""
    return tuple(
        Part(name, tuple(shape), tuple(axes), tuple((start, stop) for start, stop in blocks))
        for name, shape, axes, blocks in plain
    )
