"""What has changed in the public API since the last release is named in the changelog."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from public import api

import samestep

LAST = Path(__file__).parent / "0.2.0.txt"
CHANGELOG = (Path(__file__).parents[2] / "CHANGELOG.md").read_text(encoding="utf-8")


def unreleased() -> str:
    """The section of the changelog for what comes next."""
    return CHANGELOG.partition("\n## Unreleased\n")[2].partition("\n## ")[0]


def names(lines: set[str]) -> set[str]:
    """The last part of each name: of `samestep.Plan.columns(self, ...)` it is `columns`."""
    return {line.partition("(")[0].rpartition(".")[2] for line in lines}


def test_every_change_since_the_last_release_is_named_in_the_changelog() -> None:
    changed = set(LAST.read_text(encoding="utf-8").splitlines()) ^ set(api())
    unnamed = {name for name in names(changed) if not re.search(rf"\b{name}\b", unreleased())}
    assert not unnamed, sorted(line for line in changed if names({line}) & unnamed)


def test_the_last_release_is_the_changelogs() -> None:
    releases = re.findall(r"^## (\d\S*)", CHANGELOG, flags=re.MULTILINE)
    expected = releases[0] if unreleased() else releases[1]
    assert expected == LAST.stem, (
        f"python tests/api/public.py > tests/api/{expected}.txt, at the commit of that release"
    )


@pytest.mark.parametrize("name", ["AdamW", "lightning.build_optimizer", "keras.TraceRecorder", "parity.check"])
def test_the_text_has_the_names_of_every_room(name: str) -> None:
    assert any(line.startswith(f"{samestep.__name__}.{name}(") for line in api())
