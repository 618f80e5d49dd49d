"""The set of oldest versions is the floors that pyproject.toml promises."""

from __future__ import annotations

import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[2]
EXTRAS = ("torch", "lightning", "keras", "tensorflow", "jax", "parity", "test")
RUNTIME = {"torch", "pytorch-lightning", "lightning", "keras", "tensorflow", "jax"} | {
    "matplotlib",
    "numpy",
    "rich",
    "scikit-learn",
}  # the tools of the tests are newer


def test_the_oldest_set_has_every_floor_at_once() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    floors = {
        requirement.name: min(Version(each.version) for each in requirement.specifier if each.operator == ">=")
        for extra in EXTRAS
        for requirement in map(Requirement, project["optional-dependencies"][extra])
        if requirement.name in RUNTIME
    }
    pinned = (Requirement(line) for line in (ROOT / "tests/versions/oldest.txt").read_text().splitlines())
    versions = {each.name: Version(next(iter(each.specifier)).version) for each in pinned}
    assert set(floors) == RUNTIME
    assert {name: versions[name] for name in floors} == floors
