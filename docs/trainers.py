"""Writes docs/trainers.md from the tests' tables of configurations: `make docs`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
BACKENDS = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}

HEAD = """# Under every trainer

Every configuration we test: exact, or refused with the message shown. *Exact* means that the values the optimizer
really used at every update, read back from the weights it left, are those of the golden tables. *Refused* means an
error before the first batch, unless the row says when. A dash means that the framework itself does not support the
combination.

An epoch that ends early for no known reason is a warning: values belong to positions, so the next epoch starts with its
own.

`make docs` writes this page from the tests' own tables, `tests/lightning/configurations.json` and
`tests/keras/configurations.json`.
"""


def rows(framework: str) -> list[dict[str, Any]]:
    """The table of a framework's tests."""
    found: list[dict[str, Any]] = json.loads((ROOT / "tests" / framework / "configurations.json").read_text())
    return found


def outcome(row: dict[str, Any]) -> str:
    """The outcome that the tests of a row expect, as the page shows it."""
    if row["outcome"] == "exact":
        return "exact"
    when = row.get("noticed")
    return f"refused{f' ({when})' if when else ''}: {row['outcome']}"


def cell(text: str) -> str:
    """Text escaped for a Markdown table."""
    return text.replace("|", "\\\\|")


def page() -> str:
    """The whole page."""
    lines = [HEAD, "## Lightning", "", "| configuration | |", "|---|---|"]
    lines += [f"| {cell(row['name'])} | {cell(outcome(row))} |" for row in rows("lightning")]
    lines += ["", "## Keras", "", f"| configuration | {' | '.join(BACKENDS.values())} | |", "|---|---|---|---|---|"]
    for row in rows("keras"):
        mark = "exact" if row["outcome"] == "exact" else "refused"
        marks = [mark if backend in row["backends"] else "-" for backend in BACKENDS]
        sentence = "" if mark == "exact" else cell(outcome(row))
        lines.append(f"| {cell(row['name'])} | {' | '.join(marks)} | {sentence} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    (ROOT / "docs" / "trainers.md").write_text(page())
