"""The callback that records what each torch optimizer really used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from ..core import callbacks as shared
from ..core.callbacks.optimizer_matching import labels
from ..core.checkpoints.trace import Trace
from ..core.schedules.clock import Position
from ..torch import param_groups
from ..torch.update_count import UpdateCount
from .progress import ProgressKeeper
from .trainer import optimizers_of, paths_of, refuse_other_optimizers

if TYPE_CHECKING:
    from pytorch_lightning import LightningModule, Trainer
else:
    LightningModule = Trainer = Any


class TraceRecorder(shared.TraceRecorder, ProgressKeeper):
    __doc__ = shared.TraceRecorder.__doc__

    _optimizers: Sequence[torch.optim.Optimizer] = ()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._optimizers = found = optimizers_of(trainer, type(self).__name__)
        self.traces: dict[str, Trace] = {
            label: Trace() for label in labels(paths_of(pl_module, found, self._later_before(trainer)))
        }
        self._counts = {
            number: self._follow(trainer, number, *pair)
            for number, pair in enumerate(zip(found, self.traces.values(), strict=True))
        }

    def _follow(self, trainer: Trainer, number: int, optimizer: torch.optim.Optimizer, trace: Trace) -> UpdateCount:
        def record() -> None:
            # Read after the update: nothing can have changed the values since it used them.
            if self._interval.includes(trainer.current_epoch, count.made):
                trace.record(Position(trainer.current_epoch, count.made), param_groups.read(optimizer))

        count = UpdateCount(optimizer, self._made_before(trainer, number) or 0, record)
        return count

    def _end(self, trainer: Trainer) -> None:
        super()._end(trainer)
        self._optimizers = ()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        refuse_other_optimizers(trainer, self._optimizers, type(self).__name__)
        for count in self._counts.values():
            count.made = 0
