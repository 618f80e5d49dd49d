"""`import samestep` is quick and imports no framework; the core needs the standard library only."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pkgutil import walk_packages
from typing import get_type_hints

import pytest

import samestep
import samestep.core

FRAMEWORKS = ("torch", "keras", "tensorflow", "jax", "numpy", "lightning", "pytorch_lightning")
CORE = [module.name for module in walk_packages(samestep.core.__path__, "samestep.core.")]


def fresh(program: str) -> str:
    """What a program prints in a Python of its own, one that has imported nothing yet."""
    return subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.strip()


def test_import_samestep_and_all_its_names_load_no_framework() -> None:
    program = f"""
import sys, samestep
found = [set(sys.modules) & set({FRAMEWORKS!r})]
for name in samestep.__all__:
    getattr(samestep, name)
found.append(set(sys.modules) & set({FRAMEWORKS!r}))
print(found, len(samestep.__all__))
"""
    assert fresh(program) == f"[set(), set()] {len(samestep.__all__)}"


def test_the_core_imports_the_standard_library_and_itself_only() -> None:
    program = f"""
import sys
before = set(sys.modules)  # what this interpreter's own start-up has loaded
for name in {CORE!r}:
    __import__(name)
loaded = set(sys.modules) - before
print(sorted({{name.partition(".")[0] for name in loaded}} - sys.stdlib_module_names))
print(sorted(name for name in loaded if name.startswith("samestep.") and not name.startswith("samestep.core")))
"""
    assert len(CORE) >= 40
    assert fresh(program).splitlines() == ["['samestep']", "[]"]


def test_import_samestep_loads_nothing_before_it_is_used() -> None:
    """Which keeps it at a few milliseconds."""
    assert (
        fresh("import sys, samestep; print(sorted(m for m in sys.modules if m.startswith('samestep')))")
        == "['samestep']"
    )


def test_a_schedule_can_be_read_where_nothing_has_been_imported_but_its_base() -> None:
    for schedule in (samestep.StepDecay(0.5, "1 epoch"), samestep.one_cycle(), samestep.Normalized().repeat("1 epoch")):
        program = f"from samestep import Schedule; print(Schedule.from_dict({schedule.to_dict()!r}))"
        assert fresh(program) == repr(schedule)


def test_all_is_sorted_and_has_no_name_twice() -> None:
    def order(name: str) -> tuple[int, str]:
        # Constants and acronyms, then classes, then functions: the order that ruff's RUF022 keeps.
        return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)

    assert samestep.__all__ == sorted(set(samestep.__all__), key=order)


def test_every_public_name_is_the_object_of_its_core_module() -> None:
    for name in samestep.__all__:
        found = getattr(samestep, name)
        assert any(getattr(import_module(module), name, None) is found for module in CORE)
        assert name in dir(samestep)


@pytest.mark.parametrize("public", samestep.__all__)
def test_the_annotations_of_a_public_class_can_be_read(public: str) -> None:
    found = getattr(samestep, public)
    for each in (found, found.__init__) if isinstance(found, type) else ():
        get_type_hints(each)


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    assert not hasattr(samestep, "resolve")
    assert fresh("from samestep import *; print(sorted(k for k in globals() if not k.startswith('__')))") == str(
        sorted(samestep.__all__)
    )
