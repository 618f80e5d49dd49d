"""One training recipe, two frameworks, the same step: PyTorch Lightning and Keras 3 follow it update by update.

`samestep` imports no framework; `samestep.lightning` and `samestep.keras` import theirs. The names below are loaded on
first use, which keeps `import samestep` at a few milliseconds.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .core.compositions import noam, one_cycle, sequence, warmup_stable_decay
    from .core.durations import Clock, Duration, DurationLike, Position, epochs, percent, updates
    from .core.functions import EpochFunction
    from .core.migration import from_keras_adamw
    from .core.optimizers import SGDW, AdamW, NAdamW
    from .core.parameters import Multipliers, Parameter, ParameterRule, ParameterTable
    from .core.plan import Plan
    from .core.ramps import CosineDecay, LinearDecay, PolynomialDecay, Ramp, RexDecay, TanhDecay, Warmup
    from .core.recipe import Recipe
    from .core.schedule import Constant, Schedule
    from .core.shapes import (
        ExponentialDecay,
        InverseSqrtDecay,
        InverseTimeDecay,
        MultiStepDecay,
        Normalized,
        StepDecay,
        Table,
        Triangular,
    )
    from .core.ticks import Curve, Ticks
    from .core.trace import Trace

__version__ = "0.1.0"

__all__ = [
    "SGDW",
    "AdamW",
    "Clock",
    "Constant",
    "CosineDecay",
    "Curve",
    "Duration",
    "DurationLike",
    "EpochFunction",
    "ExponentialDecay",
    "InverseSqrtDecay",
    "InverseTimeDecay",
    "LinearDecay",
    "MultiStepDecay",
    "Multipliers",
    "NAdamW",
    "Normalized",
    "Parameter",
    "ParameterRule",
    "ParameterTable",
    "Plan",
    "PolynomialDecay",
    "Position",
    "Ramp",
    "Recipe",
    "RexDecay",
    "Schedule",
    "StepDecay",
    "Table",
    "TanhDecay",
    "Ticks",
    "Trace",
    "Triangular",
    "Warmup",
    "epochs",
    "from_keras_adamw",
    "noam",
    "one_cycle",
    "percent",
    "sequence",
    "updates",
    "warmup_stable_decay",
]

_ROOMS = {
    "compositions": ("noam", "one_cycle", "sequence", "warmup_stable_decay"),
    "durations": ("Clock", "Duration", "DurationLike", "Position", "epochs", "percent", "updates"),
    "functions": ("EpochFunction",),
    "migration": ("from_keras_adamw",),
    "optimizers": ("AdamW", "NAdamW", "SGDW"),
    "parameters": ("Multipliers", "Parameter", "ParameterRule", "ParameterTable"),
    "plan": ("Plan",),
    "ramps": ("CosineDecay", "LinearDecay", "PolynomialDecay", "Ramp", "RexDecay", "TanhDecay", "Warmup"),
    "recipe": ("Recipe",),
    "schedule": ("Constant", "Schedule"),
    "ticks": ("Curve", "Ticks"),
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
