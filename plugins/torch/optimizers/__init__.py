"""Each kind of optimizer in torch: its own class where that expresses the spec, and its own kernels."""

from ...core.specs.records import records
from .record import TorchRecord

RECORDS = records(__name__, __path__, TorchRecord)
