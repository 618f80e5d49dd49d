"""Whether data from elsewhere is nested too deeply to be followed down, or to be shown in a message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Reading what to_dict() wrote ends before, at the limit of recursion; Python 3.13 shows and writes far deeper data.
_DEEPEST = 500


def is_too_deep(data: Any) -> bool:
    """Whether more dictionaries and lists are within each other than in anything that to_dict() writes."""
    level = [data]
    for _ in range(_DEEPEST):
        within = (each.values() if isinstance(each, Mapping) else each for each in level if _holds(each))
        level = list({id(inner): inner for each in within for inner in each if _holds(inner)}.values())
        if not level:
            return False
    return True


def _holds(value: object) -> bool:
    return isinstance(value, (Mapping, list, tuple))
