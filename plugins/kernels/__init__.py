"""For the time of the move: use samestep.torch."""

from ..torch.kernels import Settings, can_fuse, clip_gradients
from ..torch.optimizers.adamw import update as adamw
from ..torch.optimizers.nadamw import update as nadamw
from ..torch.optimizers.sgdw import update as sgdw

__all__ = ["Settings", "adamw", "can_fuse", "clip_gradients", "nadamw", "sgdw"]
