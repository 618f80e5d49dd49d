"""ReduceOnPlateau in one fit after another, in fits that fail, and where there is no score or nothing to reduce."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from samestep import Recipe, StepDecay
from samestep.lightning import EpochGatedDecay, HyperparameterScheduler, ReduceOnPlateau

from .tiny_training import Scored, refusal, sgd, train

SCORES = [1.0, 0.5, 0.5, 0.25, 0.75, 0.5]
REDUCED = [1.0, 1.0, 1.0, 0.5, 0.5, 0.25]

everywhere = pytest.mark.parametrize("at", ["validation", "batches", "end"])


def halving(**arguments: Any) -> ReduceOnPlateau:
    return ReduceOnPlateau(**{"factor": 0.5, "patience": 0, **arguments})


@everywhere
def test_a_second_run_begins_without_the_scores_of_the_first(at: str) -> None:
    callback = halving()
    for _ in range(2):
        run = train(None, callback, module=Scored(sgd(1.0), SCORES, at), batches=1, epochs=6)
        assert run.of_each_epoch() == REDUCED
    fewer = [1.0, None, 1.0, None, None, None]
    run = train(None, callback, module=Scored(sgd(1.0), fewer, at), batches=1, epochs=6)
    assert run.of_each_epoch() == [1.0, 1.0, 1.0, 0.5, 0.5, 0.5]


def goes_on(trainer: pl.Trainer, module: Any, epochs: int) -> None:
    trainer.fit_loop.max_epochs = epochs
    trainer.fit(module, torch.utils.data.DataLoader(torch.zeros(2)))


@everywhere
def test_a_run_whose_epochs_are_raised_goes_on_with_its_scores(at: str) -> None:
    run = train(None, halving(), module=Scored(sgd(1.0), SCORES, at), batches=2, epochs=3)
    goes_on(run.trainer, run.module, 6)
    assert run.learning_rates()[::2] == REDUCED


@everywhere
def test_an_epoch_that_failed_is_scored_when_it_is_trained_again(at: str) -> None:
    callback, module = halving(), Scored(sgd(1.0), SCORES, at, fail_at=8)
    with pytest.raises(RuntimeError, match="own failure"):
        train(None, callback, module=module, batches=2, epochs=6)
    trainer = module.trainer
    goes_on(trainer, module, 6)
    assert callback.scores == dict(enumerate(SCORES))
    used = [-left for (left,) in module.left]
    assert used == [1.0, 1.0] * 3 + [0.5] + [0.5, 0.5, 0.5, 0.5, 0.25, 0.25]


def plain(module: torch.nn.Module) -> torch.optim.Optimizer:
    """Can be pickled, as sgd(1.0) cannot: Lightning gives a callback the module's `log`, and with it the module."""
    return torch.optim.SGD(module.parameters(), lr=1.0)


@pytest.mark.parametrize("trained", [0, 2])
def test_callbacks_pickle_before_and_after_a_run(trained: int) -> None:
    callbacks = [halving(), HyperparameterScheduler(Recipe(learning_rate=StepDecay(0.5, "1 epoch")))]
    if trained:
        train(None, *callbacks, module=Scored(plain, SCORES), epochs=trained)
    again = pickle.loads(pickle.dumps(callbacks))
    assert again[0].scores == callbacks[0].scores  # type: ignore[attr-defined]
    run = train(None, *again, module=Scored(sgd(1.0), SCORES), batches=1, epochs=6)
    assert run.of_each_epoch() == [left * 0.5**epoch for epoch, left in enumerate(REDUCED)]


def test_a_metric_that_is_not_there_is_refused_after_the_first_epoch() -> None:
    module = Scored(sgd(1.0), SCORES)
    with pytest.raises(
        ValueError, match=r"^ReduceOnPlateau: found no metric 'val_los' at the end of epoch 1; log it, or"
    ) as caught:
        train(None, halving(monitor="val_los"), module=module, batches=2, epochs=6, check_val_every_n_epoch=2)
    assert str(caught.value).endswith("set monitor= to one of learning_rate, val_loss.")
    assert module.batches == 4


@pytest.mark.parametrize("options", [{"epochs": 1}, {"epochs": 3, "check_val_every_n_epoch": 4}], ids=repr)
def test_a_metric_of_no_epoch_is_warned_of_at_the_end(options: dict[str, Any]) -> None:
    with pytest.warns(UserWarning, match=r"found no metric 'val_los' in this training, so nothing was reduced; "):
        train(None, halving(monitor="val_los"), module=Scored(sgd(1.0), SCORES), **options)


@everywhere
def test_the_score_of_an_only_epoch_is_none_too_few(at: str) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("error", ".*found no metric")
        train(None, halving(), module=Scored(sgd(1.0), SCORES, at), epochs=1)


def test_what_cannot_be_multiplied_is_refused() -> None:
    assert refusal(sgd(1.0), halving(), halving(monitor="loss")).startswith(
        "found two callbacks that drive learning_rate"
    )
    assert "found base=0.5 next to a callback that schedules the learning_rate; leave base= out" in refusal(
        sgd(1.0), halving(base=0.5), EpochGatedDecay(0.5, start_epoch=1)
    )
