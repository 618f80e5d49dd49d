"""One training recipe, two frameworks, the same step: PyTorch Lightning and Keras 3 follow it update by update.

`samestep` imports no framework; `samestep.lightning` and `samestep.keras` import theirs. The names below are loaded on
first use, which keeps `import samestep` at a few milliseconds.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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

_ROOMS = {
    "durations": ("Clock", "Duration", "Position", "epochs", "percent", "updates"),
    "optimizers": ("AdamW",),
    "plan": ("Plan",),
    "recipe": ("Recipe",),
    "schedule": ("Constant", "Schedule", "sequence"),
    "trace": ("Trace",),
}
_HOME = {name: room for room, names in _ROOMS.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".core.{_HOME.get(name, 'shapes')}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
