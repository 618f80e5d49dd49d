"""One framework's part of a comparison, in its own process: `python -m samestep.parity.worker JOB FRAMEWORK`.

Prints a line `epoch N` after each epoch, and writes `FRAMEWORK.npz` and, for the stock optimizers,
`FRAMEWORK.stock.npz` next to the job.
"""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path


def main(job: Path, framework: str) -> None:
    """Run a job in `framework`: "lightning", or "keras-" and the backend."""
    if framework.startswith("keras-"):
        os.environ["KERAS_BACKEND"] = framework.removeprefix("keras-")
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        from .in_keras import train
    else:
        from .in_lightning import train  # type: ignore[assignment]
    plan, problem, stock = pickle.loads(job.read_bytes())  # written by the parent process
    for number, by_stock in enumerate((False, True) if stock else (False,)):
        offset = number * problem.epochs
        run = train(plan, problem, by_stock, lambda epoch, offset=offset: print("epoch", offset + epoch, flush=True))  # type: ignore[misc]
        run.save(job.parent / f"{framework}{'.stock' if by_stock else ''}.npz")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
