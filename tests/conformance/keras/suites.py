"""Keras' own tests, from the installed wheel, with samestep's classes where theirs would be."""

from __future__ import annotations

import functools
import sys
import tomllib
import unittest
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path
from typing import Any

import keras
import pytest
from keras.src import api_export

from .stand_ins import STAND_INS, StandIn

SOURCES = Path(keras.src.__file__).parent
FOLDERS = ("optimizers", "callbacks")
BACKENDS = ("tensorflow", "jax", "torch")


@dataclass(frozen=True)
class Entry:
    """Some of Keras' tests that do not simply pass.

    Attributes:
        tests: Patterns of `optimizers/sgd_test.py::SGDTest::test_config`, or of a whole file.
        reason: Why.
        ends: What the message that each of them ends with contains; "" for those that are left out.
        page: The page of the documentation that says so, and the heading there.
        backends: Where.
    """

    tests: list[str]
    reason: str
    ends: str = ""
    page: str = ""
    backends: tuple[str, ...] = BACKENDS


def entries(kind: str) -> list[Entry]:
    """Those of this backend, "left_out" or "deviation"."""
    table = tomllib.loads((Path(__file__).parent / "expected.toml").read_text())[kind]
    return [each for each in (Entry(**row) for row in table) if keras.backend.backend() in each.backends]


def entry_of(name: str, among: list[Entry]) -> Entry | None:
    """The entry of a file or a test."""
    return next((each for each in among if any(fnmatchcase(name, pattern) for pattern in each.tests)), None)


def shipped() -> list[str]:
    """The test files of both folders that come with Keras, relative to its sources."""
    return sorted(
        path.relative_to(SOURCES).as_posix() for folder in FOLDERS for path in (SOURCES / folder).rglob("*_test.py")
    )


@contextmanager
def in_place() -> Iterator[None]:
    """Within, Keras has samestep's classes under the names of its own."""
    with pytest.MonkeyPatch.context() as patch:
        for public, stand_in in STAND_INS.items():
            folder, name = public.rsplit(".", 1)
            package = import_module(folder.replace("keras.", "keras.src."))
            for module in (getattr(package, name).__module__, package.__name__, folder):
                patch.setattr(sys.modules[module], name, stand_in)
            patch.setitem(api_export.REGISTERED_NAMES_TO_OBJS, public, stand_in)
            patch.setitem(api_export.REGISTERED_OBJS_TO_NAMES, stand_in, public)
            if hasattr(package, "ALL_OBJECTS_DICT"):
                patch.setitem(package.ALL_OBJECTS_DICT, name.lower(), stand_in)
        yield


def cases_of(file: str) -> dict[str, type[unittest.TestCase]]:
    """The classes of one of Keras' test files, by name."""
    name = "keras.src." + file.removesuffix(".py").replace("/", ".")
    with in_place():
        module = import_module(name)
        del sys.modules[name]  # whoever else imports it has Keras' own classes
    return {
        key: found
        for key, found in vars(module).items()
        if isinstance(found, type) and issubclass(found, unittest.TestCase) and found.__module__ == name
    }


def expecting(file: str, case: type[unittest.TestCase]) -> type[unittest.TestCase]:
    """A class whose tests end as the table says; those that it leaves out are gone."""
    tests: dict[str, Any] = {}
    for name in unittest.TestLoader().getTestCaseNames(case):
        full = f"{file}::{case.__name__}::{name}"
        NAMES.append(full)
        left_out = entry_of(full, LEFT_OUT) is not None
        tests[name] = None if left_out else _expecting(getattr(case, name), entry_of(full, DEVIATIONS))
    return type(case)(case.__name__, (case,), tests)


def _expecting(test: Callable[[Any], None], deviation: Entry | None) -> Callable[[Any], None]:
    @functools.wraps(test)
    def run(self: Any) -> None:
        if deviation is None:
            test(self)
        else:
            with pytest.raises((Exception, pytest.fail.Exception)) as caught:
                test(self)
            if deviation.ends not in str(caught.value):
                raise caught.value
        if not StandIn.asked:
            pytest.fail("it asks for nothing in whose place samestep has something: leave it out")

    return run


LEFT_OUT, DEVIATIONS = entries("left_out"), entries("deviation")
NAMES: list[str] = []
"""All tests of the files that are not left out, also those that are left out one by one."""
