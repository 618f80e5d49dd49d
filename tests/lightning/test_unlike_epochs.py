"""Epochs that are not alike, optimizers that are not what they seem: noticed before a wrong value is used."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import GradientAccumulationScheduler, ModelCheckpoint
from pytorch_lightning.plugins import MixedPrecision

from samestep import AdamW, LinearDecay, Recipe, StepDecay, epochs, updates
from samestep.lightning import EpochGatedDecay, HyperparameterScheduler, LearningRateScheduler

from .tiny_training import Ramp, refusal, sgd, train

LINEAR = Recipe(learning_rate=LinearDecay(over=epochs(3)))
IN_UPDATES = Recipe(learning_rate=StepDecay(0.5, every=updates(4)))
PER_EPOCH = Recipe(learning_rate=StepDecay(0.5, every=epochs(1)))


class Stream(torch.utils.data.IterableDataset[torch.Tensor]):
    def __init__(self, batches: int) -> None:
        self.batches = batches

    def __iter__(self) -> Iterator[torch.Tensor]:
        return iter(torch.zeros(self.batches))


@pytest.mark.parametrize("recipe", [LINEAR, IN_UPDATES])
@pytest.mark.parametrize("changed", [{1: 2}, {2: 2}])
@pytest.mark.parametrize("ours_first", [True, False])
def test_an_accumulation_that_changes_is_refused_before_the_first_batch(
    recipe: Recipe, changed: dict[int, int], ours_first: bool
) -> None:
    # A copy, because Lightning adds an entry for epoch 0.
    callbacks = [HyperparameterScheduler(recipe), GradientAccumulationScheduler(dict(changed))]
    module = Ramp(sgd(1.0))
    (epoch,) = changed
    with pytest.raises(ValueError, match=f"found 2 updates in epoch {epoch} and 4 in the first"):
        train(None, *(callbacks if ours_first else callbacks[::-1]), batches=4, module=module)
    assert module.batches == 0


@pytest.mark.parametrize("scheduled", [{0: 2}, {0: 2, 3: 1}, {0: 4, 1: 3}])
@pytest.mark.parametrize("ours_first", [True, False])
def test_an_accumulation_scheduler_that_changes_no_epoch_of_the_run_is_followed(
    scheduled: dict[int, int], ours_first: bool
) -> None:
    callbacks = [HyperparameterScheduler(LINEAR), GradientAccumulationScheduler(scheduled)]
    run = train(sgd(1.0), *(callbacks if ours_first else callbacks[::-1]), batches=5 if 3 in scheduled.values() else 4)
    assert run.learning_rates() == pytest.approx([1 - update / 6 for update in range(6)], rel=2**-52)


def test_an_accumulation_that_changes_is_nothing_to_a_schedule_in_whole_epochs() -> None:
    run = train(
        sgd(1.0), HyperparameterScheduler(PER_EPOCH), GradientAccumulationScheduler({0: 2, 1: 4, 2: 1}), batches=4
    )
    assert run.learning_rates() == [1.0, 1.0, 0.5, 0.25, 0.25, 0.25, 0.25]


def fit_reloaded(module: Any, recipe: Recipe, lengths: list[int]) -> None:
    """Train for three epochs of these lengths."""
    module.train_dataloader = lambda: torch.utils.data.DataLoader(torch.zeros(lengths[module.trainer.current_epoch]))
    pl.Trainer(
        max_epochs=3,
        reload_dataloaders_every_n_epochs=1,
        callbacks=[HyperparameterScheduler(recipe)],
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    ).fit(module)


def test_a_training_set_that_grows_or_shrinks_is_refused() -> None:
    module = Ramp(sgd(1.0))
    with pytest.raises(ValueError, match="found 2 updates in epoch 1 and 4 in the first"):
        fit_reloaded(module, LINEAR, [4, 2, 2])
    assert module.batches == 4


@pytest.mark.parametrize("lengths", [[2, 5, 3], [4, 2, 2], [2, 3, 5]])
def test_a_training_set_that_grows_or_shrinks_is_nothing_to_a_schedule_in_whole_epochs(lengths: list[int]) -> None:
    module = Ramp(sgd(1.0))
    fit_reloaded(module, PER_EPOCH, lengths)
    assert module.trainer.callback_metrics["learning_rate"] == 0.25
    assert [-left for (left,) in module.left] == [0.5**epoch for epoch in range(3) for _ in range(lengths[epoch])]


def test_a_stream_longer_than_promised_is_refused_at_its_first_update_too_many() -> None:
    module = Ramp(sgd(1.0))
    with pytest.raises(ValueError, match="found more than 3 updates in epoch 0, but updates_per_epoch is 3"):
        train(None, HyperparameterScheduler(LINEAR, updates_per_epoch=3), data=Stream(5), module=module)
    assert module.batches == 3


def test_a_stream_shorter_than_promised_is_warned_of_at_the_end_of_its_epoch() -> None:
    scheduler = HyperparameterScheduler(LINEAR, updates_per_epoch=5)
    with pytest.warns(UserWarning, match=r"found 3 updates in epoch 1, but updates_per_epoch is 5; the next epoch"):
        run = train(sgd(1.0), scheduler, data=Stream(3))
    plan = LINEAR.plan(updates_per_epoch=5, epochs=3)
    assert run.learning_rates() == [
        plan.value("learning_rate", epoch, update, 1.0) for epoch in range(3) for update in range(3)
    ]


def test_an_update_more_than_promised_that_no_batch_announces_is_refused_at_the_end_of_its_epoch() -> None:
    module = Ramp(sgd(1.0))
    step = module.optimizer_step

    def twice(epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
        for _ in range(2 if batch_idx == 4 else 1):
            step(epoch, batch_idx, optimizer, optimizer_closure)

    module.optimizer_step = twice
    with pytest.raises(ValueError, match="found more than 5 updates in epoch 0, but updates_per_epoch is 5"):
        train(None, HyperparameterScheduler(LINEAR), module=module)


@pytest.mark.parametrize("trainer", [{"max_steps": 7}, {"limit_train_batches": 2}, {"accumulate_grad_batches": 2}])
def test_an_epoch_that_is_to_be_short_is_not_warned_of(trainer: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*found .* updates in epoch")
        train(sgd(1.0), HyperparameterScheduler(LINEAR), **trainer)


def test_a_stream_resumed_at_the_last_batch_of_an_epoch_goes_on_with_the_next(tmp_path: Path) -> None:
    def fit(*callbacks: Any, **options: Any) -> Any:
        return train(
            sgd(1.0), HyperparameterScheduler(LINEAR, updates_per_epoch=4), *callbacks, data=Stream(4), **options
        )

    saver = ModelCheckpoint(tmp_path, "{step}", every_n_train_steps=1, save_top_k=-1)
    whole = fit(saver, enable_checkpointing=True)
    resumed = fit(fit={"ckpt_path": str(tmp_path / "step=4.ckpt")})
    assert resumed.positions() == whole.positions()[4:]
    assert resumed.learning_rates() == whole.learning_rates()[4:]


def test_an_update_that_the_loss_scaler_skips_is_not_an_update() -> None:
    module = Ramp(sgd(1.0))
    step = module.training_step
    module.training_step = lambda batch, batch_idx: (
        step(batch, batch_idx) * (float("inf") if module.batches in (1, 2) else 1.0)
    )
    scaler = torch.amp.GradScaler("cpu", init_scale=1.0)
    run = train(
        None,
        HyperparameterScheduler(LINEAR),
        batches=3,
        module=module,
        plugins=MixedPrecision("16-mixed", "cpu", scaler=scaler),
    )
    assert run.positions() == [(0, 0), *((epoch, update) for epoch in (1, 2) for update in range(3))]
    plan = LINEAR.plan(updates_per_epoch=3, epochs=3)
    expected = [plan.value("learning_rate", *position, base=1.0) for position in run.positions()]
    assert run.trace.column("learning_rate") == expected


@pytest.mark.parametrize("resumed_at", [2, 3, 4, 6])
def test_a_run_resumed_after_updates_that_the_loss_scaler_skipped_goes_on_where_it_was(
    tmp_path: Path, resumed_at: int
) -> None:
    def fit(*callbacks: Any, infinite: tuple[int, ...], **options: Any) -> Any:
        module = Ramp(sgd(1.0))
        step = module.training_step
        module.training_step = lambda batch, batch_idx: (
            step(batch, batch_idx) * (float("inf") if module.batches in infinite else 1.0)
        )
        scaler = torch.amp.GradScaler("cpu", init_scale=1.0)
        plugins = MixedPrecision("16-mixed", "cpu", scaler=scaler)
        return train(
            None, HyperparameterScheduler(LINEAR), *callbacks, batches=4, module=module, plugins=plugins, **options
        )

    saver = ModelCheckpoint(tmp_path, "{step}", every_n_train_steps=1, save_top_k=-1, save_on_train_epoch_end=False)
    whole = fit(saver, infinite=(1, 3), enable_checkpointing=True)
    resumed = fit(infinite=(), fit={"ckpt_path": str(tmp_path / f"step={resumed_at}.ckpt")})
    made = resumed_at - (2 if resumed_at > 2 else 1)  # Lightning's steps have those that were skipped
    expected = whole.positions()[made:] if resumed_at > 2 else [(0, 1), (0, 2), *whole.positions()[2:]]
    assert resumed.positions() == expected
    plan = LINEAR.plan(updates_per_epoch=4, epochs=3)
    assert resumed.trace.column("learning_rate") == [
        plan.value("learning_rate", *position, base=1.0) for position in expected
    ]


@pytest.mark.parametrize("flag", ["amsgrad", "maximize"])
def test_an_optimizer_with_a_flag_that_the_spec_does_not_have_is_refused(flag: str) -> None:
    message = refusal(
        lambda module: torch.optim.AdamW(module.parameters(), lr=0.1, **{flag: True}),
        HyperparameterScheduler(Recipe(AdamW(learning_rate=0.1))),
    )
    assert f"{flag} is True and not False" in message


def test_no_optimizer_is_refused() -> None:
    message = refusal(lambda module: None, EpochGatedDecay(0.1, start_epoch=1))
    assert message == "EpochGatedDecay: found no optimizer; return one from configure_optimizers."


def test_a_schedule_for_what_the_optimizer_does_not_have_is_refused() -> None:
    recipe = Recipe(weight_decay=StepDecay(0.5, every=epochs(1)))
    message = refusal(lambda module: torch.optim.Rprop(module.parameters()), HyperparameterScheduler(recipe))
    assert "found the optimizer Rprop, which has no weight_decay" in message


def halve(epoch: int, learning_rate: float) -> float:
    return learning_rate / 2


@pytest.mark.parametrize("make", [lambda: LearningRateScheduler(halve), lambda: HyperparameterScheduler(LINEAR)])
def test_callbacks_pickle_after_they_have_trained(make: Callable[[], Any]) -> None:
    callback = make()
    run = train(sgd(1.0), callback)
    for each in (callback, run.recorder):
        del each.log, each.log_dict  # which Lightning has put there, and with them the module
    again, recorder = pickle.loads(pickle.dumps((callback, run.recorder)))
    assert recorder.trace == run.trace
    assert train(sgd(1.0), again).trace == run.trace


def test_callbacks_pickle_before_and_after_a_run() -> None:
    for callback in (LearningRateScheduler(halve), HyperparameterScheduler(LINEAR)):
        fresh = pickle.loads(pickle.dumps(callback))
        assert repr(fresh) == repr(callback)
        run = train(sgd(1.0), callback)
        del callback.log, callback.log_dict  # which Lightning has put there, and with them the module
        again = pickle.loads(pickle.dumps(callback))
        assert train(sgd(1.0), again).trace == train(sgd(1.0), fresh).trace == run.trace
