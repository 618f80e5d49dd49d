"""The examples in the core's docstrings are true."""

from __future__ import annotations

import doctest
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

import pytest

import samestep
import samestep.core
from samestep import Schedule

NAMES = {name: getattr(samestep, name) for name in samestep.__all__}
WITHOUT_EXAMPLES = {"explain", "plan", "values"}
MODULES = [import_module(f"samestep.core.{module.name}") for module in iter_modules(samestep.core.__path__)]


def short(module: ModuleType) -> str:
    return module.__name__.rpartition(".")[2]


@pytest.mark.parametrize("module", MODULES, ids=short)
def test_the_examples_print_what_they_say(module: ModuleType) -> None:
    results = doctest.testmod(module, extraglobs=NAMES)
    assert results.failed == 0
    assert (results.attempted > 0) is (short(module) not in WITHOUT_EXAMPLES)


def test_every_public_shape_has_an_example() -> None:
    shapes = import_module("samestep.core.shapes")
    public = {
        name
        for name, found in vars(shapes).items()
        if isinstance(found, type) and issubclass(found, Schedule) and found.__module__ == shapes.__name__
        if not name.startswith("_")
    }
    with_example = {test.name.rpartition(".")[2] for test in doctest.DocTestFinder().find(shapes) if test.examples}
    assert {"StepDecay", "CosineDecay", "EpochFunction"} <= public
    assert public <= with_example
