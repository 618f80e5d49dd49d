"""Whether the optimizers of a training make its updates: the user's own loop may use others, or keep their state."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

STATELESS = (
    "in a loop of your own with stateless_apply, take optimizer.variables after on_epoch_begin, and assign them what "
    "the updates return before on_epoch_end"
)
"""What a loop must do that keeps the variables of an optimizer."""

_OTHER = "make the updates with the optimizer that was given to compile()"


class Activity:
    """Whether any of the optimizers of a training has done anything since it began.

    An update counts, and so does a micro-batch of gradient accumulation and an update that loss scaling skips.

    Args:
        model: The model to train.
        optimizers: Its optimizers, without loss scaling.
        in_fit: Whether it is Keras' own fit that trains.
    """

    def __init__(self, model: keras.Model, optimizers: Sequence[keras.optimizers.Optimizer], in_fit: bool) -> None:
        self._model, self._optimizers, self._in_fit = model, optimizers, in_fit
        self._before: list[Any] | None = self._counts()

    def check(self, who: str, epoch: int) -> None:
        """Check at the end of an epoch, until there was an update. Within fit, whose train_step may wait, only warn.

        Args:
            who: The callback's name in messages.
            epoch: The epoch.

        Raises:
            ValueError: There was none yet in a loop of the user's own.
        """
        before, self._before = self._before, None
        if before is None or self._counts() != before or not self._model.trainable_variables:
            return
        names = " and ".join(repr(each.name) for each in self._optimizers)
        message = f"{who}: found no update by {names} in epoch {epoch}"
        if not self._in_fit:
            raise ValueError(f"{message}; {STATELESS if keras.backend.backend() == 'jax' else _OTHER}.")
        warnings.warn(f"{message}, so nothing was scheduled; {_OTHER}.", stacklevel=2)

    def _counts(self) -> list[Any]:
        scaling = self._model.optimizer
        variables = [each._iterations for each in self._optimizers]
        variables += [getattr(scaling, name, None) for name in ("dynamic_scale", "step_counter")]
        return [None if variable is None else ops.convert_to_numpy(variable).item() for variable in variables]
