"""The schedules that `from_keras_adamw` makes, against keras-adamw's recurrence; and what it refuses."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest

from samestep import SGDW, AdamW, NAdamW, Recipe, from_keras_adamw


def etas(cycle: int, count: int, least: float = 0.0, most: float = 1.0, t_cur: int = 0) -> Iterator[float]:
    """keras-adamw's recurrence (K6, K7), with autorestart and without its first update of always 1 (K8)."""
    for _ in range(count):
        yield least + 0.5 * (most - least) * (1 + math.cos(math.pi * t_cur / (cycle - 1)))
        t_cur = 0 if t_cur == cycle - 1 else t_cur + 1


@pytest.mark.parametrize("t_cur", [0, 1, 3, 4])
@pytest.mark.parametrize(("least", "most"), [(0.0, 1.0), (0.25, 2.0)])
def test_annealing_is_its_cosine_over_restarts(least: float, most: float, t_cur: int) -> None:
    recipe = from_keras_adamw(
        total_iterations=5,
        use_cosine_annealing=True,
        eta_min=least,
        eta_max=most,
        t_cur=t_cur,
        weight_decays={"w": (0, 1)},
    )
    plan = recipe.plan(updates_per_epoch=7, epochs=2)
    expected = list(etas(5, 14, least, most, t_cur))
    got = [plan.multiplier("learning_rate", *divmod(k, 7)) for k in range(14)]
    assert got == pytest.approx(expected, rel=1e-15, abs=1e-16)
    # The decay follows eta too, and sqrt(1 / 5) normalizes it.
    decays = [plan.multiplier("weight_decay", *divmod(k, 7)) for k in range(14)]
    assert decays == pytest.approx([eta * math.sqrt(1 / 5) for eta in expected], rel=1e-15, abs=1e-16)


def test_without_autorestart_the_end_is_kept_where_keras_adamw_goes_up_again() -> None:
    recipe = from_keras_adamw(total_iterations=5, use_cosine_annealing=True, autorestart=False, eta_min=0.1)
    got = recipe.learning_rate.preview(epochs=10, updates_per_epoch=1)
    assert got[4:] == [0.1] * 6
    theirs = [0.1 + 0.45 * (1 + math.cos(math.pi * k / 4)) for k in range(10)]
    assert theirs[8] == 1.0


def test_decay_is_per_update_and_not_of_the_weight_decay() -> None:
    recipe = from_keras_adamw(total_iterations=10, decay=0.5, weight_decays={"w": (0, 1)})
    plan = recipe.plan(updates_per_epoch=10, epochs=1)
    assert plan.values("learning_rate") == [1e-3 * (1 / (1 + 0.5 * k)) for k in range(10)]
    assert plan.values("weight_decay") == [math.sqrt(1 / 10)] * 10


def test_the_normalization_may_have_its_own_horizon() -> None:
    recipe = from_keras_adamw(total_iterations=10, total_iterations_wd=400, weight_decays={"w": (0, 1)})
    assert recipe.plan(10, 1).value("weight_decay", 0) == 0.05


def test_the_optimizers_have_its_conventions() -> None:
    assert from_keras_adamw("AdamW").optimizer == AdamW(
        1e-3, 0.0, epsilon=1e-7, epsilon_mode="hat", weight_decay_basis="update"
    )
    assert from_keras_adamw("NadamW").optimizer == NAdamW(1e-3, 0.0, epsilon=1e-7, weight_decay_basis="update")
    assert from_keras_adamw("SGDW").optimizer == SGDW(1e-2, momentum_mode="keras", weight_decay_basis="update")


def test_nothing_is_lost_when_saved() -> None:
    """K18: keras-adamw's config leaves out the multipliers and the horizon of the normalization."""
    recipe = from_keras_adamw(
        total_iterations=10,
        total_iterations_wd=40,
        use_cosine_annealing=True,
        t_cur=3,
        weight_decays={"dense/kernel:0": (1e-4, 2e-4)},
        lr_multipliers={"dense": 0.1},
        clipnorm=1.0,
    )
    assert Recipe.from_dict(recipe.to_dict()) == recipe


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"weight_decays": {"w": (0, 1)}}, "found weight_decays and total_iterations=0, with which keras-adamw turns"),
        (
            {"use_cosine_annealing": True, "total_iterations": 1},
            "found use_cosine_annealing=True and total_iterations=1",
        ),
        ({"autorestart": True}, "found autorestart=True; it needs use_cosine_annealing=True"),
        ({"t_cur": 3}, "found t_cur=3; expected at least 0, and 0 without use_cosine_annealing=True"),
        ({"t_cur": -1, "use_cosine_annealing": True, "total_iterations": 5}, "found t_cur=-1; expected at least 0"),
        ({"model": object()}, r"found a model; give weight_decays=samestep.keras.extract_weight_decay\(model\)"),
        ({"optimizer": "Adam"}, "found 'Adam'; expected 'AdamW', 'NadamW' or 'SGDW'"),
        ({"momentum": 1.0, "optimizer": "SGDW"}, r"SGDW.momentum: found 1.0; expected a number in \[0, 1\)"),
        ({"weight_decays": {"w": (0, -1)}, "total_iterations": 5}, "expected a number of at least 0"),
        ({"lr_multipliers": {"w": 0.0}}, "expected a multiplier greater than 0"),
    ],
)
def test_what_keras_adamw_silently_turns_off_is_refused(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        from_keras_adamw(**arguments)
