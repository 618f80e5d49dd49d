"""Compares the core's values under this machine's C library and under another: `python tests/other_libm`.

The other one is musl, in Pyodide under node; `--by COMMAND` runs `COMMAND values.py COMPOSITIONS OUT` instead.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

sys.path[:0] = [str(Path(__file__).parents[2])]
from tests.other_libm.compositions import compositions  # noqa: E402

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[2]
BUILD = ROOT / "build" / "other_libm"
MOST = 8  # units in the last place between two float64
COMPOSITIONS = 1000


class Row(NamedTuple):
    """What was found of a family: `apart` are the float64 that differ, `float32` those that differ after rounding."""

    family: str
    values: int
    apart: int
    ulps: int
    float32: int

    @property
    def agrees(self) -> bool:
        return self.ulps <= MOST and not self.float32


def compared(here: Mapping[str, array[float]], there: Mapping[str, array[float]]) -> list[Row]:
    """A row for each family; raises ValueError if the two have not the same ones, or not as many values."""
    if {name: len(each) for name, each in here.items()} != {name: len(each) for name, each in there.items()}:
        raise ValueError("the two did not compute the same values")
    rows = []
    for family, ours in here.items():
        a, b = np.array(ours), np.array(there[family])
        ulps = np.abs(a.view(np.int64) - b.view(np.int64))  # of numbers of one sign, the bits are in order
        float32 = np.count_nonzero(a.astype(np.float32) != b.astype(np.float32))
        rows.append(Row(family, len(a), int(np.count_nonzero(ulps)), int(ulps.max()), int(float32)))
    return rows


def pyodide() -> list[str]:
    """The command of Pyodide, which is installed into build/ if the one there is not the one of package-lock.json."""
    lock, installed = HERE / "package-lock.json", BUILD / "package-lock.json"
    missing = [name for name in ("node", "npm") if shutil.which(name) is None]
    if missing:
        sys.exit(f"found no {' and no '.join(missing)}; install Node.js 18 or newer, with npm, to run Pyodide.")
    if not installed.exists() or installed.read_bytes() != lock.read_bytes():
        BUILD.mkdir(parents=True, exist_ok=True)
        shutil.copy(HERE / "package.json", BUILD)
        shutil.copy(lock, BUILD / "wanted.json")
        shutil.copy(lock, installed)
        try:
            subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=BUILD, check=True)
        except subprocess.CalledProcessError:
            installed.unlink()
            sys.exit("npm did not install Pyodide; see above.")
    return ["node", str(HERE / "pyodide.mjs"), str(BUILD / "node_modules"), str(ROOT)]


def computed(commands: Sequence[Sequence[str]], only: str) -> list[dict[str, array[float]]]:
    """The values that each of these Pythons computes; they run side by side."""
    with tempfile.TemporaryDirectory() as folder:
        given = Path(folder) / "compositions.json"
        given.write_text(json.dumps(compositions(COMPOSITIONS) if only in ("", "random compositions") else []))
        outs = [Path(folder) / f"{number}.pickle" for number in range(len(commands))]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
        running = [
            subprocess.Popen([*command, str(HERE / "values.py"), str(given), str(out), only], env=environment)
            for command, out in zip(commands, outs, strict=True)
        ]
        ended = [each.wait() for each in running]
        if any(ended):
            sys.exit("a Python did not compute its values; see above.")
        return [pickle.loads(out.read_bytes()) for out in outs]


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare and print the table; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python tests/other_libm", description=__doc__)
    parser.add_argument("--by", type=shlex.split, help="the command of the other Python instead of Pyodide")
    parser.add_argument("--only", default="", help="only this family of values")
    given = parser.parse_args(arguments)
    begun = time.perf_counter()
    rows = compared(*computed([[sys.executable], given.by or pyodide()], given.only))
    table = Table("values", "compared", "other float64", "at most [ulp]", "other float32")
    for row in rows:
        table.add_row(row.family, *(f"{each:,}" for each in row[1:]), style=None if row.agrees else "red")
    console = Console(width=110)
    console.print(table)
    failed = [row.family for row in rows if not row.agrees]
    total, apart = (sum(row[column] for row in rows) for column in (1, 2))
    console.print(
        f"{total:,} values, {apart:,} other float64, at most {max(row.ulps for row in rows)} ulp apart; "
        f"{sum(row.float32 for row in rows):,} other float32; {time.perf_counter() - begun:.0f} seconds",
        soft_wrap=True,
    )
    if failed:
        console.print(f"expected every float32 equal and at most {MOST} ulp: see {', '.join(failed)}", style="red")
    return 1 if failed or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
