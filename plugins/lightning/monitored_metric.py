"""A metric that the module logs: whether there is a new one, and what it is on all devices together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from pytorch_lightning import Trainer
else:
    Trainer = Any


class MonitoredMetric:
    """The scores of a metric, each of which is seen once.

    Lightning keeps the last one of each metric, also in epochs that have no validation: a new one is a new object.
    """

    def __init__(self, trainer: Trainer, name: str) -> None:
        self.name = name
        self._seen = trainer.callback_metrics.get(name)

    def new(self, trainer: Trainer) -> float | None:
        """The score if there is a new one: of several devices the mean, and the same on each.

        All devices have to ask at the same time.
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
