"""The record of one kind of optimizer in Keras."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras

from ...core.specs.spec import Spec
from .saving import OPTIONS
from .scheduled import ScheduledOptimizer


@dataclass(frozen=True)
class KerasRecord:
    """How to build a spec's optimizer in Keras.

    Attributes:
        kind: The class of the specs.
        optimizer: The class of the optimizers.
        stock: Makes what Keras has itself of the same numbers, for comparison.
    """

    kind: type[Spec]
    optimizer: type[ScheduledOptimizer]
    stock: Callable[[Any], keras.optimizers.Optimizer]

    @property
    def options(self) -> tuple[str, ...]:
        """The options that `build_optimizer` accepts."""
        return (*OPTIONS, *(self.optimizer.kernels if keras.backend.backend() == "torch" else ()))
