"""Writes docs/trainers.md from the tables of configurations that the tests run: `make docs`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
BACKENDS = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}

HEAD = """# Under everything that the trainers do

Each row is a configuration that the tests train in. *Exact* means: what the optimizer really used at every update, read
from the weights that it left, is what the golden tables have. Anything else is refused with the sentence in the row,
before the first batch where the row says nothing else. A dash: the framework itself has no such thing there. An epoch
that ends before it has made its updates, for no known reason, is warned of: values belong to positions, and the next
epoch begins with its own.

This page is written by `make docs` from the tests' own tables, `tests/lightning/configurations.json` and
`tests/keras/configurations.json`.
"""


def rows(framework: str) -> list[dict[str, Any]]:
    """The table of a framework's tests."""
    found: list[dict[str, Any]] = json.loads((ROOT / "tests" / framework / "configurations.json").read_text())
    return found


def outcome(row: dict[str, Any]) -> str:
    """What the tests see of a row, in the words of the page."""
    if row["outcome"] == "exact":
        return "exact"
    when = row.get("noticed")
    return f"refused{f' ({when})' if when else ''}: {row['outcome']}"


def cell(text: str) -> str:
    """A text within a Markdown table."""
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
