"""What a training of a Keras model needs, checked before its first batch."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from ..core.callbacks.reduce_on_plateau import ReduceOnPlateau
from ..core.callbacks.schedule_callback import ScheduleCallback
from .models import has_own_train_step, optimizers_within
from .optimizers.changes import became, changed_error
from .optimizers.scheduled import ScheduledOptimizer
from .parameters import paths_of
from .versions import SAVERS_OF_VARIABLES


def check_training(who: str, model: keras.Model, callbacks: Sequence[Any]) -> None:
    """Refuse a training that would fail in its first batch, make no updates, or save too little.

    Args:
        who: The caller's name in messages.
        model: The model to train, with its optimizers built if possible.
        callbacks: All callbacks of the training.

    Raises:
        ValueError: Keras cannot train this model under its distribution strategy; the loss is scaled by 0; other
            variables are trainable than those that the optimizer was built for; or a callback saves checkpoints without
            the scores of ReduceOnPlateau.
    """
    check_trainable(who, model)
    optimizer = model.optimizer
    scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    strategy = getattr(model, "distribute_strategy", None)  # only on tensorflow
    if strategy is not None and strategy.num_replicas_in_sync > 1:
        kind = type(strategy).__name__
        if scaled:
            raise ValueError(
                f"{who}: found loss scaling under {kind}, where Keras looks for overflows on the first replica alone; "
                f"use the policy 'mixed_bfloat16', which needs none."
            )
        if model.steps_per_execution != 1:
            raise ValueError(
                f"{who}: found steps_per_execution={model.steps_per_execution} under {kind}, which Keras cannot "
                f"execute; set steps_per_execution=1."
            )
    if scaled and optimizer.built and not ops.convert_to_numpy(optimizer.dynamic_scale):
        raise ValueError(
            f"{who}: found a loss scale of 0, with which no update is made; to forget an earlier training, call "
            f"optimizer.reset() instead of setting its variables to 0."
        )
    _check_savers(who, callbacks)


def check_trainable(who: str, model: keras.Model) -> None:
    """Refuse variables that became trainable, or were frozen, since the model's optimizer was built.

    Raises:
        ValueError: There are some.
    """
    optimizer = model.optimizer
    if optimizer is None or not optimizer.built or has_own_train_step(model):
        return
    # Loss scaling has none of its own until Keras 3.12.
    built = [variable for each in optimizers_within(optimizer) for variable in each._trainable_variables]
    now = model.trainable_variables
    known, present = {id(each) for each in built}, {id(each) for each in now}
    if known == present:
        return
    ours = any(isinstance(each, ScheduledOptimizer) for each in optimizers_within(optimizer))
    paths = paths_of(model)
    added = [paths.get(id(each), each.path) for each in now if id(each) not in known]
    frozen = [paths.get(id(each), each.path) for each in built if id(each) not in present]
    if added or ours or keras.backend.backend() == "jax":
        found = became("trainable", added) if added else became("frozen", frozen)
        raise changed_error(who, "a new build_optimizer(spec, model)" if ours else "a new optimizer", found)


def _check_savers(who: str, callbacks: Sequence[Any]) -> None:
    for kind in SAVERS_OF_VARIABLES:
        if not any(isinstance(each, kind) for each in callbacks):
            continue
        name = kind.__name__
        if any(isinstance(each, ReduceOnPlateau) for each in callbacks):
            raise ValueError(
                f"{who}: found {name}, whose checkpoints lack the scores of ReduceOnPlateau; use "
                f"keras.callbacks.ModelCheckpoint or BackupAndRestore."
            )
        if any(isinstance(each, ScheduleCallback) for each in callbacks):
            warnings.warn(
                f"{who}: found {name}, whose checkpoints lack the recipe and the position of the run; resume with "
                f"fit(initial_epoch=...), or use keras.callbacks.ModelCheckpoint.",
                stacklevel=2,
            )
