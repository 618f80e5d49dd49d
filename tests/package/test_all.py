"""Everything at once, by README's line: the demonstration, and the tests that the source distribution brings."""

from __future__ import annotations

import tarfile
from pathlib import Path

from .environments import DIST, LINES, ROOT, Environment

PART = ("tests/core/test_golden.py", "tests/core/test_package.py", "tests/core/test_requirements.py", "tests/exchange")
"""What is run of the tests of the source distribution; all of them are those of `make test`."""


def test_the_demonstration_and_the_tests_of_the_source_distribution(environment: Environment) -> None:
    (line,) = [each for each in LINES if "[all]" in each]
    environment.shell(f"uv {line} --quiet")
    printed = environment.shell("python -m samestep.parity --epochs 1 --out .")
    assert "the same step in every framework: yes" in printed
    assert sorted(path.name for path in environment.folder.iterdir()) == ["parity.json", "parity.png"]

    environment.shell("uv pip install --quiet 'samestep[test]'")
    (archive,) = DIST.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extractall(environment.folder, filter="data")
    (unpacked,) = environment.folder.glob("samestep-*")
    tests = f"cd {unpacked} && python -m pytest -q -p no:cacheprovider"
    collected = environment.shell(f"{tests} --collect-only tests/core tests/exchange").splitlines()[-1]
    assert int(collected.split()[0]) > 3000, "what some test needs is not there"
    assert " passed" in environment.shell(f"{tests} {' '.join(PART)}").splitlines()[-1]


def test_the_source_distribution_has_every_file_of_the_repository(environment: Environment) -> None:
    (archive,) = DIST.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        inside = {Path(*Path(each.name).parts[1:]).as_posix() for each in opened.getmembers() if each.isfile()}
    tracked = environment.shell(f"git -C {ROOT} ls-files").splitlines()
    assert set(tracked) - inside == set()
    made = {name for name in inside - set(tracked) if "egg-info" not in name}
    assert made <= {"PKG-INFO", "setup.cfg"}, "what the repository does not have was packed"
