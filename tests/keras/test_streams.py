"""Training data of unknown length: a schedule in updates goes by the number of updates that the run has made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from samestep import AdamW, LinearDecay, Recipe, StepDecay, Warmup, epochs
from samestep.core.recipes.float32 import float32
from samestep.keras import HyperparameterScheduler

from .tiny_training import probe, refusal, train

SCHEDULE = Warmup("4 updates") * StepDecay(0.5, "3 updates")


def planned(begin: int, end: int, base: float = 0.125) -> list[float]:
    plan = Recipe(learning_rate=SCHEDULE).plan(updates_per_epoch=40, epochs=1)
    return [float32(value) for value in plan.values("learning_rate", base=base)[begin:end]]


def scheduler(spec: AdamW | None, **options: Any) -> HyperparameterScheduler:
    return HyperparameterScheduler(Recipe(spec, learning_rate=SCHEDULE), **options)


def test_a_schedule_in_updates_counts_them(spec: AdamW) -> None:
    run = train(probe(spec), scheduler(spec, verify=True), stream=True, batches=3)
    assert run.used("learning_rate") == planned(0, 9)
    assert run.model.history.history["learning_rate"] == pytest.approx([planned(0, 9)[last] for last in (2, 5, 8)])


def test_keras_own_optimizer_too_unless_it_is_miscounted() -> None:
    if keras.backend.backend() == "tensorflow":
        message = refusal(probe(keras.optimizers.SGD(0.125)), scheduler(None), stream=True, batches=3)
        assert "tensorflow counts one too many of in each epoch; build the optimizer with build_optimizer" in message
        return
    run = train(probe(keras.optimizers.SGD(0.125)), scheduler(None), stream=True, batches=3)
    assert run.used("learning_rate") == planned(0, 9)


def test_each_hyperparameter_has_its_own_measure(spec: AdamW) -> None:
    recipe = Recipe(spec, learning_rate=SCHEDULE, weight_decay=StepDecay(0.5, epochs(1)))
    run = train(probe(spec), HyperparameterScheduler(recipe, verify=True), stream=True, batches=2)
    assert run.used("learning_rate") == planned(0, 6)
    assert run.used("weight_decay") == [float32(value) for value in (0.1, 0.1, 0.05, 0.05, 0.025, 0.025)]


def test_percent_and_a_mixture_are_refused(spec: AdamW) -> None:
    for schedule in (LinearDecay("100%"), Warmup("2 updates") * StepDecay(0.5, epochs(1))):
        recipe = Recipe(spec, learning_rate=schedule)
        message = refusal(probe(spec), HyperparameterScheduler(recipe), stream=True)
        assert "give updates_per_epoch=" in message


def test_epochs_unlike_each_other_and_a_second_fit(spec: AdamW) -> None:
    model = probe(spec)
    assert train(model, scheduler(spec), stream=True, batches=3, epochs=1).used("learning_rate") == planned(0, 3)
    run = train(model, scheduler(spec), stream=True, batches=2, epochs=3, initial_epoch=1)
    assert run.used("learning_rate") == planned(3, 7)
    assert train(model, scheduler(spec), stream=True, batches=2, epochs=1).used("learning_rate") == planned(0, 2)


def test_a_saved_run_goes_on_counting(tmp_path: Path, spec: AdamW) -> None:
    model = probe(spec)
    train(model, scheduler(spec), stream=True, batches=3, epochs=2)
    model.save(tmp_path / "run.keras")
    again = keras.saving.load_model(tmp_path / "run.keras")
    run = train(again, scheduler(spec), stream=True, batches=3, epochs=3, initial_epoch=2)
    assert run.used("learning_rate") == planned(6, 9)
    known = train(keras.saving.load_model(tmp_path / "run.keras"), scheduler(spec), batches=3, initial_epoch=2)
    assert known.used("learning_rate") == planned(6, 9)
    with pytest.raises(ValueError, match="found a run of 6 updates up to epoch 2, update 0, and epochs of 5, which m"):
        train(keras.saving.load_model(tmp_path / "run.keras"), scheduler(spec), batches=5, initial_epoch=2)


def test_beyond_the_table_the_last_value_holds_or_the_run_stops(spec: AdamW, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("samestep.keras.followers.table_follower._STREAMED", 4)
    ends = Recipe(spec, learning_rate=LinearDecay("3 updates", end=0.5))
    run = train(probe(spec), HyperparameterScheduler(ends), stream=True, batches=6, epochs=1)
    np.testing.assert_array_equal(run.used("learning_rate")[3:], [0.0625] * 3)
    with pytest.raises(ValueError, match="found 6 updates in an epoch of unknown length, of which the first 4 can ha"):
        train(probe(spec), scheduler(spec), stream=True, batches=6, epochs=1)
