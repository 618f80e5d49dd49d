"""Recipes in PyTorch Lightning: torch's own optimizers, and callbacks for `Trainer(callbacks=[...])`."""

from ..core.requirements import Package, importing

with importing(
    __name__,
    Package("numpy", "1.26"),
    Package("torch", "2.4"),
    Package("pytorch-lightning", "2.5", ("pytorch_lightning", "lightning")),
    install="'samestep[lightning]'",
):
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
