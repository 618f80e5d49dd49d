"""Tells whether a logged metric has a new value, and what it is across devices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from pytorch_lightning import Trainer
else:
    Trainer = Any


class MonitoredMetric:
    """Reports each new score of a metric once.

    Lightning keeps the last value of each metric, even in epochs without validation. A new score is a new object.

    Args:
        trainer: The Trainer that logs the metric.
        name: The name of the metric.
    """

    def __init__(self, trainer: Trainer, name: str) -> None:
        self.name = name
        self._seen = trainer.callback_metrics.get(name)

    def new(self, trainer: Trainer) -> float | None:
        """The score if it is new, otherwise None; across devices the mean, the same on each.

        All devices must call this at the same time.
        """
        found = trainer.callback_metrics.get(self.name)
        new = found is not None and found is not self._seen
        self._seen = found
        if trainer.world_size == 1:
            return float(found) if new and found is not None else None
        device = trainer.strategy.root_device
        dtype = torch.float32 if device.type == "mps" else torch.float64
        pair = [float(found), 1.0] if new and found is not None else [0.0, 0.0]
        total, count = trainer.strategy.reduce(torch.tensor(pair, dtype=dtype, device=device), reduce_op="sum").tolist()
        return total / count if count else None
