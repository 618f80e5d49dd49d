"""Tests the oldest and the newest supported versions, and writes docs/versions.md: `make test-versions`."""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor

from environments import BUILD, SETS, installed, lock, make
from page import PAGE, Set, page
from parts import Outcome, Suite, run, suites
from rich.console import Console


def main() -> int:
    """Make the environments, run the parts and write the page; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python tests/versions", description=__doc__)
    parser.add_argument("--set", choices=SETS, help="one set, and no page")
    parser.add_argument("--suite", choices=[suite.where for suite in suites()], help="one suite, and no page")
    parser.add_argument("--jobs", type=int, default=2, help="suites at a time, each on one core")
    parser.add_argument("--lock", action="store_true", help="only write oldest.txt, from pyproject's floors")
    arguments = parser.parse_args()
    if arguments.lock:
        lock()
        return 0
    console = Console(highlight=False)
    pythons = {name: make(name) for name in SETS if arguments.set in (None, name)}
    chosen = [suite for suite in suites() if arguments.suite in (None, suite.where)]

    def tried(name: str, suite: Suite) -> Outcome:
        outcome = run(suite, pythons[name], BUILD / f"{name}-reports")
        console.print(f"{name}, {outcome.where}: {outcome} ({outcome.seconds:.0f} s of CPU time)")
        return outcome

    with ThreadPoolExecutor(arguments.jobs) as pool:
        running = {name: [pool.submit(tried, name, suite) for suite in chosen] for name in pythons}
    sets = [Set(name, installed(python), [job.result() for job in running[name]]) for name, python in pythons.items()]
    outcomes = [outcome for each in sets for outcome in each.outcomes]
    console.print(f"{sum(outcome.seconds for outcome in outcomes) / 60:.1f} minutes of CPU time")
    if not arguments.set and not arguments.suite:
        PAGE.write_text(page(sets))
        console.print(f"wrote {PAGE}")
    passed, failed = (sum(sum(getattr(each, what).values()) for each in outcomes) for what in ("passed", "failed"))
    console.print(f"{passed} passed, {failed} failed")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
