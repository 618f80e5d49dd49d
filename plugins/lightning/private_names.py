"""The private and undocumented names of Lightning that this package uses."""

from __future__ import annotations

from ..core.private_names import PrivateName, listed
from .base_callback import modules

_SEEN = "Lightning 2.6.6"
_LOOPS = f"{modules[0].__name__}.loops"
_FIT, _EPOCH = f"{_LOOPS}.fit_loop._FitLoop", f"{_LOOPS}.training_epoch_loop._TrainingEpochLoop"
_PROGRESS = f"{_LOOPS}.progress"
_RESULT = f"{modules[0].__name__}.trainer.connectors.logger_connector.result._ResultMetric"

PRIVATE_NAMES = listed(
    PrivateName(owner, name, _SEEN, why)
    for owner, name, why in (
        (f"{modules[0].__name__}.LightningModule", "_trainer", "export_state asks which Trainer trained a model"),
        (f"{modules[0].__name__}.Trainer", "lr_scheduler_configs", "a scheduler of torch is refused beside samestep's"),
        (f"{modules[0].__name__}.Trainer", "should_stop", "an epoch that was stopped may be short"),
        (f"{modules[0].__name__}.core.optimizer", "_MockOptimizer", "what stands for no optimizer is refused"),
        (f"{modules[0].__name__}.Trainer", "_results", "what the user has logged is not logged again"),
        (_RESULT, "meta", "likewise"),
        (_RESULT, "has_reset", "likewise"),
        (_EPOCH, "val_loop", "likewise"),
        (f"{_LOOPS}.evaluation_loop._EvaluationLoop", "_results", "likewise"),
        (_FIT, "epoch_loop", "progress within an epoch"),
        (_FIT, "epoch_progress", "whether a run is between two epochs"),
        (_FIT, "restarted_mid_epoch", "an epoch that is resumed after its last batch is counted"),
        (_FIT, "restarted_on_epoch_end", "an epoch that had ended is not counted twice"),
        (_FIT, "reset_restart_stage", "likewise"),
        (_FIT, "_should_accumulate", "whether a checkpoint lacks gradients"),
        (_EPOCH, "batch_progress", "whether a checkpoint lies within a batch"),
        (_EPOCH, "automatic_optimization", "how many updates were made in an epoch"),
        (_EPOCH, "manual_optimization", "import_state writes a checkpoint"),
        (_EPOCH, "_batches_that_stepped", "likewise"),
        (f"{_LOOPS}.optimization.automatic._AutomaticOptimization", "optim_progress", "how many updates were made"),
        (
            f"{_LOOPS}.optimization.manual._ManualOptimization",
            "optim_step_progress",
            "import_state writes a checkpoint",
        ),
        (f"{_PROGRESS}._ReadyCompletedTracker", "ready", "whether an epoch was broken off"),
        (f"{_PROGRESS}._ReadyCompletedTracker", "completed", "likewise"),
        (f"{_PROGRESS}._ProcessedTracker", "processed", "likewise"),
        (f"{_PROGRESS}._StartedTracker", "started", "import_state writes a checkpoint"),
        (f"{_PROGRESS}._OptimizerProgress", "step", "how many updates were made in an epoch"),
        (f"{_PROGRESS}._BatchProgress", "is_last_batch", "export_state asks whether an epoch has ended"),
    )
)
