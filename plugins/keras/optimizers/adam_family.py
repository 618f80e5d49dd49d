"""What AdamW and NAdamW share."""

from __future__ import annotations

import math
from typing import Any

from keras import ops

from ...core.specs.adam_family import AdamFamily
from .rows import Rows
from .scheduled import ScheduledOptimizer


class Adam(ScheduledOptimizer):
    """The moments of AdamW and NAdamW, and the bias correction of the second."""

    spec: AdamFamily

    def _build_state(self, variables: list[Any]) -> None:
        self._momentums, self._velocities = self.add_optimizer_variables(variables, ["momentum", "velocity"])

    def moments(self) -> dict[str, list[Any]]:
        return {"momentum": self._momentums, "velocity": self._velocities}

    def _update_number(self, rows: Rows) -> Any:
        """t of the formulas, 1 in the first update."""
        return ops.cast(self.iterations + 1, rows.learning_rate.dtype)

    def _correction(self, rows: Rows) -> Any:
        """sqrt(1 - beta_2 ** t), shape (groups,)."""
        ones, beta_2 = ops.ones_like(rows.learning_rate), self.spec.betas[1]
        # expm1, because in float32 the plain form loses half of its digits in the first updates.
        return ones * ops.sqrt(-ops.expm1(self._update_number(rows) * math.log(beta_2))) if beta_2 else ones

    def _moved_moments(self, index: int, gradient: Any, blend: Any) -> tuple[Any, Any]:
        """Update the moments of a variable and return them.

        They are returned as variables: on tensorflow, uncompiled, a separate tensor would cost memory.
        """
        beta_2 = self.spec.betas[1]
        momentum, velocity = self._momentums[index], self._velocities[index]
        self.assign_add(momentum, (gradient - momentum) * blend)
        self.assign(velocity, velocity * beta_2 + ops.square(gradient) * (1.0 - beta_2))
        return momentum, velocity
