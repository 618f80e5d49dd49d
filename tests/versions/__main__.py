"""Tests the oldest and the newest supported versions, and writes docs/versions.md: `make test-versions`."""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from environments import BUILD, SETS, installed, lock, make
from page import PAGE, Matrix, page
from parts import Outcome, Suite, parity, run, suites
from rich.console import Console


def main() -> int:
    """Make the environments, run the parts and write the page; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python tests/versions", description=__doc__)
    parser.add_argument("--only", choices=SETS, action="append", help="one set, and no page")
    parser.add_argument("--jobs", type=int, default=2, help="suites at a time, each on one core")
    parser.add_argument("--lock", action="store_true", help="only write oldest.txt, from pyproject's floors")
    arguments = parser.parse_args()
    if arguments.lock:
        lock()
        return 0
    console = Console(highlight=False)
    pythons = {name: make(name) for name in arguments.only or SETS}

    def tried(name: str, suite: Suite) -> Outcome:
        outcome = run(suite, pythons[name], BUILD / f"{name}-reports")
        console.print(f"{name}, {outcome.where}: {outcome} ({outcome.seconds:.0f} s of CPU time)")
        return outcome

    def compared(name: str) -> tuple[dict[str, float], float]:
        distances, seconds = parity(pythons[name], BUILD / f"{name}-parity")
        console.print(f"{name}, demonstration: {distances or 'FAILED'} ({seconds:.0f} s of CPU time)")
        return distances, seconds

    with ThreadPoolExecutor(arguments.jobs) as pool:
        running = {name: [pool.submit(tried, name, suite) for suite in suites()] for name in pythons}
        demonstrations = {name: pool.submit(compared, name) for name in pythons}
    matrices = [
        Matrix(name, installed(python), [job.result() for job in running[name]], demonstrations[name].result()[0])
        for name, python in pythons.items()
    ]
    outcomes = [outcome for matrix in matrices for outcome in matrix.outcomes]
    seconds = sum(outcome.seconds for outcome in outcomes) + sum(job.result()[1] for job in demonstrations.values())
    console.print(f"{seconds / 60:.1f} minutes of CPU time")
    if len(matrices) == len(SETS):
        PAGE.write_text(page(matrices))
        console.print(f"wrote {PAGE.relative_to(Path.cwd())}")
    passed, failed = (sum(sum(getattr(each, what).values()) for each in outcomes) for what in ("passed", "failed"))
    console.print(f"{passed} passed, {failed} failed")
    return int(bool(failed) or not all(matrix.distances for matrix in matrices))


if __name__ == "__main__":
    sys.exit(main())
