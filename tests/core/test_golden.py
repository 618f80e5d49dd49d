"""The golden tables: each family's values are its formula's, written here by hand, and the plan's."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from samestep import Recipe
from samestep.core.recipes.float32 import float32

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "schedules.json").read_text())
PER_EPOCH, RUN = 4, 24  # updates


def mixed(left: float, start: float = 1.0, end: float = 0.0) -> float:
    return start * left + end * (1 - left)


def cosine(t: float, length: float, start: float = 1.0, end: float = 0.0) -> float:
    """(1 + cos(pi * tau)) / 2 from its near end, as the square of a sine: there it has its digits."""
    if t >= length:
        return end
    if 2 * t == length:
        return mixed(0.5, start, end)
    sine = math.sin(math.pi / 2 * (min(t, length - t) / length))
    return mixed(sine * sine, start, end) if 2 * t > length else mixed(sine * sine, end, start)


def tangent(tau: float) -> float:
    """(1 - tanh(-7 + 10 * tau)) / 2 as a logistic function, which has its digits near the end."""
    angle = -7 + 10 * tau
    small = math.exp(-2 * abs(angle))
    small /= 1 + small
    return mixed(small if angle > 0 else 1 - small, end=0.1)


def line(t: int, length: int, start: float, end: float) -> float:
    return start * ((length - t) / length) + end * (t / length)


def triangle(t: int, up: int, down: int) -> float:
    within = t % (up + down)
    return within / up if within < up else (up + down - within) / down


def three_phases(t: int) -> float:
    """Up to update 8, down to update 16, and on to the end at update 23, the last."""
    if t < 8:
        return line(t, 8, 0.1, 1.0)
    if t < 16:
        return line(t - 8, 8, 1.0, 0.1)
    return line(t - 16, 7, 0.1, 0.01) if t < 23 else 0.01


def restarts(t: int) -> float:
    """Cycles of 3, 6 and 12 updates from 0, 3 and 9 on, and the next one from 21 on."""
    cycle = 0 if t < 3 else 1 if t < 9 else 2 if t < 21 else 3
    return 0.5**cycle * cosine(t - (0, 3, 9, 21)[cycle], (3, 6, 12, 24)[cycle])


# eta of the run's update t
FORMULAS: dict[str, Callable[[int], float]] = {
    "step": lambda t: 0.5 ** (0 if t < 4 else 1 + (t - 4) // 8),
    "multi_step": lambda t: 0.5 ** ((t >= 5) + (t >= 12) + (t >= 18)),
    "exponential": lambda t: 0.5 ** (t / 8),
    "inverse_time": lambda t: 1 / (1 + 0.1 * t),
    "inverse_time_staircase": lambda t: 1 / (1 + 0.1 * (t // 4)),
    "inverse_sqrt": lambda t: 1 / math.sqrt(1 + t / 3),
    "linear": lambda t: line(t, 12, 1.0, 0.25) if t < 12 else 0.25,
    "polynomial": lambda t: mixed(((18 - t) / 18) ** 2, end=0.1) if t < 18 else 0.1,
    "polynomial_k_decay": lambda t: 1 - math.sqrt(t / 24),
    "cosine": lambda t: cosine(t, 24, end=0.1),
    "cosine_inclusive": lambda t: cosine(t, 23),
    "cosine_k_decay": lambda t: cosine(t**2, 400),
    "tanh": lambda t: tangent(t / 24),
    "rex": lambda t: (20 - t) / 20 / (1 - t / 20 / 2) if t < 20 else 0.0,
    "warmup": lambda t: line(t, 5, 0.2, 1.0) if t < 5 else 1.0,
    "triangular": lambda t: 0.1 + (1 - 0.1) * triangle(t, 3, 5),
    "triangular2": lambda t: 0.1 + 0.5 ** (t // 4) * ((1 - 0.1) * triangle(t, 2, 2)),
    "exp_range": lambda t: 0.1 + 0.9**t * ((1 - 0.1) * triangle(t, 3, 3)),
    "table": lambda t: (0.25, 1.0, 0.5)[min(t // 5, 2)],
    "one_cycle": lambda t: cosine(t, 6, 0.04, 1.0) if t < 6 else cosine(t - 6, 18, 1.0, 4e-6),
    "one_cycle_three_phase": three_phases,
    "warmup_stable_decay": lambda t: t / 3 if t < 3 else 1.0 if t < 18 else 1 - math.sqrt((t - 18) / 6),
    "noam": lambda t: t / 4 if t < 4 else 1 / math.sqrt(1 + (t - 4) / 4),
    "repeat": restarts,
    "mixed_units": lambda t: 1.0 if t < 5 else cosine(t - 5, 19),
    "product_within_bounds": lambda t: min(max(min(t / 3, 1) * 0.5 ** (t // 4), 0.1), 0.8),
    "stopped": lambda t: 1 - min(t, 7) / 16,
    "weight_decay": lambda t: cosine(t, 24, end=0.1),
    "momentum": lambda t: cosine(t, 7.2, 1.0, 0.85 / 0.95) if t < 8 else cosine(t - 7.2, 16.8, 0.85 / 0.95, 1.0),
}


def as_golden(values: list[float], ulps: int = 8) -> Any:
    """Equals the table's values, and those of a C library with other last bits."""
    return [pytest.approx(value, rel=0.0, abs=ulps * math.ulp(value)) for value in values]


def test_every_family_is_in_the_table() -> None:
    assert [row["family"] for row in GOLDEN] == list(FORMULAS)


@pytest.mark.parametrize("row", GOLDEN, ids=lambda row: row["family"])
def test_the_table_holds_the_values_of_the_formula(row: dict[str, Any]) -> None:
    base = {"learning_rate": 0.125, "weight_decay": 0.1, "momentum": 0.95}[row["hyperparameter"]]
    formula = [base * FORMULAS[row["family"]](t) for t in range(RUN)]
    # 7.2 updates are no double; 1 - sqrt(tau) loses digits near its end that the plan has, and its k_decay's last bit.
    rounded = row["family"] in ("momentum", "polynomial_k_decay", "cosine_k_decay", "warmup_stable_decay")
    assert row["values"] == as_golden(formula, 32 if rounded else 8)


@pytest.mark.parametrize("row", GOLDEN, ids=lambda row: row["family"])
def test_the_plan_has_the_values_of_the_table(row: dict[str, Any]) -> None:
    recipe, name = Recipe.from_dict(row["recipe"]), row["hyperparameter"]
    plan = recipe.plan(**row["clock"])
    values = plan.values(name)
    assert values == as_golden(row["values"])
    assert list(map(float32, values)) == list(map(float32, row["values"]))
    assert [plan.value(name, *divmod(t, PER_EPOCH)) for t in range(RUN)] == values
    assert [value for epoch in range(6) for value in plan.values(name, epoch)] == values
