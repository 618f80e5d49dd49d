"""PyTorch Lightning follows a recipe: optimizers in torch's own kernels, and callbacks for `Trainer(callbacks=[...])`."""

from .callbacks import EpochGatedDecay, HyperparameterScheduler, LearningRateScheduler, TraceRecorder
from .optimizers import build_optimizer

__all__ = [
    "EpochGatedDecay",
    "HyperparameterScheduler",
    "LearningRateScheduler",
    "TraceRecorder",
    "build_optimizer",
]
