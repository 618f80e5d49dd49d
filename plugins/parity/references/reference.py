"""What the references share: the state of each weight, and the record."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ...core.specs.spec import Spec


class Reference(ABC):
    """The step of an optimizer, for weights by name.

    Args:
        spec: The optimizer's spec.
        weights: The initial weights, of any shape.
    """

    def __init__(self, spec: Any, weights: Mapping[str, Any]) -> None:
        self.spec, self.t = spec, 0
        self.first, self.second = ({name: np.zeros_like(value) for name, value in weights.items()} for _ in range(2))

    def begin_update(self, momentum: float) -> None:
        """Begin the next update of all weights."""
        self.t += 1

    @abstractmethod
    def step(self, name: str, g: Any, rate: float, momentum: float) -> Any:
        """What an update subtracts from a weight, besides its decay.

        Args:
            name: The weight's name.
            g: Its gradient, negated if the spec maximizes.
            rate: The learning rate.
            momentum: beta_1, or the momentum of SGD.
        """


class ReferenceRecord(NamedTuple):
    """The reference of a kind of optimizer."""

    kind: type[Spec]
    reference: type[Reference]
