"""Recipes in PyTorch Lightning: torch's own optimizers, and callbacks for `Trainer(callbacks=[...])`."""

from ..torch import build_optimizer, describe_parameters, extract_weight_decay
from .callbacks import EpochGatedDecay, HyperparameterScheduler, LearningRateScheduler, ReduceOnPlateau
from .handover import export_state, import_state
from .recorder import TraceRecorder

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
