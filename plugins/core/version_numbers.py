"""Compares the versions of packages."""

from __future__ import annotations

import re


def is_older(version: str, floor: str) -> bool:
    """Whether a version comes before another one, by the numbers that they begin with.

    >>> is_older("2.9.1+cpu", "2.10"), is_older("2.10.0rc1", "2.10"), is_older("3", "2.10")
    (True, False, False)
    """
    return _numbers(version) < _numbers(floor)


def _numbers(version: str) -> tuple[int, ...]:
    begin = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, begin.group().split("."))) if begin else ()
