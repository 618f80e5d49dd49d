"""Recipes in Keras 3: optimizers with torch's numerics, and callbacks for `fit(callbacks=[...])`."""

from ..core.requirements import importing
from .backend import require_keras

require_keras(__name__)
with importing(__name__):
    from .build import build_optimizer
    from .callbacks import (
        EpochGatedDecay,
        HyperparameterScheduler,
        LearningRateScheduler,
        ReduceOnPlateau,
        TraceRecorder,
    )
    from .handover import export_state, import_state
    from .parameters import describe_parameters, extract_weight_decay

__all__ = [
    "EpochGatedDecay",
    "HyperparameterScheduler",
    "LearningRateScheduler",
    "ReduceOnPlateau",
    "TraceRecorder",
    "build_optimizer",
    "describe_parameters",
    "export_state",
    "extract_weight_decay",
    "import_state",
]
