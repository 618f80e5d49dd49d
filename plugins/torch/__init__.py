"""Everything that needs only torch: optimizers built from specs, kernels, parameter groups and roles.

`samestep.lightning` builds on it, and so does `samestep.keras` on Keras' PyTorch backend: both compute the same bits.
"""

from ..core.requirements import Package, importing

with importing(__name__, Package("torch", "2.4"), install="'samestep[torch]'"):
    from .build import build_optimizer
    from .parameters import describe_parameters, extract_weight_decay

__all__ = ["build_optimizer", "describe_parameters", "extract_weight_decay"]
