"""The examples in the core's docstrings are true, with the names that a user imports."""

from __future__ import annotations

import doctest
from importlib import import_module
from inspect import getdoc, isabstract, isroutine
from pkgutil import walk_packages
from types import ModuleType

import pytest

import samestep
import samestep.core
from samestep import Schedule, Spec
from samestep.core import callbacks

NAMES = {name: getattr(samestep, name) for name in samestep.__all__}
MODULES = [import_module(module.name) for module in walk_packages(samestep.core.__path__, "samestep.core.")]
WITHOUT_EXAMPLES = {
    "Spec",
    "Ticks",
    "Trace",
    "Schedule",
    "Position",
    "Ramp",
    "Multipliers",
    "Parameter",
    "ParameterTable",
}


def with_examples(module: ModuleType) -> set[str]:
    return {test.name.rpartition(".")[2] for test in doctest.DocTestFinder().find(module) if test.examples}


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.removeprefix("samestep.core."))
def test_the_examples_print_what_they_say(module: ModuleType) -> None:
    assert doctest.testmod(module, extraglobs=NAMES).failed == 0


@pytest.mark.parametrize("room", ["lightning", "keras"])
@pytest.mark.parametrize("name", callbacks.__all__)
def test_the_examples_of_callbacks_are_true_of_the_classes_that_a_user_imports(name: str, room: str) -> None:
    found = getattr(import_module(f"samestep.{room}"), name)
    assert getdoc(found) == getdoc(getattr(callbacks, name))
    for example in doctest.DocTestFinder().find(getattr(callbacks, name), globs={**NAMES, name: found}):
        assert doctest.DocTestRunner().run(example).failed == 0


def test_every_public_class_and_function_has_an_example() -> None:
    public = {name for name, found in NAMES.items() if isinstance(found, type) or isroutine(found)}
    examples = set().union(*map(with_examples, MODULES))
    assert {*public, *callbacks.__all__} - examples == {*WITHOUT_EXAMPLES}


def test_every_shape_and_spec_that_is_written_by_its_name_is_public() -> None:
    for family in (Schedule, Spec):
        named = {
            kind
            for kind in family._registry.values()
            if kind.__module__.startswith("samestep.") and not isabstract(kind)
        }
        made_by_a_method_or_a_function = {
            "After",
            "AtLeast",
            "AtMost",
            "Product",
            "Repeat",
            "Sequence",
            "Skip",
            "Until",
        }
        assert {kind.__name__ for kind in named} - made_by_a_method_or_a_function <= set(samestep.__all__)


def test_the_ways_to_combine_schedules_have_examples() -> None:
    combinators = {"after", "until", "skip", "at_least", "at_most", "repeat"}
    assert combinators <= with_examples(import_module("samestep.core.schedules.schedule"))
