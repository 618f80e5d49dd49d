"""The comparison of values under two C libraries finds each value that is too far from its other."""

from __future__ import annotations

import math
import sys
from array import array
from pathlib import Path

import numpy as np
import pytest

import samestep
from samestep import Constant, EpochFunction, Ramp, Schedule
from tests.other_libm.__main__ import Row, compared, main
from tests.other_libm.values import SHAPES

# A value as it is, and what a user's function says.
WITHOUT_ARITHMETIC = {Schedule, Ramp, Constant, EpochFunction}
VALUES = [1e-3 * 0.97**n for n in range(500)]


def test_every_shape_is_compared() -> None:
    public = [getattr(samestep, name) for name in samestep.__all__]
    shapes = {each for each in public if isinstance(each, type) and issubclass(each, Schedule)} - WITHOUT_ARITHMETIC
    written = repr(SHAPES)
    assert [shape.__name__ for shape in shapes if f"{shape.__name__}(" not in written] == []


def moved(ulps: int) -> dict[str, array[float]]:
    """The values, of which one is moved by so many units in the last place."""
    there = np.array(VALUES)
    there[77:78].view(np.int64)[:] += ulps
    return {"shape": array("d", there)}


@pytest.mark.parametrize(("ulps", "agrees"), [(0, True), (8, True), (-8, True), (9, False), (-9, False)])
def test_eight_units_in_the_last_place_are_the_most(ulps: int, agrees: bool) -> None:
    [row] = compared({"shape": array("d", VALUES)}, moved(ulps))
    assert row == Row("shape", 500, int(ulps != 0), abs(ulps), 0)
    assert row.agrees == agrees


def test_one_unit_of_float64_is_too_much_where_it_is_one_of_float32() -> None:
    halfway = 1.0 + 2.0**-24  # rounds to the even 1.0
    [row] = compared({"tie": array("d", [halfway])}, {"tie": array("d", [math.nextafter(halfway, 2.0)])})
    assert row == Row("tie", 1, 1, 1, 1)
    assert not row.agrees


@pytest.mark.parametrize("there", [{}, {"shape": array("d", VALUES[1:])}, {"other": array("d", VALUES)}])
def test_values_that_are_missing_are_no_agreement(there: dict[str, array[float]]) -> None:
    with pytest.raises(ValueError, match="not compute the same values"):
        compared({"shape": array("d", VALUES)}, there)


OTHER = """
import math, runpy, sys
true = math.exp
math.exp = lambda x: {}
sys.argv.pop(0)
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.parametrize(
    ("function", "status", "said"),
    [
        ("true(x)", 0, "0 other float64, at most 0 ulp apart; 0 other float32"),
        ("math.nextafter(true(x), 2)", 0, "; 0 other float32"),
        ("true(x) * (1 + 2 ** -23)", 1, "see golden tables"),
    ],
)
def test_another_library_is_found_in_the_values_of_a_plan(
    function: str, status: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.py"
    other.write_text(OTHER.format(function))
    assert main(["--only", "golden tables", "--by", f"{sys.executable} {other}"]) == status
    assert said in capsys.readouterr().out
