"""Writes docs/trust.md from what `make mutants coverage types` left in build/figures/, and from docs/soak.md."""

from __future__ import annotations

import json
import math
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "build" / "figures"
ROOMS = ("core", "exchange", "torch", "lightning", "keras", "parity")
KILLED = ("killed", "timeout")
SURVIVED = ("survived",)

HEAD = """# Figures that you can check

What was measured, when, and the command that measures it again. `make trust` writes this page from the files that these
commands leave in `build/figures/`.
"""


def read(name: str) -> Any:
    """A file of figures; None if its command has not been run."""
    path = FIGURES / name
    return json.loads(path.read_text()) if path.exists() else None


def section(title: str, command: str, lines: Callable[[Any], Iterator[str]]) -> Iterator[str]:
    """A section of the page, from the figures of a command, or that it has not been run."""
    found = read(f"{command}.json")
    yield from (f"## {title}", "")
    yield from lines(found) if found is not None else [f"Not measured yet: `make {command}`."]
    yield ""


def note(found: Any) -> str:
    """What else is to be said of these figures, if their file has a note."""
    return f" {found['note']}" if "note" in found else ""


def percent(part: int, whole: int) -> str:
    """A share, rounded down, so that 100 % is all."""
    return f"{math.floor(1000 * part / whole) / 10} %" if whole else "-"


def shortened(code: str) -> str:
    """Code in a line."""
    line = " ".join(code.split())
    return line if len(line) <= 100 else f"{line[:97]}..."


def interval(part: int, whole: int) -> str:
    """The 95 % interval of a share that a sample has, by Wilson."""
    p, n, z = part / whole, whole, 1.96
    middle, half = (p + z * z / (2 * n)), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low, high = ((middle + sign * half) / (1 + z * z / n) for sign in (-1, 1))
    return f"{100 * low:.1f} to {100 * high:.1f} %"


def tests() -> Iterator[str]:
    """The tests that ran, by suite."""
    paths = sorted(FIGURES.glob("test-*.xml"))
    if not paths:
        yield from ("## Tests", "", "Not counted yet: `make coverage`.", "")
        return
    yield from ("## Tests", "", "`make test` runs them, `make coverage` too and counts.", "")
    yield from ("| suite | passed | skipped | failed |", "|---|---:|---:|---:|")
    for path in paths:
        suite = ElementTree.parse(path).getroot().find("testsuite")
        count = {name: int(suite.get(name, "0")) for name in ("tests", "skipped", "failures", "errors")}  # type: ignore[union-attr]
        failed = count["failures"] + count["errors"]
        passed = count["tests"] - count["skipped"] - failed
        yield f"| {path.stem.removeprefix('test-')} | {passed:,} | {count['skipped']} | {failed} |"
    yield ""


def mutants(found: Any) -> Iterator[str]:
    """The score of each module of the core."""
    rows = {file: Counter(row) for file, row in found["rows"].items()}
    total = sum(rows.values(), Counter[str]())
    killed, left = (sum(total[name] for name in names) for names in (KILLED, SURVIVED))
    how = (
        "every mutant"
        if found["sample"] is None
        else f"at most {found['sample']} mutants of each module, drawn at random"
    )
    yield from (
        "`make mutants` changes one thing in a function of `core/` and runs the tests that reach its line. On "
        f"{found['date']}, commit {found['commit']}, with the operators of mutmut {found['mutmut']}: {how} "
        f"(seed `{found['seed']}`) of "
        f"{total['mutants']:,}.",
        "",
        f"{killed + left:,} mutants tried, {killed:,} killed: {percent(killed, killed + left)} "
        f"(95 % interval: {interval(killed, killed + left)}). {total['timeout']} of them by running too long. "
        f"{total['equivalent']} more no test can kill; `tests/mutants/equivalent.toml` says why. "
        f"{total['unreached']} are on lines that only the suites that train reach, or none; they are not counted."
        f"{note(found)}",
        "",
        "Not mutated: module and class level, default values, decorators, wording of messages. Left out of the tests: "
        "the comparisons with other libraries.",
        "",
        "| module | mutants | tried | killed | survived | equivalent | not reached |",
        "|---|---:|---:|---:|---:|---:|---:|",
    )
    for file, row in rows.items():
        killed, left = (sum(row[name] for name in names) for names in (KILLED, SURVIVED))
        cells = (file, row["mutants"], killed + left, killed, left, row["equivalent"], row["unreached"])
        yield f"| {' | '.join(map(str, cells))} |"
    if found["survivors"]:
        yield from ("", "Survivors:", "")
        yield from (
            f"- `{file}`, `{function}`: `{shortened(was)}` -> `{shortened(becomes)}`"
            for file, function, was, becomes, _ in found["survivors"]
        )


def coverage(found: Any) -> Iterator[str]:
    """Lines and branches of each room."""
    count: dict[str, Counter[str]] = {room: Counter() for room in ROOMS}
    for file, figures in found["files"].items():
        room = Path(file).parts[1]
        if room in count:
            count[room].update({name: n for name, n in figures["summary"].items() if isinstance(n, int)})
    yield from (
        f"`make coverage` runs all suites, Keras once per backend, and the processes that they start. coverage "
        f"{found['meta']['version']}, {found['meta']['timestamp'][:10]}.{note(found)}",
        "",
        "| room | branches | reached | | lines | reached | |",
        "|---|---:|---:|---:|---:|---:|---:|",
    )
    for room, row in count.items():
        if not row:
            continue
        branches, lines = (row["covered_branches"], row["num_branches"]), (row["covered_lines"], row["num_statements"])
        cells = (f"{whole:,} | {part:,} | {percent(part, whole)}" for part, whole in (branches, lines))
        yield f"| {room} | {' | '.join(cells)} |"


def types(found: Any) -> Iterator[str]:
    """How complete the types are."""
    complete = found["typeCompleteness"]
    known = complete["exportedSymbolCounts"]
    yield (
        f"`make types` asks pyright {found['version']}: {100 * complete['completenessScore']:.1f} % of the "
        f"{sum(known.values()):,} symbols of all modules have a known type, {known['withAmbiguousType']} an inferred "
        f"one, {known['withUnknownType']} a partly unknown one. `mypy --strict` passes on `core/`."
    )


def sweeps() -> Iterator[str]:
    """The sum of docs/soak.md."""
    text = (ROOT / "docs" / "soak.md").read_text()
    total = re.search(r"^[\d,]+ cases, .* failures\.$", text, flags=re.MULTILINE)
    versions = re.search(r"^Python .*$", text, flags=re.MULTILINE)
    if total is None or versions is None:
        sys.exit("found no sum in docs/soak.md; run make soak.")
    yield from ("## Sweeps and fuzzing", "", f"`make soak`, see [soak.md](soak.md): {total[0]} {versions[0]}", "")


def page() -> str:
    """docs/trust.md."""
    measured = (
        section("Mutants of the core", "mutants", mutants),
        section("Coverage", "coverage", coverage),
        section("Types", "types", types),
    )
    return "\n".join([HEAD, *tests(), *chain.from_iterable(measured), *sweeps()]).rstrip() + "\n"


if __name__ == "__main__":
    (ROOT / "docs" / "trust.md").write_text(page())
