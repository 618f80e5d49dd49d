"""What pyproject.toml, README.md and the package say of each other, for those who only see the package's page."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import samestep

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
EXTRAS = PROJECT["optional-dependencies"]
BASE = PROJECT["urls"]["Homepage"]
LINK = re.compile(r"(!?)\[[^\]]*\]\(([^)\s]+)\)")
LINKS = LINK.findall(README)


def test_the_links_are_found() -> None:
    assert len(LINKS) > 10
    assert [image for image, _ in LINKS if image] == ["!"]


@pytest.mark.parametrize(("image", "link"), LINKS, ids=[link for _, link in LINKS])
def test_a_link_of_readme_is_absolute_and_leads_to_a_file_of_the_repository(image: str, link: str) -> None:
    """A package index shows README without the files beside it."""
    view, branch, path = link.removeprefix(f"{BASE}/").split("/", 2)
    assert (view, branch) == ("raw" if image else "tree" if (ROOT / path).is_dir() else "blob", "main")
    assert (ROOT / path).exists()


def test_every_address_of_the_project_has_one_base() -> None:
    assert [url for url in PROJECT["urls"].values() if not url.startswith(BASE)] == []
    files = [
        ROOT / "pyproject.toml",
        ROOT / "README.md",
        *(ROOT / "plugins").rglob("*.py"),
        *(ROOT / "docs").glob("*.md"),
    ]
    name = BASE.rpartition("/")[0].rpartition("/")[2]
    elsewhere = [
        file.name for file in files for line in file.read_text().splitlines() if name in line.replace(BASE, "")
    ]
    assert elsewhere == []


def floor(extra: str, package: str) -> str:
    (found,) = [re.split(r">=|,", each)[1] for each in EXTRAS[extra] if each.startswith(f"{package}>=")]
    return found


def test_readme_names_the_versions_that_are_required() -> None:
    pythons = [each.rpartition(" ")[2] for each in PROJECT["classifiers"] if re.search(r"Python :: 3\.\d", each)]
    assert PROJECT["requires-python"] == f">={pythons[0]}"
    lightning, keras = floor("lightning", "pytorch-lightning"), floor("keras", "keras")
    assert (
        f"Supported: Python {pythons[0]} to {pythons[-1]}, torch >= {floor('torch', 'torch')}, PyTorch Lightning "
        f">= {lightning}, Keras >= {keras}, TensorFlow >= {floor('tensorflow', 'tensorflow')}, JAX >= "
        f"{floor('jax', 'jax')}"
    ) in " ".join(README.split())


def test_no_extra_has_an_upper_bound() -> None:
    assert [each for extra in EXTRAS.values() for each in extra if re.search(r"<|==|~=", each)] == []


def test_every_package_is_packed() -> None:
    folders = {"samestep"} | {
        ".".join(("samestep", *path.parent.relative_to(ROOT / "plugins").parts))
        for path in (ROOT / "plugins").rglob("*.py")
    }
    assert set(PYPROJECT["tool"]["setuptools"]["packages"]) == folders


def test_the_version_stands_in_one_place() -> None:
    assert PYPROJECT["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "samestep.__version__"}
    assert "version" not in PROJECT
    assert f"## {samestep.__version__}\n" in (ROOT / "CHANGELOG.md").read_text()


FLOORS = {
    "torch": {"torch": ["torch"]},
    "lightning": {"torch": ["torch"], "numpy": ["lightning"], "pytorch-lightning": ["lightning"]},
    "keras": {"keras": ["keras"], "tensorflow": ["tensorflow"], "jax": ["jax"], "torch": ["torch"]},
    "exchange": {"numpy": ["lightning", "keras"]},
    "parity": {"numpy": ["parity"]},
}
"""For each room its packages, and the extras that install them."""


@pytest.mark.parametrize("room", FLOORS)
def test_the_floors_of_a_room_are_those_of_its_extra(room: str) -> None:
    files = [ROOT / "plugins" / room / name for name in ("__init__.py", "backend.py")]
    source = " ".join("\n".join(file.read_text() for file in files if file.exists()).split())
    for package, extras in FLOORS[room].items():
        for extra in extras:
            assert f'Package("{package}", "{floor(extra, package)}"' in source
