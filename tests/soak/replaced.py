"""SIGKILL while export_state's file is being replaced: there is the former one or the new one, whole."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from sweep import Case, Sweep

from samestep import exchange

KILLS = 300
AT_A_TIME = 20

# Replaces the file again and again, each time by a state of another number, and tells each that is in its place.
WRITER = """
import sys

import numpy as np

from samestep.core.checkpoints.saved import Saved
from samestep.exchange import Exchange, ParameterState, write

path, number = sys.argv[1], int(sys.argv[2])
while True:
    number += 1
    moments = {name: np.full((100_000,), number, "float32") for name in ("momentum", "velocity")}
    write(path, Exchange(Saved(number), {0: "AdamW"}, {"layer/kernel": ParameterState(number, moments)}))
    print(number, flush=True)
"""


def check(folder: Path, seed: int, kills: int = AT_A_TIME) -> str:
    """Kill the writer some times, at any moment, and read what it leaves."""
    folder.mkdir(parents=True, exist_ok=True)
    generator, path, number = random.Random(seed), folder / "state.npz", 0
    for kill in range(kills):
        command = [sys.executable, "-c", WRITER, str(path), str(number)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            told = writer.stdout.readline()  # it has begun
            time.sleep(generator.uniform(0.0, 0.03))
            writer.send_signal(signal.SIGKILL)
            told = (told + writer.stdout.read()).splitlines()[-1]
        found = exchange.read(path)
        number, last = found.saved.epoch, int(told)
        arrays = found.parameters["layer/kernel"].moments.values()
        if number not in (last, last + 1) or not all((array == number).all() for array in arrays):
            return f"kill {kill} left number {number} where {last} was the last in its place"
    return ""


def cases(folder: Path) -> Iterator[Case]:
    """Each of AT_A_TIME kills."""
    for seed in range(KILLS // AT_A_TIME):
        yield Case("SIGKILL at any moment", f"seed {seed}", partial(check, folder / str(seed), seed), AT_A_TIME)


SWEEPS = [Sweep("replaced", cases)]
