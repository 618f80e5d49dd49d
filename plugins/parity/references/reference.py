"""What the references have in common: the state of each weight, and the record that names them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ...core.specs.spec import Spec


class Reference(ABC):
    """The step of an optimizer, for weights that are told apart by name.

    Args:
        spec: Its numbers.
        weights: At the start, each of any shape.
    """

    def __init__(self, spec: Any, weights: Mapping[str, Any]) -> None:
        self.spec, self.t = spec, 0
        self.first, self.second = ({name: np.zeros_like(value) for name, value in weights.items()} for _ in range(2))

    def begin_update(self, momentum: float) -> None:
        """The next update begins, for all weights; t counts it."""
        self.t += 1

    @abstractmethod
    def step(self, name: str, g: Any, rate: float, momentum: float) -> Any:
        """What an update takes off a weight, besides its decay.

        Args:
            name: Of the weight.
            g: Its gradient, turned around where the spec maximizes.
            rate: The learning rate.
            momentum: beta_1, or the momentum of SGD.
        """


class ReferenceRecord(NamedTuple):
    """The reference of a kind of optimizer."""

    kind: type[Spec]
    reference: type[Reference]
