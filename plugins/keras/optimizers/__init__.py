"""Keras optimizers built from specs, with torch's numerics on every backend."""

from ...core.specs.records import records
from .record import KerasRecord

RECORDS = records(__name__, __path__, KerasRecord)

# Saved files name an optimizer by its class in this module if Keras has not registered it.
globals().update({record.optimizer.__name__: record.optimizer for record in RECORDS.values()})
