"""Keras optimizers that a spec decides: the numerics of torch, on every backend."""

from ...core.specs.records import records
from .record import KerasRecord

RECORDS = records(__name__, __path__, KerasRecord)

# Files name an optimizer by its class here, where Keras has not seen it registered.
globals().update({record.optimizer.__name__: record.optimizer for record in RECORDS.values()})
