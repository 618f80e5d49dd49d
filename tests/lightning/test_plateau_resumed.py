"""ReduceOnPlateau in a run that goes on from a checkpoint: the reductions are those of an uninterrupted run."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

from samestep import CosineDecay, Recipe, percent
from samestep.lightning import HyperparameterScheduler, ReduceOnPlateau

from .tiny_training import SAFELY, Scored, refusal, sgd, train

SCORES = [1.0, 0.5, 0.5, 0.25, 0.75, 0.5]
EPOCHS, BATCHES = len(SCORES), 2
SCHEDULE = Recipe(learning_rate=CosineDecay(over=percent(100)))

everywhere = pytest.mark.parametrize("at", ["validation", "batches", "end"])


def alone(**arguments: Any) -> list[Any]:
    return [ReduceOnPlateau(**{"factor": 0.5, "patience": 0, **arguments})]


def beside(**arguments: Any) -> list[Any]:
    return [HyperparameterScheduler(SCHEDULE), *alone(**arguments)]


def saver(folder: Path, when: str) -> ModelCheckpoint:
    """Saves after each batch, or once in each epoch: after validation, or at its end."""
    options = {"every_n_train_steps": 1} if when == "batch" else {"every_n_epochs": 1}
    return ModelCheckpoint(
        folder / when, "{step}", save_top_k=-1, save_on_train_epoch_end=when == "end of epoch", **options
    )


def told(run: Callable[[], Any]) -> tuple[Any, list[str]]:
    """What a run came to, and what was told of scores meanwhile."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = run()
    return result, [str(each.message) for each in caught if "found no score" in str(each.message)]


@everywhere
@pytest.mark.parametrize("when", ["batch", "validation", "end of epoch"])
@pytest.mark.parametrize(
    ("callbacks", "bound"),
    [
        (alone, {"max_epochs": EPOCHS}),
        (beside, {"max_epochs": -1, "max_steps": EPOCHS * BATCHES}),
        (lambda: beside()[::-1], {"max_epochs": EPOCHS}),
    ],
    ids=["alone", "after a scheduler", "before a scheduler"],
)
def test_from_every_checkpoint_a_run_goes_on_as_if_uninterrupted_or_says_which_score_it_lacks(
    tmp_path: Path, callbacks: Callable[[], list[Any]], bound: dict[str, Any], when: str, at: str
) -> None:
    options: dict[str, Any] = {"batches": BATCHES, **bound}
    module = Scored(sgd(1.0), SCORES, at)
    whole = train(None, *callbacks(), saver(tmp_path, when), module=module, enable_checkpointing=True, **options)
    for step in range(1, EPOCHS * BATCHES) if when == "batch" else range(BATCHES, EPOCHS * BATCHES, BATCHES):
        fit = {"ckpt_path": str(tmp_path / when / f"step={step}.ckpt")}
        module = Scored(sgd(1.0), SCORES, at)
        rest, warned = told(lambda: train(None, *callbacks(), module=module, fit=fit, **options))  # noqa: B023
        # Lightning skips a validation that a checkpoint precedes, and saves nothing of the metrics of an epoch.
        skipped = when == "batch" and step % BATCHES == 0
        lacks = skipped or (at != "validation" and when != "end of epoch")
        assert [f"cover all of epoch {(step - 1) // BATCHES}," in each for each in warned] == [True] * lacks
        if not skipped and (at, when) != ("batches", "validation"):
            assert rest.learning_rates() == whole.learning_rates()[step:], f"after update {step}"


def rest_of(path: Path, module: Any, *callbacks: Any, **options: Any) -> Any:
    fit = {"ckpt_path": str(path), **options.pop("fit", {})}
    rest, warned = told(lambda: train(None, *callbacks, module=module, batches=1, fit=fit, **options))
    assert not warned
    return rest


@everywhere
def test_what_is_saved_after_the_run_has_all_of_its_scores(tmp_path: Path, at: str) -> None:
    run = train(None, *alone(), module=Scored(sgd(1.0), [1.0] * 6, at), batches=1, epochs=3)
    run.trainer.save_checkpoint(tmp_path / "saved.ckpt")
    rest = rest_of(tmp_path / "saved.ckpt", Scored(sgd(1.0), [1.0] * 6, at), *alone(), epochs=6)
    assert rest.of_each_epoch() == [0.25, 0.125, 0.0625]


def test_a_checkpoint_is_gone_on_from_twice_and_by_a_callback_that_has_trained_since(tmp_path: Path) -> None:
    callbacks = alone()
    run = train(None, *callbacks, module=Scored(sgd(1.0), [1.0] * 6), batches=1, epochs=2)
    run.trainer.save_checkpoint(tmp_path / "2.ckpt")
    for _ in range(2):
        rest = rest_of(tmp_path / "2.ckpt", Scored(sgd(1.0), [1.0, 1.0, 0.5, 0.5]), *callbacks, epochs=4)
        assert rest.of_each_epoch() == [0.5, 0.5]
    rest.trainer.save_checkpoint(tmp_path / "4.ckpt")
    rest = rest_of(tmp_path / "4.ckpt", Scored(sgd(1.0), [1.0] * 6), *alone(), epochs=6)
    assert rest.of_each_epoch() == [0.25, 0.125]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1e-300])
def test_any_score_is_in_a_checkpoint_that_loads_with_weights_only(tmp_path: Path, value: float) -> None:
    run = train(None, *alone(), module=Scored(sgd(1.0), [0.0, value]), batches=1, epochs=2)
    run.trainer.save_checkpoint(tmp_path / "saved.ckpt")
    torch.load(tmp_path / "saved.ckpt", weights_only=True)
    callbacks = alone()
    rest_of(tmp_path / "saved.ckpt", Scored(sgd(1.0), [1.0] * 3), *callbacks, epochs=3, fit=SAFELY)
    assert repr(callbacks[0].scores) == repr({0: 0.0, 1: run.trainer.callback_metrics["val_loss"].item(), 2: 1.0})


@pytest.mark.parametrize("at", ["batches", "end"])
@pytest.mark.parametrize("trained", range(1, 6))
def test_an_epoch_that_has_no_score_is_not_warned_of(tmp_path: Path, at: str, trained: int) -> None:
    scores = [1.0, None, 1.0, None, 1.0, None]
    run = train(None, *alone(), module=Scored(sgd(1.0), scores, at), batches=1, epochs=trained)
    run.trainer.save_checkpoint(tmp_path / "saved.ckpt")
    rest = rest_of(tmp_path / "saved.ckpt", Scored(sgd(1.0), scores, at), *alone(), epochs=6)
    assert rest.of_each_epoch() == [1.0, 1.0, 1.0, 0.5, 0.5, 0.25][trained:]


def test_a_callback_that_the_run_did_not_have_begins_with_the_checkpoint(tmp_path: Path) -> None:
    run = train(None, module=Scored(sgd(1.0), [1.0] * 5), batches=1, epochs=2)
    run.trainer.save_checkpoint(tmp_path / "saved.ckpt")
    rest = rest_of(tmp_path / "saved.ckpt", Scored(sgd(1.0), [1.0] * 5), *beside(), epochs=5)
    plan = SCHEDULE.plan(updates_per_epoch=1, epochs=5)
    left = zip(range(2, 5), [1.0, 1.0, 0.5], strict=True)
    assert rest.learning_rates() == [plan.value("learning_rate", epoch, 0, base=1.0) * each for epoch, each in left]


def test_on_change_decides_between_two_settings_of_a_callback(tmp_path: Path) -> None:
    run = train(None, *alone(), module=Scored(sgd(1.0), [1.0] * 5), batches=1, epochs=3)
    run.trainer.save_checkpoint(tmp_path / "saved.ckpt")
    fit = {"ckpt_path": str(tmp_path / "saved.ckpt")}
    message = refusal(None, *alone(factor=0.1), module=Scored(sgd(1.0), [1.0] * 5), fit=fit, epochs=5)
    assert "factor was 0.5 and is 0.1" in message
    for on_change, expected in (("use_new", [0.0625, 0.015625]), ("use_saved", [0.25, 0.125])):
        (callback,) = alone(factor=0.25, on_change=on_change)
        rest = rest_of(tmp_path / "saved.ckpt", Scored(sgd(1.0), [1.0] * 5), callback, epochs=5)
        assert rest.of_each_epoch() == expected
    # A run of its own is by its own settings again.
    run = train(None, callback, module=Scored(sgd(1.0), [1.0] * 5), batches=1, epochs=3)
    assert run.of_each_epoch() == [1.0, 1.0, 0.25]


@everywhere
def test_a_validation_every_other_epoch_is_gone_on_from(tmp_path: Path, at: str) -> None:
    options: dict[str, Any] = {"check_val_every_n_epoch": 2}
    save = saver(tmp_path, "end of epoch")
    module = Scored(sgd(1.0), [1.0] * 6, at)
    whole = train(None, *alone(), save, module=module, batches=1, epochs=6, enable_checkpointing=True, **options)
    for step in range(1, 6):
        path = tmp_path / "end of epoch" / f"step={step}.ckpt"
        rest = rest_of(path, Scored(sgd(1.0), [1.0] * 6, at), *alone(), epochs=6, **options)
        assert rest.learning_rates() == whole.learning_rates()[step:]
