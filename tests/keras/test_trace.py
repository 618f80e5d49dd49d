"""A TraceRecorder records some of the updates, and an epoch of any known length."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import pytest

from samestep import AdamW, LinearDecay, Position, Recipe, Warmup
from samestep.keras import HyperparameterScheduler, TraceRecorder
from samestep.keras.followers import recordings

from .tiny_training import probe, stream_of, train

COMPILED = keras.backend.backend() != "torch"
LINE = Recipe(learning_rate=LinearDecay("100%"))


def is_due(every: str, position: Position) -> bool:
    amount, unit = int(every.split()[0]), every.split()[1]
    if unit.startswith("update"):
        return position.update % amount == 0
    return position.update == 0 and position.epoch % amount == 0


@pytest.mark.parametrize("stock", [False, True], ids=["built", "stock"])
def test_some_of_the_updates_are_recorded_with_what_they_used(stock: bool, spec: AdamW) -> None:
    recorders = {
        every: TraceRecorder(every=every) for every in ("1 update", "2 updates", "3 updates", "1 epoch", "2 epochs")
    }
    optimizer: Any = keras.optimizers.SGD(0.5) if stock else spec
    run = train(probe(optimizer), *recorders.values(), HyperparameterScheduler(LINE))
    assert len(run.trace) == 15
    for every, recorder in recorders.items():
        assert recorder.trace.entries == [entry for entry in run.trace.entries if is_due(every, entry.position)]


def alone(spec: AdamW, recorder: TraceRecorder, **options: Any) -> None:
    model = probe(spec, **options)
    model.fit(
        *[keras.ops.ones((6, width)) for width in (2, 1)],
        batch_size=1,
        epochs=3,
        verbose=0,
        callbacks=[recorder, HyperparameterScheduler(Recipe(spec, learning_rate=LinearDecay("100%")))],
    )


@pytest.mark.parametrize("options", [{}, {"steps_per_execution": 3}] if COMPILED else [{}])
def test_the_first_update_of_each_epoch_is_recorded_in_any_room(
    options: dict[str, Any], spec: AdamW, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recordings, "_COLUMNS", 2)
    recorder = TraceRecorder(every="1 epoch")
    alone(spec, recorder, **options)
    rates = [spec.learning_rate * (1 - epoch / 3) for epoch in range(3)]
    assert recorder.trace.column("learning_rate") == pytest.approx(rates, rel=1e-7)
    assert [entry.position for entry in recorder.trace.entries] == [(0, 0), (1, 0), (2, 0)]


def test_an_epoch_of_any_known_length_is_recorded(spec: AdamW, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "_COLUMNS", 4)  # the most of an epoch of unknown length: 65,536
    recorder = TraceRecorder()
    alone(spec, recorder)
    assert len(recorder.trace) == 18


def test_an_epoch_of_unknown_length_that_is_too_long_is_told_how_to_be_recorded(
    spec: AdamW, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recordings, "_COLUMNS", 4)
    with pytest.raises(ValueError, match="found 5 updates in an epoch of unknown length, of which at most 4 are recor"):
        train(probe(spec), stream=True)
    recorder, model = TraceRecorder(every="1 epoch"), probe(spec)
    model.fit(stream_of(5), epochs=1, verbose=0, callbacks=[recorder])
    assert len(recorder.trace) == 1


def test_a_run_that_is_resumed_records_the_rest_of_the_same_updates(spec: AdamW, tmp_path: Path) -> None:
    recipe = Recipe(spec, learning_rate=Warmup("14 updates", start=0.1))

    def fit(every: str, **options: Any) -> TraceRecorder:
        recorder = TraceRecorder(every=every)
        backup = keras.callbacks.BackupAndRestore(tmp_path / every, delete_checkpoint=False)
        train(probe(spec), HyperparameterScheduler(recipe), recorder, backup, **options)
        return recorder

    for every in ("2 updates", "2 epochs"):
        whole = TraceRecorder(every=every)
        train(probe(spec), HyperparameterScheduler(recipe), whole)
        fit(every, epochs=1)
        rest = fit(every, epochs=3)
        assert rest.trace.entries == [entry for entry in whole.trace.entries if entry.position.epoch >= 1]
        assert rest.trace.entries
