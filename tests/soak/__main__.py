"""Runs the sweeps to the end and writes docs/soak.md: `make soak`, or `python tests/soak --only NAME --sample 10`."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import fuzz
import killed_keras
import replaced
import resume_lightning
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from sweep import Case, Outcome, Sweep, choose, outcomes

SWEEPS: list[Sweep] = [*resume_lightning.SWEEPS, *killed_keras.SWEEPS, *replaced.SWEEPS, *fuzz.SWEEPS]
PAGE = Path(__file__).parents[2] / "docs" / "soak.md"
HEAD = """# The long sweeps

Each case runs on its own and is checked against the guarantee; see `tests/soak/` for what each sweep does and compares.
`make test` runs a sample. `make soak` runs them all and writes this page.

"""
COLUMNS = ("sweep", "settings", "cases", "failures", "seconds")
PACKAGES = ("torch", "pytorch-lightning", "keras", "tensorflow", "jax", "numpy")


class Row(NamedTuple):
    """A row of the table: the outcome of all cases of a sweep with the same settings."""

    sweep: str
    settings: str
    cases: int
    failures: int
    seconds: float

    def cells(self) -> list[str]:
        """The cells, as the table shows them."""
        return [self.sweep, self.settings, f"{self.cases:,}", f"{self.failures:,}", f"{self.seconds:.1f}"]


def rows(found: Sequence[Outcome]) -> list[Row]:
    """The table of these outcomes, in the order in which their settings first appear."""
    made: dict[tuple[str, str], Row] = {}
    for each in found:
        key = (each.sweep, each.case.settings)
        row = made.get(key, Row(*key, 0, 0, 0.0))
        made[key] = Row(
            *key, row.cases + each.case.count, row.failures + bool(each.failure), row.seconds + each.seconds
        )
    return list(made.values())


def page(table: Sequence[Row], seconds: float) -> str:
    """docs/soak.md."""
    versions = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    failures = sum(row.failures for row in table)
    lines = [
        f"Python {platform.python_version()}, {versions}; {os.cpu_count()} cores; {seconds:.0f} seconds.",
        f"{sum(row.cases for row in table):,} cases, {failures or 'no'} failures.",
        "",
        f"| {' | '.join(COLUMNS)} |",
        "|---|---|---:|---:|---:|",
        *(f"| {' | '.join(row.cells())} |" for row in table),
    ]
    return HEAD + "\n".join(lines) + "\n"


def main() -> int:
    """Run the sweeps, print what failed and the table; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python tests/soak", description=__doc__)
    parser.add_argument("--only", choices=[sweep.name for sweep in SWEEPS], help="run only this sweep")
    parser.add_argument("--sample", type=int, metavar="N", help="at most N cases of each row of the table")
    parser.add_argument("--case", help="run only this case, named as in a failure")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="number of cases run in parallel")
    arguments = parser.parse_args()
    console, found, begun = Console(), list[Outcome](), time.perf_counter()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with tempfile.TemporaryDirectory(prefix="samestep-") as folder, Progress(*columns, console=console) as bars:
        chosen: list[tuple[Sweep, list[Case]]] = [
            (sweep, choose(sweep, Path(folder) / sweep.name, arguments.case, arguments.sample))
            for sweep in SWEEPS
            if arguments.only in (None, sweep.name)
        ]
        for sweep, cases in chosen:
            bar = bars.add_task(sweep.name, total=len(cases))
            for outcome in outcomes(sweep, cases, arguments.jobs):
                found.append(outcome)
                bars.advance(bar)
                if outcome.failure:
                    console.print(
                        f"{outcome.reproducer}\n{outcome.failure}\n", markup=False, style="red", soft_wrap=True
                    )
    table, seconds = rows(found), time.perf_counter() - begun
    printed = Table(*COLUMNS)
    for row in table:
        printed.add_row(*row.cells())
    console.print(printed)
    if (arguments.only, arguments.sample, arguments.case) == (None, None, None):
        PAGE.write_text(page(table, seconds))
        console.print(f"wrote {PAGE}")
    if not found:
        console.print("no such case", style="red")
    return 1 if not found or any(row.failures for row in table) else 0


if __name__ == "__main__":
    sys.exit(main())
