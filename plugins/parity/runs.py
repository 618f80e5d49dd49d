"""The record of one training run, and its file format between processes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..core.checkpoints.trace import Trace
from .problem import Weights


@dataclass
class Run:
    """One framework's training run.

    Attributes:
        framework: The framework's name.
        trace: The hyperparameters used.
        losses: The loss of each update's batch, before the update.
        weights: The network's weights after each epoch; kernels have shape (inputs, outputs).
    """

    framework: str
    trace: Trace = field(default_factory=Trace)
    losses: list[float] = field(default_factory=list)
    weights: list[Weights] = field(default_factory=list)

    def save(self, path: Path) -> None:
        """Write this run into one .npz file."""
        arrays = {f"{epoch}/{name}": w for epoch, weights in enumerate(self.weights) for name, w in weights.items()}
        text = json.dumps({"framework": self.framework, "trace": self.trace.to_dict(), "losses": self.losses})
        np.savez(path, json=np.frombuffer(text.encode(), np.uint8), **arrays)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: Path) -> Run:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as file:
            data = json.loads(file["json"].tobytes().decode())
            run = cls(data["framework"], Trace.from_dict(data["trace"]), data["losses"])
            for key in file.files:
                epoch, _, name = key.partition("/")
                if name:
                    while len(run.weights) <= int(epoch):
                        run.weights.append({})
                    run.weights[int(epoch)][name] = file[key]
        return run
