"""ReduceOnPlateau in one fit after another, and in runs that go on from a file: as an uninterrupted run does."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import pytest

from samestep import AdamW, LinearDecay, Recipe, updates
from samestep.keras import HyperparameterScheduler, ReduceOnPlateau

from .tiny_training import probe, train

SCORES = [1.0, 0.5, 0.5, 0.25, 0.75, 0.5]  # those of the epochs 2, 4 and 5 are bad
REDUCED = [1.0, 1.0, 1.0, 0.5, 0.5, 0.25]
SPEC = AdamW(0.5, 0.0, betas=(0.0, 0.0))
SCHEDULE = Recipe(SPEC, learning_rate=LinearDecay(over=updates(32)))

ours_and_stock = pytest.mark.parametrize("ours", [True, False], ids=["ours", "stock"])


def halving(**arguments: Any) -> ReduceOnPlateau:
    return ReduceOnPlateau(**{"factor": 0.5, "patience": 0, **arguments})


class Scores(keras.callbacks.Callback):
    """The user's own metric; and a failure of the user's own in a batch, (epoch, batch), where one is given."""

    def __init__(self, scores: Sequence[float | None] = SCORES, fails: tuple[int, int] | None = None) -> None:
        super().__init__()
        self.scores, self.fails = scores, fails

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if (self.epoch, batch) == self.fails:
            raise RuntimeError("broken off")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self.scores[epoch] is not None:
            logs["val_loss"] = self.scores[epoch]


def of_each_epoch(run: Any, updates: int = 1) -> list[float]:
    found = [-weight / updates for weight, _ in run.left]
    assert run.used("learning_rate")[::updates] == found
    return found


def rates(first: int = 0, end: int = 6) -> list[float]:
    return [0.5 * part for part in REDUCED[first:end]]


@pytest.fixture
def model(ours: bool) -> keras.Model:
    return probe(SPEC if ours else keras.optimizers.SGD(0.5))


@ours_and_stock
def test_fits_one_after_another(model: Any) -> None:
    """A second run begins without the scores of the first, and initial_epoch goes on with those up to there."""
    callback = halving()
    for _ in range(2):
        assert of_each_epoch(train(model, Scores(), callback, batches=1, epochs=6)) == rates()
    for first in (5, 3):
        run = train(model, Scores(), callback, batches=1, epochs=6, initial_epoch=first)
        assert of_each_epoch(run) == rates(first)
    run = train(model, Scores([1.0, None, 1.0, None, None, None]), callback, batches=1, epochs=6)
    assert of_each_epoch(run) == [0.5, 0.5, 0.5, 0.25, 0.25, 0.25]


def test_initial_epoch_of_a_callback_that_is_new_has_the_scores_of_the_optimizer() -> None:
    model = probe(SPEC)
    train(model, Scores(), halving(), batches=1, epochs=4)
    assert of_each_epoch(train(model, Scores(), halving(), batches=1, epochs=6, initial_epoch=4)) == rates(4)


def test_initial_epoch_with_an_optimizer_of_keras_own_is_refused_where_nobody_has_the_scores() -> None:
    model = probe(keras.optimizers.SGD(0.5))
    train(model, Scores(), halving(), batches=1, epochs=4)
    with pytest.raises(ValueError, match=r"^ReduceOnPlateau: found a training that starts at epoch 4") as caught:
        train(model, Scores(), halving(), epochs=6, initial_epoch=4)
    assert str(caught.value).endswith(
        "with Keras' own optimizer, whose checkpoint has no scores; build the optimizer with "
        "build_optimizer(spec, model)."
    )
    run = train(model, Scores(), halving(start_epoch=4), batches=1, epochs=6, initial_epoch=4)
    assert of_each_epoch(run) == [0.5, 0.5]


@ours_and_stock
def test_an_epoch_that_failed_is_scored_when_it_is_trained_again(model: Any) -> None:
    callback = halving()
    with pytest.raises(RuntimeError, match="broken off"):
        train(model, Scores(fails=(3, 1)), callback, batches=2, epochs=6)
    run = train(model, Scores(), callback, batches=2, epochs=6, initial_epoch=3)
    assert of_each_epoch(run, 2) == rates(3)
    assert callback.scores == dict(enumerate(SCORES))
    assert of_each_epoch(train(model, Scores(), callback, batches=2, epochs=6), 2) == rates()


def driving(scheduled: bool) -> list[Any]:
    return [halving(), *([HyperparameterScheduler(SCHEDULE)] if scheduled else [])]


def planned(scheduled: bool, first: int = 0) -> list[float]:
    """The learning rates of two updates in each epoch."""
    plan = SCHEDULE.plan(2, 6)
    return [
        (plan.value("learning_rate", epoch, update) if scheduled else 0.5) * REDUCED[epoch]
        for epoch in range(first, 6)
        for update in range(2)
    ]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What callbacks before and after ours save of a run, after each epoch and in each, whole models and weights."""
    folder = tmp_path_factory.mktemp("saved")
    for scheduled in (True, False):

        def saver(name: str, **options: Any) -> Any:
            return keras.callbacks.ModelCheckpoint(folder / f"{scheduled}-{name}", **options)  # noqa: B023

        run = train(
            probe(SPEC),
            Scores(),
            saver("before ours-{epoch}.weights.h5", save_weights_only=True),
            *driving(scheduled),
            saver("after ours-{epoch}.weights.h5", save_weights_only=True),
            saver("a model-{epoch}.keras"),
            saver("within an epoch-{epoch}.weights.h5", save_weights_only=True, save_freq=1),
            batches=2,
            epochs=5,
        )
        run.model.save_weights(folder / f"{scheduled}-after the run-5.weights.h5")
    return folder


def loaded(path: Path) -> keras.Model:
    model = probe(SPEC)
    if path.suffix == ".keras":
        return keras.saving.load_model(path, custom_objects={"mean_prediction": model.loss})
    model.optimizer.build(model.trainable_variables)
    model.load_weights(path)
    return model


@pytest.mark.parametrize(
    ("file", "first", "scheduled"),
    [
        ("before ours-{}.weights.h5", 3, True),
        ("after ours-{}.weights.h5", 5, False),
        ("a model-{}.keras", 3, True),
        ("a model-{}.keras", 4, False),
        ("after the run-{}.weights.h5", 5, True),
    ],
)
def test_what_is_saved_after_an_epoch_goes_on(file: str, first: int, scheduled: bool, saved: Path) -> None:
    model = loaded(saved / f"{scheduled}-{file.format(first)}")
    run = train(model, Scores(), *driving(scheduled), batches=2, epochs=6, initial_epoch=first)
    assert run.used("learning_rate") == planned(scheduled, first)


def test_what_is_saved_within_an_epoch_begins_it_anew(saved: Path) -> None:
    model = loaded(saved / "True-within an epoch-4.weights.h5")
    run = train(model, Scores(), *driving(True), batches=2, epochs=6, initial_epoch=3)
    assert run.used("learning_rate") == planned(True, 3)


def test_models_that_were_trained_by_one_callback_are_saved_with_their_own_scores(tmp_path: Path) -> None:
    callbacks, models = driving(True), [probe(SPEC), probe(SPEC)]
    for model, scores in zip(models, (SCORES, [1.0, 2.0, 3.0, 4.0]), strict=True):
        train(model, Scores(scores), *callbacks, batches=2, epochs=4)
    models[0].save_weights(tmp_path / "first.weights.h5")
    run = train(loaded(tmp_path / "first.weights.h5"), Scores(), *callbacks, batches=2, epochs=6, initial_epoch=4)
    assert run.used("learning_rate") == planned(True, 4)


@pytest.mark.parametrize(
    ("frequency", "fails", "first"),
    [(1, (3, 0), True), (1, (3, 1), False), ("epoch", (3, 0), True), ("epoch", (3, 1), False), (1, (5, 1), True)],
    ids=str,
)
def test_a_run_that_is_broken_off_is_taken_up_by_backup_and_restore(
    frequency: Any, first: bool, fails: tuple[int, int], tmp_path: Path
) -> None:
    def fit(broken_off: tuple[int, int] | None) -> Any:
        backup = keras.callbacks.BackupAndRestore(tmp_path, save_freq=frequency, delete_checkpoint=False)
        callbacks = [backup, *driving(True)]
        return train(probe(SPEC), Scores(fails=broken_off), *callbacks[:: 1 if first else -1], batches=2, epochs=6)

    with pytest.raises(RuntimeError, match="broken off"):
        fit(fails)
    run = fit(None)
    # Before the first batch of an epoch, save_freq=1 has saved last within the epoch before, which is trained anew.
    begins = fails[0] - 1 if (frequency, fails[1]) == (1, 0) else fails[0]
    assert run.positions()[0] == (begins, 0)
    assert run.used("learning_rate") == planned(True, begins)


def test_an_optimizer_of_keras_own_that_is_taken_up_is_refused(tmp_path: Path) -> None:
    def fit(broken_off: tuple[int, int] | None) -> Any:
        backup = keras.callbacks.BackupAndRestore(tmp_path, delete_checkpoint=False)
        return train(probe(keras.optimizers.SGD(0.5)), Scores(fails=broken_off), halving(), backup, epochs=6)

    with pytest.raises(RuntimeError, match="broken off"):
        fit((3, 0))
    with pytest.raises(ValueError, match="found a training that starts at epoch 3 with Keras' own optimizer"):
        fit(None)


def test_on_change_decides_between_two_settings_of_a_callback(saved: Path) -> None:
    path = saved / "False-a model-3.keras"

    def fit(**arguments: Any) -> Any:
        return train(loaded(path), Scores(), halving(**arguments), batches=2, epochs=6, initial_epoch=3)

    with pytest.raises(ValueError, match=r"factor was 0.5 and is 0.25"):
        fit(factor=0.25)
    assert fit(factor=0.25, on_change="use_saved").used("learning_rate") == planned(False, 3)
    used = fit(factor=0.25, on_change="use_new").used("learning_rate")
    assert used == [0.125, 0.125, 0.125, 0.125, 0.03125, 0.03125]


@ours_and_stock
def test_a_metric_that_is_not_there_is_refused_after_the_first_epoch(model: Any) -> None:
    reader = Scores()
    with pytest.raises(
        ValueError, match=r"^ReduceOnPlateau: found no metric 'val_los' at the end of epoch 0; log it, or"
    ) as caught:
        train(model, reader, halving(monitor="val_los"), epochs=6)
    assert str(caught.value).endswith("set monitor= to one of learning_rate, loss, val_loss.")
    assert reader.epoch == 1


@pytest.mark.parametrize(("monitor", "count", "ours"), [("val_los", 1, False), ("val_accuracy", 3, True)])
def test_a_metric_of_no_epoch_is_warned_of_at_the_end(model: Any, monitor: str, count: int) -> None:
    with pytest.warns(UserWarning, match=rf"found no metric '{monitor}' in this training, so nothing was reduced; "):
        train(model, halving(monitor=monitor), epochs=count)


@ours_and_stock
def test_the_score_of_an_only_epoch_is_none_too_few(model: Any) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("error", ".*found no metric")
        train(model, halving(), Scores(), epochs=1)
