"""The learning rate after every epoch is that of torch's and of Keras' ReduceLROnPlateau, given the same scores.

Where they do something else at an edge, a test has their values beside samestep's.
"""

from __future__ import annotations

import inspect
import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import keras
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim.lr_scheduler import ReduceLROnPlateau

from samestep.core.callbacks import ReduceOnPlateau

from .measures import ulps

NAN, INF = math.nan, math.inf
RECORDED = json.loads((Path(__file__).parents[1] / "golden" / "plateau_scores.json").read_text())
METRICS = ("loss", "val_loss", "val_accuracy")
SEQUENCES: dict[str, list[float]] = {
    **{f"{run}, {metric}": RECORDED[run][metric] for run in ("learns", "stalls") for metric in METRICS},
    "falls": [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0],
    "rises": [float(n) for n in range(1, 40)],
    "plateaus": [1.0] * 13 + [0.5] * 7 + [0.25] * 20,
    "NaN from epoch 5 on": [5.0, 4.0, 3.0, 2.0, 1.0] + [NAN] * 30,
    "NaN now and then": [2.0, NAN, 1.0, NAN, NAN, NAN, 0.5, NAN, 0.75, 0.25] * 3,
    "infinities": [3.0, INF, 2.0, INF, INF, -INF, 1.0, -INF, -INF, 0.5, INF, NAN] * 3,
    "at a threshold of 2**-13": [1 - 2**-13 * n for n in range(30)],
    "tiny improvements": [1 - 1e-6 * n for n in range(60)],
    "below 0": [-0.1 * math.sqrt(n) + 0.05 * (n % 3) for n in range(40)],
    "zeros": [0.0, -0.0] * 15,
}
NOT_IN_FLOAT32 = {
    "at the relative threshold": [(1 - 1e-4) ** n for n in range(30)],
    "at the absolute threshold": [1 - 1e-4 * n for n in range(30)],
}
SETTINGS: list[dict[str, Any]] = [
    {},
    {"mode": "max"},
    {"patience": 0},
    {"patience": 2, "factor": 0.5, "min_lr": 1e-3},
    {"patience": 1, "cooldown": 3, "factor": 0.3},
    {"mode": "max", "patience": 3, "cooldown": 1},
]
OF_TORCH = [*SETTINGS, {"threshold_mode": "abs", "patience": 1}, {"mode": "max", "threshold_mode": "abs"}]
OF_TORCH += [{"threshold": 0.1, "patience": 2}, {"threshold": 0.0, "patience": 1, "cooldown": 2}]
OF_TORCH += [{"threshold": 2**-13, "threshold_mode": "abs", "patience": 1}]
OF_KERAS = [*SETTINGS, {"min_delta": 0.01, "patience": 4}, {"min_delta": 0.0, "patience": 1, "cooldown": 1}]
OF_KERAS += [{"patience": 5, "cooldown": 2, "factor": 0.0}, {"min_delta": 2**-13, "patience": 1}]

BASES = [0.1, 0.003, 1e-4]


def reductions(callback: ReduceOnPlateau, epoch: int) -> int:
    """How often the value has been reduced when `epoch` begins."""
    return callback.plateau.reductions(callback.scores, epoch)


def ours(callback: ReduceOnPlateau, scores: list[float], bases: list[float]) -> list[list[float]]:
    """The learning rates of the groups after each epoch."""
    rows = []
    for epoch, score in enumerate(scores):
        callback.observe(epoch, score)
        rows.append(callback.plateau.reduced(bases, reductions(callback, epoch + 1)))
    return rows


def torch_runs(scores: list[float], bases: list[float], eps: float = 0.0, **settings: Any) -> tuple[list[Any], ...]:
    """The learning rates of the groups after each epoch; the best score, bad scores and what is left of a cooldown."""
    optimizer = torch.optim.SGD([{"params": [torch.zeros(1, requires_grad=True)], "lr": base} for base in bases])
    scheduler = ReduceLROnPlateau(optimizer, eps=eps, **settings)
    rates, states = [], []
    for score in scores:
        optimizer.step()
        scheduler.step(score)
        rates.append([group["lr"] for group in optimizer.param_groups])
        states.append((scheduler.best, scheduler.num_bad_epochs, scheduler.cooldown_counter))
    return rates, states


def same_as_torch(scores: list[float], bases: list[float], settings: dict[str, Any]) -> int:
    """Compares every learning rate and the state behind it; how many reductions there were."""
    callback = ReduceOnPlateau.like_torch(**settings)
    rates, states = torch_runs(scores, bases, **settings)
    plateau, progress = callback.plateau, callback.plateau.begin
    for epoch, row in enumerate(ours(callback, scores, bases)):
        progress = plateau.after(progress, epoch, scores[epoch])
        assert progress[:3] == states[epoch]
        # torch has rounded once for each reduction, and we twice.
        off = (progress.reductions + 2) * 2**-53
        assert all(abs(a - b) <= off * b for a, b in zip(row, rates[epoch], strict=True))
    return progress.reductions


@pytest.mark.parametrize("scores", [*SEQUENCES.values(), *NOT_IN_FLOAT32.values()], ids=[*SEQUENCES, *NOT_IN_FLOAT32])
@pytest.mark.parametrize("settings", OF_TORCH, ids=repr)
def test_like_torch_reduces_where_torch_does(settings: dict[str, Any], scores: list[float]) -> None:
    same_as_torch(scores, BASES, settings)


def test_the_recorded_sequences_are_reduced_several_times() -> None:
    counts = [same_as_torch(scores, BASES, {"patience": 2, "cooldown": 1}) for scores in SEQUENCES.values()]
    assert len(RECORDED["learns"]["val_loss"]) == 100
    assert min(counts[:6]) > 5
    assert max(counts) < 30


def test_the_learning_rates_of_ten_reductions_are_within_2_ulps_of_torch() -> None:
    rates, _ = torch_runs([1.0] * 11, BASES, patience=0)
    rows = ours(ReduceOnPlateau.like_torch(patience=0), [1.0] * 11, BASES)
    assert rows[:2] == rates[:2]
    for row, rate in zip(rows, rates, strict=True):
        assert all(abs(a - b) <= 2 * math.ulp(b) for a, b in zip(row, rate, strict=True))


TORCH_SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "mode": st.sampled_from(["min", "max"]),
        "factor": st.one_of(st.just(0.0), st.floats(0.01, 0.99)),
        "patience": st.integers(0, 4),
        "threshold": st.one_of(st.sampled_from([0.0, 1e-4, 0.5]), st.floats(0, 0.99)),
        "threshold_mode": st.sampled_from(["rel", "abs"]),
        "cooldown": st.integers(0, 4),
        "min_lr": st.one_of(st.just(0.0), st.floats(1e-6, 0.5)),
    },
)
ANY_SCORES = st.lists(st.one_of(st.sampled_from([1.0, 0.5, 0.9999, 1.0001, NAN, INF]), st.floats()), max_size=40)


@given(ANY_SCORES, st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=3), TORCH_SETTINGS)
def test_like_torch_reduces_where_torch_does_for_any_scores(
    scores: list[float], bases: list[float], settings: dict[str, Any]
) -> None:
    same_as_torch(scores, bases, settings)


@given(ANY_SCORES, st.integers(0, 10), TORCH_SETTINGS)
def test_the_gate_hides_the_scores_before_it(scores: list[float], start: int, settings: dict[str, Any]) -> None:
    gated = ReduceOnPlateau.like_torch(start_epoch=start, **settings)
    later = ReduceOnPlateau.like_torch(**settings)
    ours(gated, scores, BASES)
    ours(later, scores[start:], BASES)
    for epoch in range(len(scores) + 1):
        assert reductions(gated, epoch) == reductions(later, max(epoch - start, 0))


@cache
def compiled_model() -> keras.Model:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(optimizer=keras.optimizers.SGD(), loss="mse")
    return model


def keras_rates(scores: list[float], base: float, monitor: str = "val_loss", **settings: Any) -> list[float]:
    """The learning rate after each epoch."""
    model = compiled_model()
    model.optimizer.learning_rate = base
    callback = keras.callbacks.ReduceLROnPlateau(monitor, **settings)
    callback.set_model(model)
    callback.on_train_begin()
    rates = []
    for epoch, score in enumerate(scores):
        callback.on_epoch_end(epoch, {monitor: score})
        rates.append(float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)))
    return rates


@pytest.mark.parametrize("scores", SEQUENCES.values(), ids=list(SEQUENCES))
@pytest.mark.parametrize("settings", OF_KERAS, ids=repr)
def test_like_keras_reduces_where_keras_does(
    settings: dict[str, Any],
    scores: list[float],
) -> None:
    callback = ReduceOnPlateau.like_keras(**settings)
    rates = keras_rates(scores, BASES[0], **settings)
    for epoch, (row, rate) in enumerate(zip(ours(callback, scores, BASES[:1]), rates, strict=True)):
        # Keras has rounded the base to float32, and each reduction.
        times = reductions(callback, epoch + 1)
        assert ulps(row[0], rate) <= (times + 1 if times else 0)


GRID = st.integers(-8, 8).map(lambda n: n / 64)  # and min_delta too, so that no sum is rounded


@given(
    GRID,
    st.lists(st.one_of(GRID, st.sampled_from([NAN, INF, -INF])), max_size=24),
    st.fixed_dictionaries(
        {},
        optional={
            "mode": st.sampled_from(["min", "max"]),
            "factor": st.sampled_from([0.0, 0.125, 0.5]),
            "patience": st.integers(0, 4),
            "min_delta": st.integers(0, 4).map(lambda n: n / 64),
            "cooldown": st.integers(0, 4),
            "min_lr": st.sampled_from([0.0, 2**-9, 0.125, 0.25, 0.5]),
        },
    ),
)
def test_like_keras_is_equal_to_keras_for_any_scores_where_float32_rounds_nothing(
    first: float, rest: list[float], settings: dict[str, Any]
) -> None:
    exact = {"factor": 0.25, "min_delta": 2**-10, **settings}
    rows = ours(ReduceOnPlateau.like_keras(**exact), [first, *rest], [0.25])
    assert [row[0] for row in rows] == keras_rates([first, *rest], 0.25, **exact)


def test_the_presets_have_the_arguments_and_defaults_of_the_peers() -> None:
    for preset, peer, without in (
        (ReduceOnPlateau.like_torch, ReduceLROnPlateau, {"optimizer", "eps"}),
        (ReduceOnPlateau.like_keras, keras.callbacks.ReduceLROnPlateau, {"kwargs"}),
    ):
        of_ours = {name: each.default for name, each in inspect.signature(preset).parameters.items()}
        theirs = {name: each.default for name, each in inspect.signature(peer).parameters.items()}
        common = [name for name in theirs if name not in without]
        assert [name for name in of_ours if name in theirs] == common
        assert {name: of_ours[name] for name in common} == {name: theirs[name] for name in common}


@pytest.mark.parametrize("monitor", ["loss", "val_loss"])
def test_auto_is_min_for_the_losses_as_it_is_in_keras(monitor: str) -> None:
    scores = [1.0, 0.5, 0.75, 0.75]
    rows = ours(ReduceOnPlateau.like_keras(monitor, patience=2, factor=0.5), scores, [0.25])
    assert [row[0] for row in rows] == [0.25, 0.25, 0.25, 0.125]
    assert keras_rates(scores, 0.25, monitor, patience=2, factor=0.5) == [0.25, 0.25, 0.25, 0.125]


def test_where_torch_differs_its_eps_ends_the_reductions_at_1e_8() -> None:
    rates, _ = torch_runs([1.0] * 4, [1e-7], eps=1e-8, patience=0)
    assert rates == [[1e-7], [1e-8], [1e-8], [1e-8]]
    rows = ours(ReduceOnPlateau.like_torch(patience=0), [1.0] * 4, [1e-7])
    assert [row[0] for row in rows] == [1e-7, 1e-8, 1e-7 * 0.1**2, 1e-7 * 0.1**3]


def test_where_torch_differs_a_relative_threshold_of_1_takes_every_score_as_bad() -> None:
    rates, _ = torch_runs([4.0, 3.0, 2.0], [1.0], patience=0, factor=0.5, threshold=1.0)
    assert rates == [[0.5], [0.25], [0.125]]
    with pytest.raises(ValueError, match=r"threshold: found 1.0; expected a fraction below 1"):
        ReduceOnPlateau.like_torch(threshold=1.0)


@pytest.mark.parametrize(("first", "theirs"), [(NAN, [0.25, 0.125, 0.0625]), (INF, [0.25, 0.25, 0.25])], ids=str)
def test_where_keras_differs_its_first_score_is_the_best_whatever_it_is(first: float, theirs: list[float]) -> None:
    scores, settings = [first, 1.0, 0.5], {"patience": 1, "factor": 0.5}
    assert keras_rates(scores, 0.25, **settings) == theirs
    rows = ours(ReduceOnPlateau.like_keras(**settings), scores, [0.25])
    assert [row[0] for row in rows] == [0.125, 0.125, 0.125]


def test_where_keras_differs_it_compares_in_float32() -> None:
    scores, settings = [0.5, 0.5 - 1e-4 - 1e-9], {"patience": 1, "factor": 0.5}
    assert keras_rates(scores, 0.25, **settings) == [0.25, 0.125]
    rows = ours(ReduceOnPlateau.like_keras(**settings), scores, [0.25])
    assert [row[0] for row in rows] == [0.25, 0.25]
