"""What older supported versions of the frameworks lack: a test that needs it is skipped there, and says so."""

from __future__ import annotations

import inspect
from contextlib import AbstractContextManager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import keras
import pytest

needs_orbax = pytest.mark.skipif(
    not hasattr(keras.callbacks, "OrbaxCheckpoint"), reason="needs Keras >= 3.13: OrbaxCheckpoint"
)

exports_torch = pytest.mark.skipif(
    keras.backend.backend() == "torch" and find_spec("keras.src.export.torch") is None,
    reason="needs Keras >= 3.15 on torch: export to torch's own format",
)


def load_model(path: Path) -> keras.Model:
    """The model of a file that Keras 3.15 has written."""
    if "quantization_config" not in inspect.signature(keras.layers.Dense).parameters:
        pytest.skip("needs Keras >= 3.13: the file has a quantization_config for each layer")
    return keras.models.load_model(path)


def multi_optimizer(*optimizers: Any, **options: Any) -> Any:
    """Keras' MultiOptimizer of what OptimizerMap takes."""
    if not hasattr(keras.optimizers, "MultiOptimizer"):
        pytest.skip("needs Keras >= 3.15: MultiOptimizer")
    return keras.optimizers.MultiOptimizer(keras.optimizers.OptimizerMap(*optimizers), **options)


def x64(enabled: bool) -> AbstractContextManager[Any]:
    """Within, jax knows float64, or does not; other backends always do."""
    if keras.backend.backend() != "jax":
        return nullcontext()
    import jax
    import jax.experimental

    # until jax 0.8: it is experimental
    known = jax.enable_x64 if hasattr(jax, "enable_x64") else jax.experimental.enable_x64
    context: AbstractContextManager[Any] = known(enabled)
    return context
