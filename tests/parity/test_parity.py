"""The main job: the same step in Lightning and in Keras on three backends, where the stock optimizers part."""

from __future__ import annotations

import json
import math
from copy import deepcopy
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from samestep import (
    SGDW,
    AdamW,
    CosineDecay,
    EpochFunction,
    NAdamW,
    ParameterRule,
    Recipe,
    StepDecay,
    Trace,
    epochs,
    one_cycle,
    percent,
)
from samestep.core.checkpoints.trace import Entry
from samestep.core.recipes.float32 import float32
from samestep.core.specs.spec import HYPERPARAMETERS, Spec
from samestep.parity import ParityResult, check, draw, installed_frameworks
from samestep.parity.problem import TRAINED
from samestep.parity.result import WEIGHT_TOLERANCE

KERAS = ["keras-tensorflow", "keras-jax", "keras-torch"]


def test_every_framework_is_installed_and_was_trained(result: ParityResult) -> None:
    assert installed_frameworks() == ["lightning", *KERAS]
    assert list(result.runs) == list(result.stock) == ["lightning", *KERAS]


@pytest.mark.parametrize("framework", ["lightning", *KERAS])
def test_every_hyperparameter_of_every_update_is_the_plans_after_rounding_to_float32(
    result: ParityResult, framework: str
) -> None:
    count = result.problem.updates_per_epoch
    trace = result.runs[framework].trace
    assert [tuple(entry.position) for entry in trace.entries] == [divmod(i, count) for i in range(10 * count)]
    for name in HYPERPARAMETERS:
        planned = [float32(value) for epoch in range(10) for value in result.plan.values(name, epoch)]
        assert [float32(value) for value in trace.column(name)] == planned


def test_the_planned_learning_rates_are_those_written_in_the_recipe(result: ParityResult) -> None:
    found = [entry.values["learning_rate"] for entry in result.runs["lightning"].trace.entries if not entry.position[1]]
    expected = [2e-3] * 4 + [2e-3 * 0.3] * 2 + [2e-3 * 0.09] * 2 + [2e-3 * 0.027] * 2
    assert found == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("framework", KERAS)
def test_final_weights_are_within_1e_5_of_the_distance_travelled_and_stock_ones_are_not_within_1e_3(
    result: ParityResult, framework: str
) -> None:
    ours = result.distances(result.runs[framework], result.runs["lightning"])
    stock = result.distances(result.stock[framework], result.stock["lightning"])
    # Another processor has other kernels: the distance is about 1e-6, and it can be 0.
    assert ours[-1] < WEIGHT_TOLERANCE
    assert stock[-1] > 1e-3


def test_a_run_that_differs_in_one_number_of_the_optimizer_is_not_the_same(
    result: ParityResult, recipe: Recipe
) -> None:
    """So it is each framework's own weights that are compared. No trace has this number."""
    other = replace(recipe, optimizer=replace(recipe.optimizer, betas=(0.9, 0.998)))
    mutated = check(other, frameworks=KERAS)
    for framework in KERAS:
        runs = {"lightning": result.runs["lightning"], framework: mutated.runs[framework]}
        with pytest.raises(AssertionError, match=f"final weights of {framework} .* Every hyperparameter is the same"):
            replace(result, runs=runs, stock={}).assert_same()


@pytest.mark.parametrize("framework", ["lightning", *KERAS])
def test_final_weights_are_within_1e_5_of_a_float64_reference(result: ParityResult, framework: str) -> None:
    assert result.distances(result.runs[framework], result.reference)[-1] < WEIGHT_TOLERANCE


@pytest.mark.parametrize("framework", ["lightning", *KERAS])
def test_a_weight_without_gradient_shrinks_by_the_planned_weight_decay(result: ParityResult, framework: str) -> None:
    # Not read from any optimizer. Each update rounds the factor and the product, by half a unit at most.
    probe = math.prod(
        1.0 - rate * decay
        for epoch in range(10)
        for rate, decay in zip(*(result.plan.values(n, epoch) for n in ("learning_rate", "weight_decay")), strict=True)
    )
    assert float(result.runs[framework].weights[-1]["probe"]) == pytest.approx(probe, rel=440 * 2 * 2**-24)


@pytest.mark.parametrize("framework", ["keras-tensorflow", "keras-jax"])
def test_the_measured_weight_decay_of_stock_keras_shows_that_the_schedule_was_ignored(
    result: ParityResult, framework: str
) -> None:
    assert result.measured_weight_decay(result.stock[framework]) == pytest.approx([0.1] * 10, rel=0.02)
    assert result.measured_weight_decay(result.runs[framework])[-1] < 0.02


def test_the_runs_learn_the_digits(result: ParityResult) -> None:
    for row in result.rows():
        assert row.accuracy > 0.95
        assert row.loss < 0.2


def test_the_assertion_passes_for_the_demonstration(result: ParityResult) -> None:
    result.assert_same()


def test_the_assertion_names_the_first_update_that_differs(result: ParityResult) -> None:
    broken = deepcopy(result)
    trace = broken.runs["keras-jax"].trace
    for index in (200, 90):
        position, values = trace.entries[index]
        trace.entries[index] = Entry(position, {**values, "weight_decay": 0.5})
    with pytest.raises(AssertionError, match=r"weight_decay first differs at update 90 \(epoch 2, update 2\)") as error:
        broken.assert_same()
    assert "keras-jax used 0.5" in str(error.value)


def test_the_assertion_notices_a_run_that_ended_early(result: ParityResult) -> None:
    broken = deepcopy(result)
    broken.runs["keras-torch"].trace = Trace(broken.runs["keras-torch"].trace.entries[:-1])
    with pytest.raises(AssertionError, match=r"made update 439 .* and keras-torch did not"):
        broken.assert_same()


def test_the_assertion_notices_weights_that_differ(result: ParityResult) -> None:
    broken = deepcopy(result)
    broken.runs["keras-tensorflow"].weights[-1]["kernel_1"][0, 0] += 0.01
    with pytest.raises(AssertionError, match=r"final weights of keras-tensorflow .* expected at most 1.0e-05"):
        broken.assert_same()


def test_the_table_shows_every_run(result: ParityResult) -> None:
    text = str(result)
    for framework in ("lightning", *KERAS):
        rows = [line for line in text.splitlines() if line.split()[:1] == [framework]]
        assert len(rows) == 2
        assert all(line.rstrip().endswith("%") for line in rows)
    assert "samestep" in text
    assert "stock optimizers" in text


def test_the_figures_are_saved_as_json_and_the_picture_is_drawn(result: ParityResult, tmp_path: Path) -> None:
    result.save(tmp_path / "parity.json")
    data = json.loads((tmp_path / "parity.json").read_text())
    assert [row["framework"] for row in data["rows"]] == ["lightning", *KERAS] * 2
    assert data["runs"][1]["distance_by_epoch"][-1] == data["rows"][1]["from_lightning"]
    draw(result, tmp_path / "parity.png")
    assert (tmp_path / "parity.png").read_bytes().startswith(b"\x89PNG")


def test_the_reference_moves_the_weights(result: ParityResult) -> None:
    start, end = result.problem.initial_weights(), result.reference.weights[-1]
    assert all(np.abs(end[name] - start[name]).max() > 1e-2 for name in TRAINED)


def test_a_recipe_that_cannot_be_compared_is_refused_before_any_process_starts() -> None:
    with pytest.raises(ValueError, match="recipe without an optimizer"):
        check(Recipe(learning_rate=StepDecay(0.1, every=epochs(1))))
    with pytest.raises(ValueError, match="cannot be sent to another process"):
        check(Recipe(AdamW(), learning_rate=EpochFunction(lambda epoch: 0.5**epoch)))
    with pytest.raises(ValueError, match="expected some of"):
        check(Recipe(AdamW()), frameworks=["keras-mxnet"])


def test_a_process_that_fails_is_reported_with_its_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "only_here.py").write_text("def halved(epoch):\n    return 0.5 ** epoch\n")
    monkeypatch.syspath_prepend(tmp_path)  # of this process, not of the workers
    recipe = Recipe(AdamW(), learning_rate=EpochFunction(import_module("only_here").halved))
    with pytest.raises(RuntimeError, match=r"(?s)lightning failed with exit status 1.*No module named 'only_here'"):
        check(recipe, frameworks=["lightning"], epochs=1)


@pytest.mark.parametrize(
    "spec",
    [SGDW(0.05, 0.02, momentum=0.95, nesterov=True), AdamW(2e-3, 0.1, betas=(0.95, 0.999))],
    ids=["SGDW", "AdamW"],
)
def test_one_cycle_of_learning_rate_and_momentum_is_the_same_everywhere(spec: Spec) -> None:
    recipe = Recipe(spec, learning_rate=one_cycle(), momentum=one_cycle(start=1, top=0.85 / 0.95, end=1))
    result = check(recipe, epochs=3, seed=1, stock=True)
    result.assert_same()
    for framework in KERAS:
        assert 0.85 <= min(result.runs[framework].trace.column("momentum")) < 0.851
        assert result.distances(result.runs[framework], result.reference)[-1] < WEIGHT_TOLERANCE
        # Keras' own optimizers do not follow a momentum schedule, and its SGD multiplies the buffer by the rate.
        assert result.distances(result.stock[framework], result.stock["lightning"])[-1] > 0.1


RULES = [ParameterRule(role="bias", weight_decay=0), ParameterRule(path="hidden/**", learning_rate=0.5)]


@pytest.mark.parametrize(
    "spec",
    [
        NAdamW(2e-3, 0.1, parameters=RULES, global_clipnorm=0.5),
        SGDW(0.05, 1e-4, 0.9, parameters=RULES, l1_ratio=0.3, weight_decay_basis="schedule", momentum_mode="keras"),
        AdamW(2e-3, 1e-4, amsgrad=True, epsilon_mode="hat", weight_decay_basis="update", clipnorm=0.1),
    ],
    ids=lambda spec: type(spec).__name__,
)
def test_rules_clipping_and_every_basis_are_the_same_everywhere(spec: Spec) -> None:
    halved = CosineDecay(over=percent(100), end=0.5)
    result = check(Recipe(spec, learning_rate=halved, weight_decay=halved), epochs=3)
    result.assert_same()
    names = set(result.runs["lightning"].trace[0].values)
    assert ("learning_rate/2" in names) is bool(spec.parameters)  # of the biases, of `hidden`, of its bias: 3 more
    for run in result.runs.values():
        assert set(run.trace[0].values) == names
        assert result.distances(run, result.reference)[-1] < WEIGHT_TOLERANCE
