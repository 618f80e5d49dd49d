"""How torch makes each kind of optimizer: by its own class where that expresses the spec, and by its own kernels."""

from ...core.specs.records import records
from .record import TorchRecord

RECORDS = records(__name__, __path__, TorchRecord)
