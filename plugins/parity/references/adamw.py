"""Loshchilov and Hutter 2019, algorithm 2; Reddi et al. 2018 for amsgrad; Kingma and Ba 2015, section 2, for "hat"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...core.specs.adamw import AdamW
from .reference import Reference, ReferenceRecord


class AdamWReference(Reference):
    """AdamW."""

    def __init__(self, spec: AdamW, weights: Mapping[str, Any]) -> None:
        super().__init__(spec, weights)
        self.largest: dict[str, Any] = {name: np.zeros_like(value) for name, value in weights.items()}

    def step(self, name: str, g: Any, rate: float, momentum: float) -> Any:
        beta_2 = self.spec.betas[1]
        self.first[name] = m = momentum * self.first[name] + (1 - momentum) * g
        self.second[name] = v = beta_2 * self.second[name] + (1 - beta_2) * g**2
        self.largest[name] = np.maximum(self.largest[name], v)
        correction = np.sqrt(1 - beta_2**self.t)
        root = np.sqrt(self.largest[name] if self.spec.amsgrad else v)
        epsilon = self.spec.epsilon / (correction if self.spec.epsilon_mode == "hat" else 1.0)
        return rate * m / (1 - momentum**self.t) / (root / correction + epsilon)


RECORD = ReferenceRecord(AdamW, AdamWReference)
