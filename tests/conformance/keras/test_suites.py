"""Keras' own tests of its optimizers and callbacks, with samestep's in their place.

A test that is not in `expected.toml` passes, and one that is there ends with the message that it has there.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import keras
import pytest

from .stand_ins import StandIn
from .suites import DEVIATIONS, LEFT_OUT, NAMES, Entry, cases_of, entry_of, expecting, in_place, shipped

if tuple(map(int, keras.__version__.split(".")[:2])) < (3, 15):
    pytest.skip("needs Keras >= 3.15: the wheels before have no tests, or others", allow_module_level=True)

ROOT = Path(__file__).parents[3]
FILES = [file for file in shipped() if entry_of(file, LEFT_OUT) is None]

for _file in FILES:
    for _name, _case in cases_of(_file).items():
        assert _name not in globals()
        globals()[_name] = expecting(_file, _case)
del _case


@pytest.fixture(autouse=True)
def _in_place() -> Iterator[None]:
    StandIn.asked = 0
    with in_place():
        yield
    keras.config.enable_traceback_filtering()  # Keras' tests leave both off
    keras.config.enable_interactive_logging()


def test_the_wheel_ships_the_tests() -> None:
    assert len(FILES) > 15
    assert len(NAMES) > 200


@pytest.mark.parametrize("entry", [*LEFT_OUT, *DEVIATIONS], ids=lambda entry: entry.tests[0])
def test_each_entry_is_of_tests_that_there_are(entry: Entry) -> None:
    names = [*shipped(), *NAMES]
    assert [pattern for pattern in entry.tests if not any(fnmatchcase(name, pattern) for name in names)] == []


@pytest.mark.parametrize("entry", DEVIATIONS, ids=lambda entry: entry.tests[0])
def test_each_deviation_is_documented(entry: Entry) -> None:
    page, _, heading = entry.page.partition("#")
    assert f"\n## {heading}\n" in (ROOT / "docs" / page).read_text()
