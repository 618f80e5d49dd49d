"""What is missing, too old or broken is said when a room is imported, with what to install."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from samestep.core.private_names import PrivateName, listed
from samestep.core.requirements import Package, importing, is_installed
from samestep.core.version_numbers import is_older


def last_line(program: str, **environment: str) -> str:
    """How a program ends in a Python of its own."""
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **environment}, capture_output=True, text=True
    )
    assert done.returncode == 1, done.stderr
    return done.stderr.splitlines()[-1]


def without(*modules: str) -> str:
    return f"import sys; sys.modules.update(dict.fromkeys({modules!r}))\n"  # how Python is told that there is none


LIGHTNINGS = ("pytorch_lightning", "lightning")


@pytest.mark.parametrize(
    ("room", "missing", "says"),
    [
        ("torch", ["torch"], "found no torch; run pip install 'samestep[torch]'."),
        ("lightning", ["torch"], "found no torch; run pip install 'samestep[lightning]'."),
        ("lightning", ["numpy"], "found no numpy; run pip install 'samestep[lightning]'."),
        ("exchange", ["numpy"], "found no numpy; run pip install numpy."),
        ("parity", ["numpy"], "found no numpy; run pip install 'samestep[parity]'."),
        ("parity", ["sklearn"], "found no scikit-learn; run pip install 'samestep[parity]'."),
        ("parity", ["rich"], "found no rich; run pip install 'samestep[parity]'."),
        ("parity.__main__", ["matplotlib"], "found no matplotlib; run pip install 'samestep[parity]'."),
        ("keras", ["keras", "jax"], "found no keras; run pip install 'samestep[keras,tensorflow]'."),
        ("keras", ["keras", "tensorflow"], "found no keras; run pip install 'samestep[keras,jax]'."),
    ],
)
def test_a_missing_package_is_said_with_the_command(room: str, missing: list[str], says: str) -> None:
    program = (
        without(*missing, *(["torch"] if room == "keras" and "jax" in missing else [])) + f"import samestep.{room}"
    )
    assert last_line(program) == f"ModuleNotFoundError: samestep.{room.partition('.')[0]}: {says}"


@pytest.mark.parametrize("backend", ["numpy", "tensorfow"])
def test_a_backend_that_is_unknown_is_said_before_keras_is_imported(backend: str) -> None:
    assert last_line("import samestep.keras", KERAS_BACKEND=backend) == (
        f"ImportError: samestep.keras: found Keras on the backend {backend!r}, expected tensorflow, jax or torch; set "
        f"the environment variable KERAS_BACKEND to one of them."
    )


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package, named `rowanberry`."""
    folder = tmp_path / "rowanberry"
    folder.mkdir()
    (folder / "__init__.py").write_text("__version__ = '2.4.0'\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "rowanberry", raising=False)
    return folder / "__init__.py"


def test_a_version_below_the_floor_is_said_with_the_command(package: Path) -> None:
    with importing("samestep.room", Package("rowanberry", "2.4"), install="rowanberry"):
        pass
    with (
        pytest.raises(ImportError) as raised,
        importing("samestep.room", Package("rowanberry", "2.10"), install="rowanberry"),
    ):
        pytest.fail("imported in spite of it")
    assert str(raised.value) == (
        "samestep.room: found rowanberry 2.4.0, expected at least 2.10; run pip install --upgrade 'rowanberry>=2.10'."
    )


def test_one_of_two_packages_is_enough(package: Path) -> None:
    either = Package("sorb", "2.4", ("sorb", "rowanberry"))
    with importing("samestep.room", either):
        pass
    neither = Package("sorb", "2.4", ("sorb", "hawthorn"))
    with (
        pytest.raises(ModuleNotFoundError, match="found neither sorb nor hawthorn; run pip install x"),
        importing("samestep.room", neither, install="x"),
    ):
        pytest.fail("imported in spite of it")


@pytest.mark.parametrize("broken", ["import rowanberry_s_own_requirement", "raise RuntimeError('out of order')", "no"])
def test_what_fails_inside_an_installed_package_shows_itself(package: Path, broken: str) -> None:
    package.write_text(broken)
    with (
        pytest.raises((ModuleNotFoundError, NameError, RuntimeError)) as raised,
        importing("samestep.room", Package("rowanberry", "1.0")),
    ):
        pytest.fail("imported in spite of it")
    assert "samestep" not in str(raised.value)


def test_a_folder_that_is_no_package_is_not_taken_for_one(package: Path) -> None:
    assert is_installed("rowanberry")
    package.unlink()
    assert not is_installed("rowanberry")


def test_versions_are_compared_by_their_numbers() -> None:
    assert is_older("2.9.1+cpu", "2.10")
    assert is_older("0.4.37", "0.4.38")
    assert not is_older("2.10.0a0+git123", "2.10")
    assert not is_older("2.4", "2.4")
    assert not is_older("0.12.0.1", "0.4.38")


def test_a_private_name_that_is_listed_likewise_has_the_reason_of_the_name_before() -> None:
    names = [PrivateName("math", "pi", "math 3", "circles"), PrivateName("math", "tau", "math 3", "likewise")]
    assert [each.why for each in listed(names)] == ["circles", "circles"]
