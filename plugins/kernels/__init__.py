"""Updates of torch tensors by torch's own kernels, for all that train torch tensors: Lightning, and Keras on torch.

`samestep.lightning` and `samestep.keras` use these same functions, so that the two make the same bits.
"""

from .native import AdamW
from .updates import Settings, adamw, can_fuse, clip_gradients, nadamw, sgdw

__all__ = ["AdamW", "Settings", "adamw", "can_fuse", "clip_gradients", "nadamw", "sgdw"]
