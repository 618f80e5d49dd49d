"""Classes of the user's own are known by their qualified names, whatever else is called like them, in any order."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from samestep import Schedule, StepDecay, Table

CURVE = "    def curve(self, ticks): return lambda t: self.value\n"
TABLE = f"""
from dataclasses import dataclass
from samestep.core.schedules.schedule import Schedule
@dataclass(frozen=True, repr=False)
class Table(Schedule):
    value: float
{CURVE}
"""
OURS = "from samestep import StepDecay, Table as Ours\n"
CHECKS = """
from samestep import Recipe
mine, ours = Table(0.5), Ours([1.0], "1 epoch")
assert mine.to_dict() == {"type": "__main__:Table", "value": 0.5}, mine.to_dict()
assert ours.to_dict()["type"] == "Table"
for each in (mine, ours):
    assert Schedule.from_dict(each.to_dict()) == each
    assert type(Schedule.from_dict(each.to_dict())) is type(each)
    assert Recipe.from_dict(Recipe(learning_rate=each).to_dict()) == Recipe(learning_rate=each)
assert Schedule.from_dict({"type": "Table", "values": [1.0], "every": "1 epoch"}) == ours, "an old file means ours"
assert Table.from_dict(mine.to_dict()) == mine
print("read")
"""


@pytest.mark.parametrize("program", [TABLE + OURS, OURS + TABLE], ids=["before", "after"])
def test_a_class_named_as_one_of_ours_may_come_before_and_after_it(program: str) -> None:
    done = subprocess.run([sys.executable, "-c", program + CHECKS], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("read\n", "")


@pytest.fixture(autouse=True)
def _registry() -> Iterator[None]:
    """What a test defines is forgotten after it."""
    before = dict(Schedule._registry)
    yield
    Schedule._registry.clear()
    Schedule._registry.update(before)


def library(module: str, name: str = "Sawtooth", within: str = "") -> Any:
    """A class that a module of another author defines, perhaps within something."""

    def curve(self: Any, ticks: Any) -> Callable[[int], float]:
        return lambda t: self.value

    members = {"__annotations__": {"value": float}, "__module__": module, "__qualname__": within + name, "curve": curve}
    return dataclass(frozen=True, repr=False)(type(name, (Schedule,), members))


def test_two_libraries_may_have_a_class_of_the_same_name() -> None:
    one = library("one")
    assert one(0.5).to_dict() == {"type": "Sawtooth", "value": 0.5}, "a plain name while there is a single one"
    old = one(0.5).to_dict()
    assert Schedule.from_dict(old) == one(0.5)
    two = library("two.shapes")
    for kind, name in ((one, "one:Sawtooth"), (two, "two.shapes:Sawtooth")):
        assert kind(0.5).to_dict() == {"type": name, "value": 0.5}
        assert type(Schedule.from_dict(kind(0.5).to_dict())) is kind
        assert repr(kind(0.5)) == "Sawtooth(value=0.5)"
    with pytest.raises(ValueError, match=r"^[^.\n]*\.") as caught:
        Schedule.from_dict(old)
    assert str(caught.value) == (
        "found the schedule type 'Sawtooth', which is ambiguous; write 'one:Sawtooth' or 'two.shapes:Sawtooth'."
    )
    assert Schedule.from_dict(StepDecay(0.5, "1 epoch").to_dict()) == StepDecay(0.5, "1 epoch"), "others are not"
    assert one.from_dict(old) == one(0.5), "nor where a class is asked for"


def test_a_class_that_is_defined_again_takes_the_place_of_the_former_one() -> None:
    first, second = library("__main__"), library("__main__")
    assert second(0.5).to_dict() == {"type": "Sawtooth", "value": 0.5}
    assert type(Schedule.from_dict(second(0.5).to_dict())) is second
    assert first is not second


def test_a_cell_of_a_notebook_can_be_run_again() -> None:
    cell = TABLE.replace("Table", "Mine")
    program = f"cell = {cell!r}\nfor _ in range(3): exec(cell)\nprint(Schedule.from_dict(Mine(0.5).to_dict()))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("Mine(value=0.5)\n", "")


def test_classes_within_other_classes_and_functions_are_told_apart() -> None:
    kinds = [library("m"), library("m", within="A."), library("m", within="f.<locals>.")]
    for kind in kinds:
        assert kind(0.5).to_dict()["type"] == f"m:{kind.__qualname__}"
        assert type(Schedule.from_dict(kind(0.5).to_dict())) is kind


class Outer:
    @dataclass(frozen=True, repr=False)
    class Nested(Schedule):
        value: float

        def curve(self, ticks: Any) -> Callable[[int], float]:
            return lambda t: self.value


def test_a_nested_class_is_read_by_its_plain_and_by_its_qualified_name() -> None:
    nested = Outer.Nested(0.5)
    for name in ("Nested", f"{__name__}:Outer.Nested"):
        assert Schedule.from_dict({"type": name, "value": 0.5}) == nested
    assert nested.to_dict()["type"] == "Nested"


def test_a_file_with_plain_names_of_ours_is_read_whatever_else_is_called_like_them() -> None:
    for name in ("StepDecay", "Table", "Product"):
        library("other", name)
    ours = 0.5 * Table([1.0], "1 epoch") * StepDecay(0.5, "1 epoch")
    data = ours.to_dict()
    assert str(data).count("samestep") == 0, "ours are written as they always were"
    assert Schedule.from_dict(data) == ours


def test_a_module_that_only_begins_like_ours_is_another_one() -> None:
    for module in ("samestep.corestep.x", "my.samestep.core.x"):
        assert library(module, "StepDecay")(0.5).to_dict()["type"] == f"{module}:StepDecay"
