"""What needs torch alone: the optimizers of specs, their kernels, parameter groups and roles.

It is the ground of `samestep.lightning`, and of `samestep.keras` on Keras' PyTorch backend: the two make the same bits.
"""

from .build import build_optimizer
from .parameters import describe_parameters, extract_weight_decay

__all__ = ["build_optimizer", "describe_parameters", "extract_weight_decay"]
