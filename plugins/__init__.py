"""One training recipe, two frameworks, the same step: PyTorch Lightning and Keras 3 follow it update by update.

`samestep` itself imports no framework; `samestep.lightning` and `samestep.keras` import theirs.
"""

from .core.durations import Clock, Duration, Position, epochs, percent, updates
from .core.optimizers import AdamW
from .core.plan import Plan
from .core.recipe import Recipe
from .core.schedule import Constant, Schedule, sequence
from .core.shapes import (
    CosineDecay,
    EpochFunction,
    ExponentialDecay,
    InverseTimeDecay,
    LinearDecay,
    StepDecay,
    Warmup,
)
from .core.trace import Trace

__version__ = "0.1.0"

__all__ = [
    "AdamW",
    "Clock",
    "Constant",
    "CosineDecay",
    "Duration",
    "EpochFunction",
    "ExponentialDecay",
    "InverseTimeDecay",
    "LinearDecay",
    "Plan",
    "Position",
    "Recipe",
    "Schedule",
    "StepDecay",
    "Trace",
    "Warmup",
    "epochs",
    "percent",
    "sequence",
    "updates",
]
