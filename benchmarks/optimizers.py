"""The cost of an update at 10 million parameters: samestep's optimizers and what one would write without them.

Run `python benchmarks/optimizers.py torch` for the updates of torch's optimizers as Lightning calls them, and `python
benchmarks/optimizers.py keras`, with KERAS_BACKEND, for whole training steps compared with Keras' own optimizers. All
candidates make updates in turn in one process, round after round. The tables show medians, and the peak memory of a
process that trains with that candidate only. Shared machines are noisy: compare ratios. If other programs use the
cores too, OMP_NUM_THREADS=1 keeps torch's threads from waiting for each other.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from rich.console import Console
from rich.table import Table

from samestep import SGDW, AdamW, NAdamW

PARAMETERS, TENSORS, ROUNDS = 10_000_000, (10, 1000), 15
SPECS: dict[str, Any] = {
    "AdamW": AdamW(1e-3, 0.01),
    "NAdamW": NAdamW(1e-3, 0.01),
    "SGDW": SGDW(1e-2, 0.01, momentum=0.9),
    "AdamW, update basis, clipped": AdamW(1e-3, 1e-5, weight_decay_basis="update", global_clipnorm=1.0),
}

Candidates = dict[str, Callable[[], Callable[[], Any]]]
"""By name what makes something that makes updates; the first of them is what the others are relative to."""


def in_torch(kind: str, tensors: int) -> Candidates:
    """torch's optimizer with its defaults, its foreach path, and samestep's."""
    import torch

    from samestep.lightning import build_optimizer

    spec = SPECS[kind]

    def model() -> torch.nn.Module:
        made = torch.nn.Module()
        size = PARAMETERS // tensors
        made.weights = torch.nn.ParameterList(torch.nn.Parameter(torch.randn(size)) for _ in range(tensors))
        for weight in made.weights:
            weight.grad = torch.randn(size)
        return made

    def torchs(foreach: bool | None) -> Callable[[], None]:
        kernel: Any = {"foreach": foreach}
        parameters: Any = list(model().parameters())
        clip = spec.global_clipnorm
        optimizer: torch.optim.Optimizer
        if isinstance(spec, AdamW):
            optimizer = torch.optim.AdamW(parameters, spec.learning_rate, weight_decay=spec.weight_decay, **kernel)
        elif isinstance(spec, NAdamW):
            optimizer = torch.optim.NAdam(
                parameters,
                spec.learning_rate,
                weight_decay=spec.weight_decay,
                decoupled_weight_decay=True,
                **kernel,
            )
        else:
            optimizer = torch.optim.SGD(
                parameters, spec.learning_rate, spec.momentum, weight_decay=spec.weight_decay, **kernel
            )

        def update() -> None:
            if clip is not None:
                torch.nn.utils.clip_grad_norm_(parameters, clip)
            optimizer.step()

        return update

    return {
        "torch, as by default": partial(torchs, None),
        "torch, foreach=True": partial(torchs, True),
        "samestep": lambda: build_optimizer(spec, model()).step,
    }


def in_keras(kind: str, tensors: int) -> Candidates:
    """A training step with Keras' own optimizer, and with samestep's."""
    import keras
    from keras import ops

    from samestep.keras import build_optimizer

    spec, size = SPECS[kind], PARAMETERS // tensors
    generator = np.random.default_rng(0)

    class Weights(keras.Model):
        """As many weights; the prediction has a gradient for each of their elements."""

        def __init__(self) -> None:
            super().__init__()
            self.all = [self.add_weight(shape=(size,), name=f"w{i}", initializer="normal") for i in range(tensors)]
            self.built = True

        def call(self, inputs: Any) -> Any:
            """Shape (1, 1)."""
            return ops.reshape(sum(ops.sum(ops.tanh(weight)) for weight in self.all), (1, 1)) * inputs

    def stock() -> Any:
        if isinstance(spec, AdamW):
            return keras.optimizers.AdamW(spec.learning_rate, spec.weight_decay, global_clipnorm=spec.global_clipnorm)
        if isinstance(spec, NAdamW):
            return keras.optimizers.Nadam(spec.learning_rate, weight_decay=spec.weight_decay)
        return keras.optimizers.SGD(spec.learning_rate, spec.momentum, weight_decay=spec.weight_decay)

    def step(make: Callable[[keras.Model], Any]) -> Callable[[], None]:
        model = Weights()
        model.compile(make(model), "mse")
        data = generator.normal(size=(8, 1)).astype("float32")

        def epoch() -> None:
            model.fit(data, data, batch_size=1, shuffle=False, verbose=0)

        return epoch

    return {
        "Keras' own": partial(step, lambda _: stock()),
        "samestep": partial(step, lambda model: build_optimizer(spec, model)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("where", choices=("torch", "keras"))
    parser.add_argument("--tensors", type=int, nargs="+", default=TENSORS)
    parser.add_argument("--kinds", nargs="+", choices=SPECS, default=list(SPECS))
    parser.add_argument("--alone", help="train this candidate alone, and print the peak of the memory in MiB")
    given = parser.parse_args()
    make = in_torch if given.where == "torch" else in_keras
    if given.alone:
        update = make(given.kinds[0], given.tensors[0])[given.alone]()
        for _ in range(3):
            update()
        # That of getrusage begins with the parent's.
        (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
        print(int(peak) // 1024)
        return
    title = "torch" if given.where == "torch" else f"Keras on {os.environ.get('KERAS_BACKEND', 'tensorflow')}, 8 steps"
    table = Table("tensors", "optimizer", "made by", "ms", "ratio", "peak MiB", title=title)
    for tensors in given.tensors:
        for kind in given.kinds:
            candidates = {name: made() for name, made in make(kind, tensors).items()}
            times: dict[str, list[float]] = {name: [] for name in candidates}
            for number in range(ROUNDS + 1):
                for name, update in candidates.items():
                    begin = time.perf_counter()
                    update()
                    if number:  # the first round makes the state, and compiles
                        times[name].append(1e3 * (time.perf_counter() - begin))
            found = {name: median(values) for name, values in times.items()}
            reference = found[next(iter(found))]
            for name, milliseconds in found.items():
                options = ["--alone", name, "--tensors", str(tensors), "--kinds", kind]
                command = [sys.executable, __file__, given.where, *options]
                peak = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1]
                table.add_row(str(tensors), kind, name, f"{milliseconds:.2f}", f"{milliseconds / reference:.2f}", peak)
            del candidates
        table.add_section()
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
