"""What the TraceRecorders of both frameworks share."""

from __future__ import annotations

from ..arguments.check import ChecksArguments
from ..checkpoints.trace import Trace


class TraceRecorder(ChecksArguments):
    """Record the values that the optimizer really uses, update by update, into `trace`.

    Attributes:
        traces: The traces of the latest training run, by the submodel that each optimizer trains; "" for a single
            optimizer.
    """

    def __init__(self) -> None:
        super().__init__()
        self.traces = {"": Trace()}

    @property
    def trace(self) -> Trace:
        """The `Trace` of the latest training run; raises ValueError if there are several optimizers."""
        if len(self.traces) > 1:
            raise ValueError(
                f"{type(self).__name__}: found the traces of {len(self.traces)} optimizers; write one of "
                f"{', '.join(f'traces[{name!r}]' for name in self.traces)}."
            )
        (trace,) = self.traces.values()
        return trace
