"""Dozat 2016, with the weight decay of Loshchilov and Hutter 2019."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...core.specs.nadamw import NAdamW
from .reference import Reference, ReferenceRecord


class NAdamWReference(Reference):
    """NAdamW."""

    def __init__(self, spec: NAdamW, weights: Mapping[str, Any]) -> None:
        super().__init__(spec, weights)
        self.product = 1.0

    def begin_update(self, momentum: float) -> None:
        super().begin_update(momentum)
        decay = self.spec.momentum_decay
        self.mu, self.following = (momentum * (1 - 0.5 * 0.96 ** (t * decay)) for t in (self.t, self.t + 1))
        self.product *= self.mu

    def step(self, name: str, g: Any, rate: float, momentum: float) -> Any:
        beta_2, p = self.spec.betas[1], self.product
        self.first[name] = m = momentum * self.first[name] + (1 - momentum) * g
        self.second[name] = v = beta_2 * self.second[name] + (1 - beta_2) * g**2
        direction = self.following * m / (1 - p * self.following) + (1 - self.mu) * g / (1 - p)
        return rate * direction / (np.sqrt(v) / np.sqrt(1 - beta_2**self.t) + self.spec.epsilon)


RECORD = ReferenceRecord(NAdamW, NAdamWReference)
