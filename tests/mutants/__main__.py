"""Mutates the core, runs the tests that reach each mutant, and writes build/figures/mutants.json: `make mutants`."""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatch
from importlib.metadata import version
from pathlib import Path

import session
from mutations import Mutant, all_mutants

ROOT = Path(__file__).parents[2]
CORE = ROOT / "plugins" / "core"
FIGURES = ROOT / "build" / "figures"
EQUIVALENT = Path(__file__).parent / "equivalent.toml"
# Of the mutants that are tried, before their survivors are judged; low, so that a few mutants do not miss it by chance.
# The aim is 0.95 after that.
LEAST = 0.7
# Left out: what trains in a process of its own, where no mutant is, and the comparisons with other libraries, which
# would have to be loaded.
LEFT_OUT = ("house", "package", "named_types", "keras_schedules", "optax_schedules", "transformers_schedules")
LEFT_OUT += ("torch_schedulers", "plateau_peers")


def equivalents(mutants: Sequence[Mutant]) -> dict[Mutant, str]:
    """The mutants that no test can kill, with the reason; an entry whose mutant no longer exists is an error."""
    known = {mutant.key: mutant for mutant in mutants}
    found = {}
    for entry in tomllib.loads(EQUIVALENT.read_text(encoding="utf-8")).get("mutant", []):
        key = (entry["file"], entry["function"], entry["was"], entry["becomes"], entry.get("nth", 0))
        if key not in known:
            sys.exit(f"{EQUIVALENT.name} has an entry whose mutant no longer exists: {key}")
        found[known[key]] = entry["because"]
    return found


def sampled(mutants: Sequence[Mutant], number: int | None, seed: str) -> list[Mutant]:
    """At most this number of mutants of each module, chosen by the seed."""
    chosen = []
    for file in dict.fromkeys(mutant.file for mutant in mutants):
        of_file = [mutant for mutant in mutants if mutant.file == file]
        random_of_file = random.Random(f"{seed} {file}")
        keep = len(of_file) if number is None else min(number, len(of_file))
        chosen += random_of_file.sample(of_file, keep)
    return chosen


def commit() -> str:
    """The commit that is checked out."""
    done = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def main() -> int:
    """Run the mutants, print the survivors and the score; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python tests/mutants", description=__doc__)
    parser.add_argument("--sample", type=int, metavar="N", help="at most N mutants of each module")
    parser.add_argument("--seed", default=commit(), help="what chooses the sample (the commit)")
    parser.add_argument("--only", default="*", metavar="GLOB", help="the modules, such as schedules/*")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="number of mutants run at a time")
    parser.add_argument("--seconds", type=float, default=5, help="of tests for a mutant, the quick ones first")
    parser.add_argument("--reach", type=Path, help="where to keep which tests reach what, and to take it from")
    parser.add_argument("--again", type=Path, help="run only the survivors of such a file")
    arguments = parser.parse_args()
    begun = time.perf_counter()
    everything = list(all_mutants(CORE))
    equivalent = equivalents(everything)
    mutants = [mutant for mutant in everything if fnmatch(mutant.file, arguments.only)]
    chosen = sampled(mutants, arguments.sample, arguments.seed)
    if arguments.again:
        before = {tuple(key) for key in json.loads(arguments.again.read_text())["survivors"]}
        chosen = [mutant for mutant in mutants if mutant.key in before]
    print(f"{len(chosen)} of {len(everything)} mutants, seed {arguments.seed}", flush=True)

    tests = [
        str(path)
        for path in sorted((ROOT / "tests" / "core").glob("test_*.py"))
        if path.stem.removeprefix("test_") not in LEFT_OUT
    ]
    reach = measured(tests, arguments.reach)
    judged = [mutant for mutant in chosen if mutant not in equivalent]
    unchanged = [
        mutant._replace(becomes=mutant.was)
        for mutant in random.Random(arguments.seed).sample(judged, min(3, len(judged)))
    ]
    killing = session.Killing(CORE, [*unchanged, *judged], reach, arguments.jobs, arguments.seconds)
    session.run(killing, tests)
    status = killing.status
    if broken := [each for each in unchanged if status[each] in (session.KILLED, session.TIMEOUT)]:
        sys.exit(f"tests fail without a mutant: {broken}")

    rows, survivors = {}, []
    for file in dict.fromkeys(mutant.file for mutant in chosen):
        of_file = Counter(status.get(mutant, "equivalent") for mutant in chosen if mutant.file == file)
        rows[file] = {"mutants": sum(mutant.file == file for mutant in everything), **of_file}
    for mutant in sorted((m for m in judged if status[m] == session.SURVIVED), key=str):
        survivors.append(mutant)
        print(f"survived: {mutant}")
    total = Counter(status[mutant] for mutant in judged)
    # Lines that only the suites that train reach say nothing about the core's own tests; they are counted apart.
    tried = sum(total.values()) - total[session.NOT_POSSIBLE] - total[session.UNREACHED]
    score = (total[session.KILLED] + total[session.TIMEOUT]) / tried if tried else 1.0
    print(
        f"{dict(total)}, {len(chosen) - len(judged)} equivalent: {score:.2%} killed; "
        f"{time.perf_counter() - begun:.0f} seconds"
    )
    FIGURES.mkdir(parents=True, exist_ok=True)
    figures = {
        "commit": commit(),
        "date": time.strftime("%Y-%m-%d"),
        "mutmut": version("mutmut"),
        "sample": arguments.sample,
        "seed": arguments.seed,
        "rows": rows,
        "survivors": [mutant.key for mutant in survivors],
    }
    (FIGURES / "mutants.json").write_text(json.dumps(figures, indent=1))
    return 0 if score >= LEAST else 1


def measured(tests: Sequence[str], kept: Path | None) -> session.Reach:
    """Which tests reach which lines."""
    if kept and kept.exists():
        return session.load(kept)
    child = os.fork()  # a process of its own, so that no cache is full when the mutants come
    path = kept or FIGURES / "reach.json"
    if not child:
        path.parent.mkdir(parents=True, exist_ok=True)
        measuring = session.Measuring(CORE)
        session.run(measuring, tests)
        session.save(measuring.reach(), path)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        sys.exit("the tests could not be measured")
    return session.load(path)


if __name__ == "__main__":
    sys.exit(main())
