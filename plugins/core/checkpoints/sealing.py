"""Seals plain data with a digest, so that damage is noticed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def seal(data: Mapping[str, Any]) -> dict[str, Any]:
    """JSON-ready data with its digest."""
    return {**data, "digest": _digest(data)}


def unseal(data: Any) -> dict[str, Any]:
    """The data that `seal` was given.

    Raises:
        ValueError: It has changed since.
    """
    inner = {key: value for key, value in data.items() if key != "digest"}
    if data.get("digest") != _digest(inner):
        raise ValueError("it has changed since it was written")
    return inner


def canonical(data: Any) -> str:
    """Data as one line of JSON, the same for equal data."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"))


def _digest(data: Any) -> str:
    return hashlib.sha256(canonical(data).encode()).hexdigest()
