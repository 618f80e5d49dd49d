"""Trains a recipe in every framework, each in its own process, and compares."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

from ..core.recipes.recipe import Recipe
from ..core.specs.spec import Spec
from .problem import Problem
from .reference import train as train_reference
from .result import ParityResult
from .runs import Run

Progress = Callable[[str, int], None]


def installed_frameworks() -> list[str]:
    """The frameworks installed here: "lightning", and "keras-" with each installed backend."""
    frameworks = []
    if find_spec("torch") and (find_spec("pytorch_lightning") or find_spec("lightning")):
        frameworks.append("lightning")
    if find_spec("keras"):
        frameworks += [f"keras-{backend}" for backend in ("tensorflow", "jax", "torch") if find_spec(backend)]
    return frameworks


def check(
    recipe: Recipe,
    *,
    epochs: int = 10,
    batch_size: int = 32,
    seed: int = 0,
    frameworks: Sequence[str] | None = None,
    stock: bool = False,
    progress: Progress | None = None,
) -> ParityResult:
    """Train `recipe` in every installed framework, each in its own process, and compare the runs.

    Args:
        recipe: A recipe with a spec; any functions in it must be importable.
        epochs: The number of epochs to train.
        batch_size: The number of examples in a batch.
        seed: Seed of the initial weights and of the order of the examples.
        frameworks: Some of `installed_frameworks()`; all of them by default.
        stock: Train the frameworks' own optimizers as well, with the same hyperparameters.
        progress: Called with a framework and its number of completed epochs, from several threads.

    Returns:
        The comparison: print it, or call its `assert_same()`.

    Raises:
        ValueError: The recipe has no spec or cannot be sent to another process, or a framework is not installed, or
            none is.
        RuntimeError: A framework's process failed; the message has its output.
    """
    if not isinstance(recipe.optimizer, Spec):
        raise ValueError(f"check: found a recipe without an optimizer; give it one, such as {Spec._example}.")
    installed = installed_frameworks()
    if not installed:
        raise ValueError(
            "check: found no framework to train in; run pip install 'samestep[lightning]', or "
            "'samestep[keras,jax]', or with tensorflow or torch in place of jax."
        )
    names = list(installed if frameworks is None else frameworks)
    missing = [name for name in names if name not in installed]
    if missing or not names:
        raise ValueError(f"check: found the frameworks {names}; expected some of {installed}.")
    problem = Problem(epochs=epochs, batch_size=batch_size, seed=seed)
    plan = recipe.plan(updates_per_epoch=problem.updates_per_epoch, epochs=epochs)
    with tempfile.TemporaryDirectory(prefix="samestep-") as folder:
        job = Path(folder) / "job.pickle"
        try:
            job.write_bytes(pickle.dumps((plan, problem, stock)))
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise ValueError(
                f"check: found a recipe that cannot be sent to another process ({error}); define its functions at the "
                f"top level of a module."
            ) from None
        with ThreadPoolExecutor(max_workers=(os.cpu_count() or 2) // 2 + 1) as pool:
            futures = [pool.submit(_train, job, name, progress) for name in names]
            reference = train_reference(plan, problem)
            for future in futures:
                future.result()
        runs = {name: Run.load(Path(folder) / f"{name}.npz") for name in names}
        by_stock = {name: Run.load(Path(folder) / f"{name}.stock.npz") for name in names} if stock else {}
    return ParityResult(plan, problem, runs, by_stock, reference)


def _train(job: Path, framework: str, progress: Progress | None) -> None:
    """Run one framework's worker and report its progress."""
    log = job.parent / f"{framework}.log"
    # The network is tiny and several workers run in parallel: more threads would only wait for each other.
    environment = {"OMP_NUM_THREADS": "1", **os.environ}
    command = [sys.executable, "-m", f"{__package__}.worker", str(job), framework]
    with (
        log.open("w") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment) as worker,
    ):
        assert worker.stdout is not None  # for the type checker: we asked for a pipe
        for line in worker.stdout:
            if progress is not None and line.startswith("epoch "):
                progress(framework, int(line.split()[1]))
    if worker.returncode != 0:
        raise RuntimeError(
            f"check: {framework} failed with exit status {worker.returncode}:\n{log.read_text()[-4000:]}"
        )
