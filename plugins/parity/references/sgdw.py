"""Loshchilov and Hutter 2019, algorithm 1; Sutskever et al. 2013 for Nesterov's momentum."""

from __future__ import annotations

from typing import Any

from ...core.specs.sgdw import SGDW
from .reference import Reference, ReferenceRecord


class SGDWReference(Reference):
    """SGDW."""

    def step(self, name: str, g: Any, rate: float, momentum: float) -> Any:
        inside = self.spec.momentum_mode == "keras"
        scaled = rate * g if inside else g
        self.first[name] = momentum * self.first[name] + scaled
        direction = scaled + momentum * self.first[name] if self.spec.nesterov else self.first[name]
        return direction if inside else rate * direction


RECORD = ReferenceRecord(SGDW, SGDWReference)
