"""What a framework that computes in float32 holds of a value."""

from __future__ import annotations

import struct


def float32(value: float) -> float:
    """`value` rounded to the nearest float32; infinite where it is too large for one.

    >>> float32(0.1)
    0.10000000149011612
    """
    try:
        rounded: float = struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
    return rounded


def shortest_decimal(value: float) -> float:
    """The shortest decimal that a float32 rounds from: what was written, where a framework keeps only the float32.

    >>> shortest_decimal(0.0010000000474974513)
    0.001
    """
    return next(decimal for digits in range(1, 18) if float32(decimal := float(f"{value:.{digits}g}")) == value)
