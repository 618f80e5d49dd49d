"""docs/versions.md, from what was found."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from math import nan
from pathlib import Path
from typing import NamedTuple

from environments import PACKAGES, ROOT
from parts import Outcome

PAGE = ROOT / "docs" / "versions.md"
BETWEEN = Path(__file__).with_name("between.json")

HEAD = """# Versions

samestep supports Python 3.11 and later, and the versions of the frameworks of about the last two years. At most three
differences between the versions of a library are kept; then its floor is raised. There are no upper bounds: every run
of CI tries the newest releases.

`make test-versions` makes two environments, runs a part of the tests in both, and writes this page. *Oldest* has every
floor of `pyproject.toml` at once (`tests/versions/oldest.txt`). *Newest* has what the package index offers, on the
newest Python of the machine for which every framework is published; it leaves out triton, since tensorflow 2.21 and the
triton 3.9 of torch 2.15's CUDA build, imported in one process, end it.
"""


class Set(NamedTuple):
    """One set of versions, and what came of each suite."""

    name: str
    versions: dict[str, str]
    outcomes: Sequence[Outcome]


def page(sets: Sequence[Set]) -> str:
    """The whole page."""
    names = [each.name for each in sets]
    versions = [[package, *(each.versions[package] for each in sets)] for package in ("Python", *PACKAGES)]
    lines = [HEAD, *_table(["", *names], versions), "", f"Tests that passed on {date.today()}:", ""]
    by_suite = list(zip(*(each.outcomes for each in sets), strict=True))
    lines += _table(["", *names], (row for outcomes in by_suite for row in _rows(outcomes)))
    lines += ["", "Distance of the demo's final weights from Lightning's, relative to the distance travelled:", ""]
    lines += _table(["", *names], (row for outcomes in by_suite for row in _distances(outcomes)))
    for each in sets:
        skipped = sum((Counter(outcome.skipped) for outcome in each.outcomes), Counter[str]())
        lines += ["", f"Skipped on the {each.name} set:", ""] if skipped else []
        lines += [f"- {count} {'test' if count == 1 else 'tests'}: {reason}" for reason, count in skipped.items()]
    return "\n".join([*lines, "", *_between()]) + "\n"


def _rows(outcomes: Sequence[Outcome]) -> Iterator[list[str]]:
    """The rows of one suite: a row per part, a column per set."""
    for part in dict.fromkeys(name for outcome in outcomes for name in (*outcome.passed, *outcome.failed)):
        yield [f"{outcomes[0].where}: {part}", *(_cell(outcome, part) for outcome in outcomes)]


def _distances(outcomes: Sequence[Outcome]) -> Iterator[list[str]]:
    """The rows of the demonstration: a row per framework, a column per set."""
    for framework in dict.fromkeys(name for outcome in outcomes for name in outcome.distances):
        yield [framework, *(f"{outcome.distances.get(framework, nan):.1e}" for outcome in outcomes)]


def _cell(outcome: Outcome, part: str) -> str:
    failed = outcome.failed.get(part, 0)
    return f"{outcome.passed.get(part, 0):,}" + f", **{failed:,} failed**" * bool(failed)


def _between() -> Iterator[str]:
    """The sets that were tried by hand."""
    found = json.loads(BETWEEN.read_text())
    yield from ("## Between", "", f"Tried by hand on {found['date']}:", "")
    yield from _table(found["columns"], found["rows"])
    yield from ("", f"Not tried: {found['not_tried']}")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|---" * len(head) + "|"
    yield from (f"| {' | '.join(row)} |" for row in rows)
