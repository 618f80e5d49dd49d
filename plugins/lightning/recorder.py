"""The callback that records what each optimizer of torch really used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from ..core.callbacks.optimizer_matching import labels
from ..core.callbacks.trace_recorder import TraceRecorderMixin
from ..core.checkpoints.trace import Trace
from ..core.schedules.durations import Position
from . import groups
from .counter import Counter
from .followers import Updates
from .trainers import optimizers_of, paths_of

if TYPE_CHECKING:
    from pytorch_lightning import LightningModule, Trainer
else:
    LightningModule = Trainer = Any


class TraceRecorder(TraceRecorderMixin, Counter):
    __doc__ = TraceRecorderMixin.__doc__

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        found = optimizers_of(trainer, type(self).__name__)
        self.traces = {label: Trace() for label in labels(paths_of(pl_module, found))}
        self._counted = {
            number: self._follow(trainer, number, *pair)
            for number, pair in enumerate(zip(found, self.traces.values(), strict=True))
        }

    def _follow(self, trainer: Trainer, number: int, optimizer: torch.optim.Optimizer, trace: Trace) -> Updates:
        def record() -> None:
            # After the update, when nothing can have changed the values between their use and this reading.
            trace.record(Position(trainer.current_epoch, updates.made), groups.read(optimizer))

        updates = Updates(optimizer, self._made_before(trainer, number) or 0, record)
        return updates

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for updates in self._counted.values():
            updates.made = 0
