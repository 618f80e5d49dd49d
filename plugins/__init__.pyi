"""The public names of `samestep`."""

from .core.checkpoints.trace import Trace as Trace
from .core.policies.plateau import Plateau as Plateau
from .core.recipes.from_keras_adamw import from_keras_adamw as from_keras_adamw
from .core.recipes.plan import Plan as Plan
from .core.recipes.recipe import Recipe as Recipe
from .core.schedules.clock import Clock as Clock
from .core.schedules.clock import Position as Position
from .core.schedules.compositions import (
    noam as noam,
)
from .core.schedules.compositions import (
    one_cycle as one_cycle,
)
from .core.schedules.compositions import (
    sequence as sequence,
)
from .core.schedules.compositions import (
    warmup_stable_decay as warmup_stable_decay,
)
from .core.schedules.durations import Duration as Duration
from .core.schedules.durations import DurationLike as DurationLike
from .core.schedules.durations import epochs as epochs
from .core.schedules.durations import percent as percent
from .core.schedules.durations import updates as updates
from .core.schedules.epoch_function import EpochFunction as EpochFunction
from .core.schedules.ramps import (
    CosineDecay as CosineDecay,
)
from .core.schedules.ramps import (
    LinearDecay as LinearDecay,
)
from .core.schedules.ramps import (
    PolynomialDecay as PolynomialDecay,
)
from .core.schedules.ramps import (
    Ramp as Ramp,
)
from .core.schedules.ramps import (
    RexDecay as RexDecay,
)
from .core.schedules.ramps import (
    TanhDecay as TanhDecay,
)
from .core.schedules.ramps import (
    Warmup as Warmup,
)
from .core.schedules.schedule import Constant as Constant
from .core.schedules.schedule import Schedule as Schedule
from .core.schedules.shapes import (
    ExponentialDecay as ExponentialDecay,
)
from .core.schedules.shapes import (
    InverseSqrtDecay as InverseSqrtDecay,
)
from .core.schedules.shapes import (
    InverseTimeDecay as InverseTimeDecay,
)
from .core.schedules.shapes import (
    Normalized as Normalized,
)
from .core.schedules.shapes import (
    Triangular as Triangular,
)
from .core.schedules.staircases import (
    MultiStepDecay as MultiStepDecay,
)
from .core.schedules.staircases import (
    StepDecay as StepDecay,
)
from .core.schedules.staircases import (
    Table as Table,
)
from .core.schedules.ticks import Curve as Curve
from .core.schedules.ticks import Ticks as Ticks
from .core.specs.adamw import AdamW as AdamW
from .core.specs.nadamw import NAdamW as NAdamW
from .core.specs.parameter_rules import (
    Multipliers as Multipliers,
)
from .core.specs.parameter_rules import (
    Parameter as Parameter,
)
from .core.specs.parameter_rules import (
    ParameterRule as ParameterRule,
)
from .core.specs.parameter_rules import (
    Role as Role,
)
from .core.specs.parameter_table import ParameterTable as ParameterTable
from .core.specs.sgdw import SGDW as SGDW
from .core.specs.spec import Spec as Spec

__version__: str
