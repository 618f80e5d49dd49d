"""What the callbacks of both frameworks share: constructors, validation, matching of optimizers, messages."""

from .epoch_callbacks import EpochGatedDecay, LearningRateScheduler
from .hyperparameter_scheduler import HyperparameterScheduler
from .reduce_on_plateau import ReduceOnPlateau
from .trace_recorder import TraceRecorder

__all__ = ["EpochGatedDecay", "HyperparameterScheduler", "LearningRateScheduler", "ReduceOnPlateau", "TraceRecorder"]
