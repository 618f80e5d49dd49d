"""What differs between the supported versions of Keras. No other module asks for one."""

from __future__ import annotations

from typing import Any

import keras

from ..core.version_numbers import is_older


def _known(module: Any, name: str) -> tuple[type, ...]:
    """The class of this name, for isinstance; none if the installed Keras lacks it."""
    return (getattr(module, name),) if hasattr(module, name) else ()


# until Keras 3.15: there is none
MULTI_OPTIMIZER = _known(keras.optimizers, "MultiOptimizer")
"""Keras' optimizer that has several optimizers inside."""

# until Keras 3.13: there are none
SAVERS_OF_VARIABLES = _known(keras.callbacks, "OrbaxCheckpoint")
"""Keras' callbacks whose checkpoints have variables alone."""


def asks_for_shardings() -> bool:
    """Whether `fit` asks an optimizer's variables for their shardings before on_train_begin.

    Those that are made there are left out later, and an array of NumPy has none.
    """
    # until Keras 3.12, on jax
    return keras.backend.backend() == "jax" and is_older(keras.__version__, "3.12")
