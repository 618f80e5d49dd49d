"""docs/trainers.md says of each configuration of the trainers what the tests of both frameworks see of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_is_that_of_the_tables() -> None:
    page = ROOT / "docs" / "trainers.md"
    before = page.read_text()
    try:
        subprocess.run([sys.executable, ROOT / "docs" / "trainers.py"], check=True)
        assert page.read_text() == before, "write it anew with `make docs`"
    finally:
        page.write_text(before)
