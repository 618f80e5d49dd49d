"""What samestep's callbacks share in one training; the first of them to begin makes it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from ..core.callbacks.errors import other_driver_error, super_error
from ..core.callbacks.optimizer_matching import Matching
from ..core.callbacks.schedule_callback import ScheduleCallback
from ..core.schedules.clock import Clock
from ..torch.base_values import Configured, Snapshot
from ..torch.unseen_updates import UnseenUpdates
from .progress import ProgressKeeper
from .trainer import callbacks_of, is_a, leaves_out_updates, optimizers_of, paths_of, run_length, updates_per_epoch

if TYPE_CHECKING:
    from pytorch_lightning import LightningModule, Trainer
else:
    LightningModule = Trainer = Any

# Callbacks of Lightning that set the learning rate themselves.
_OTHER_DRIVERS = ("StochasticWeightAveraging",)


class Training:
    """The optimizers of a training, the policies they follow, and the run's length as far as the trainer knows it.

    Args:
        trainer: The Trainer.
        module: The module it trains.
        drivers: samestep's scheduling callbacks.
        configured: What each optimizer holds as configured.
        later: By the number of an optimizer, the parameter groups that a resumed run had added before.

    Attributes:
        elsewhere: The ids of the parameters whose learning rate another callback drives.
        updates: The number of updates in an epoch, as the trainer counts its batches; None if it does not know.
        leaves_out: Whether the module may make fewer of them.
        paths: The name of each parameter in the module, by its id.
        groups: What the parameter groups of each optimizer hold as configured.

    Raises:
        ValueError: There is no torch optimizer, it is unclear which one a callback means, or something else already
            drives what a callback drives.
    """

    def __init__(
        self,
        trainer: Trainer,
        module: LightningModule,
        drivers: Sequence[ScheduleCallback],
        configured: Sequence[Configured],
        later: Mapping[int, Collection[int]],
    ) -> None:
        self.optimizers: list[Any] = optimizers_of(trainer, drivers[0]._who)
        if len(configured) != len(self.optimizers):
            raise super_error(drivers[0]._who, "on_fit_start")
        self.groups: list[Snapshot] = [each.groups() for each in configured]
        self.matching: Matching = Matching(drivers, paths_of(module, self.optimizers, later))
        self._skips = getattr(trainer.precision_plugin, "scaler", None) is not None
        self.by_hand: bool = not module.automatic_optimization
        self.updates: int | None = updates_per_epoch(trainer, trainer.current_epoch)
        self.leaves_out: bool = leaves_out_updates(module)
        self.length: tuple[int | None, int | None] = run_length(trainer, len(self.optimizers))
        self.clock: Clock = Clock(self.updates, *self.length)
        beside = [each for each in callbacks_of(trainer) if not isinstance(each, ProgressKeeper)]
        # BackboneFinetuning drives the learning rate of the module's backbone itself.
        tunes = any(is_a(each, "BackboneFinetuning") for each in callbacks_of(trainer))
        backbone: Any = getattr(module, "backbone", None) if tunes else None
        self.elsewhere: frozenset[int] = frozenset() if backbone is None else frozenset(map(id, backbone.parameters()))
        self.paths: dict[int, str] = {id(parameter): name for name, parameter in module.named_parameters()}
        self.others: list[str] = [type(each).__name__ for each in (*beside, module)]
        for driver in drivers:
            self._refuse_other_drivers(trainer, driver)

    def unseen_updates(self, optimizer: torch.optim.Optimizer) -> UnseenUpdates | None:
        """Notices updates of an optimizer that cannot be counted; None with a loss scaler, which skips updates."""
        if self._skips:
            return None
        return UnseenUpdates(optimizer, [each for each in self.optimizers if each is not optimizer])

    def _refuse_other_drivers(self, trainer: Trainer, driver: ScheduleCallback) -> None:
        """Refuse anything else that drives the same hyperparameter of the same optimizer as a callback."""
        meant = {(each.number, name) for each in self.matching.meant_by(driver) for name in each.policy.driven}
        for callback in callbacks_of(trainer):
            for kind in _OTHER_DRIVERS:
                if is_a(callback, kind) and any(name == "learning_rate" for _, name in meant):
                    raise other_driver_error(driver._who, "learning_rate", f"the callback {kind}", "remove one of them")
        for scheduler in (config.scheduler for config in trainer.lr_scheduler_configs):
            number = next((n for n, each in enumerate(self.optimizers) if each is scheduler.optimizer), None)
            # OneCycleLR and CyclicLR also cycle the momentum.
            for name in ("learning_rate", *(["momentum"] if getattr(scheduler, "cycle_momentum", False) else [])):
                if (number, name) in meant:
                    other = f"the {type(scheduler).__name__} of configure_optimizers"
                    remedy = "return only the optimizer"
                    if is_a(scheduler, "ReduceLROnPlateau"):
                        remedy += ", and give the Trainer samestep.lightning.ReduceOnPlateau.like_torch(...)"
                    raise other_driver_error(driver._who, name, other, remedy)
        if trainer.gradient_clip_val and any(map(_clips, self.optimizers)):
            raise ValueError(
                f"{driver._who}: found gradient_clip_val={trainer.gradient_clip_val!r} in the Trainer and an "
                f"optimizer that already clips; remove one of them."
            )


def _clips(optimizer: torch.optim.Optimizer) -> bool:
    spec = getattr(optimizer, "spec", None)
    return spec is not None and spec.clip is not None
