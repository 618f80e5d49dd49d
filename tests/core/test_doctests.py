"""The examples in the core's docstrings are true."""

from __future__ import annotations

import doctest
from importlib import import_module
from inspect import isabstract
from pkgutil import iter_modules
from types import ModuleType

import pytest

import samestep
import samestep.core
from samestep import Schedule

NAMES = {name: getattr(samestep, name) for name in samestep.__all__}
WITHOUT_EXAMPLES = {"explain", "lint", "refusals", "structure", "ticks", "values"}
MODULES = [import_module(f"samestep.core.{module.name}") for module in iter_modules(samestep.core.__path__)]


def short(module: ModuleType) -> str:
    return module.__name__.rpartition(".")[2]


@pytest.mark.parametrize("module", MODULES, ids=short)
def test_the_examples_print_what_they_say(module: ModuleType) -> None:
    results = doctest.testmod(module, extraglobs=NAMES)
    assert results.failed == 0
    assert (results.attempted > 0) is (short(module) not in WITHOUT_EXAMPLES)


@pytest.mark.parametrize(
    ("room", "some"),
    [
        ("shapes", {"StepDecay", "Triangular", "Table"}),
        ("ramps", {"CosineDecay", "Warmup", "RexDecay"}),
        ("functions", {"EpochFunction"}),
    ],
)
def test_every_public_shape_has_an_example(room: str, some: set[str]) -> None:
    module = import_module(f"samestep.core.{room}")
    public = {
        name
        for name, found in vars(module).items()
        if isinstance(found, type) and issubclass(found, Schedule) and found.__module__ == module.__name__
        if not name.startswith("_") and not isabstract(found)
    }
    assert some <= public <= set(samestep.__all__)
    assert public <= with_examples(module)


def test_every_public_composition_has_an_example() -> None:
    module = import_module("samestep.core.schedules.compositions")
    assert {"sequence", "one_cycle", "warmup_stable_decay", "noam"} <= with_examples(module)


def test_what_is_made_of_schedules_has_examples() -> None:
    combinators = {"after", "until", "skip", "at_least", "at_most", "repeat"}
    assert combinators <= with_examples(import_module("samestep.core.schedules.schedule"))
    assert "Plan" in with_examples(import_module("samestep.core.recipes.plan"))
    assert {"Clock", "epochs", "updates", "percent"} <= with_examples(
        import_module("samestep.core.schedules.durations")
    )


def with_examples(module: ModuleType) -> set[str]:
    return {test.name.rpartition(".")[2] for test in doctest.DocTestFinder().find(module) if test.examples}
