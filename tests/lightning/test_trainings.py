"""What belongs to a training: the memory of a callback that has several, and the optimizer that it drives alone."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import BatchSizeFinder, LearningRateFinder

from samestep import LinearDecay, Recipe, StepDecay, epochs
from samestep.core.version_numbers import is_older
from samestep.lightning import (
    EpochGatedDecay,
    HyperparameterScheduler,
    LearningRateScheduler,
    ReduceOnPlateau,
    TraceRecorder,
)

from .tiny_training import QUIET, Ramp, Scored, sgd, train

FALLING, RISING = [6.0, 5.0, 4.0, 3.0, 2.0, 1.0], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
HALVING = Recipe(learning_rate=StepDecay(0.5, every=epochs(1)))
SECOND = (
    "{}: found another training with this callback, which already drives one that has not ended; give each training "
    "callbacks of its own."
)


class Alternating:
    """A training that goes on for one more part of its epochs whenever it is asked to."""

    def __init__(self, module: Ramp, *callbacks: Any) -> None:
        self.module, self.data = module, torch.utils.data.DataLoader(torch.zeros(1))
        self.trainer = pl.Trainer(callbacks=list(callbacks), max_epochs=0, **QUIET)

    def go_on(self, epochs: int) -> list[float]:
        """The learning rates of the run so far."""
        self.trainer.fit_loop.max_epochs = (self.trainer.max_epochs or 0) + epochs
        self.trainer.fit(self.module, self.data)
        return [-left for (left,) in self.module.left]


@pytest.mark.parametrize("alone", [True, False], ids=["plateau", "plateau and schedule"])
def test_scores_belong_to_the_trainer_that_saw_them(alone: bool, tmp_path: Path) -> None:
    beside = [] if alone else [EpochGatedDecay(1.0, start_epoch=0)]
    reduce = ReduceOnPlateau(factor=0.5, patience=0)
    first = Alternating(Scored(sgd(1.0), FALLING), reduce, *beside)
    second = Alternating(Scored(sgd(1.0), RISING), reduce, *beside)
    assert first.go_on(3) == [1.0] * 3
    assert second.go_on(3) == [1.0, 1.0, 0.5]
    assert reduce.scores == dict(enumerate(RISING[:3]))
    assert first.go_on(3) == [1.0] * 6
    assert reduce.scores == dict(enumerate(FALLING))
    assert second.go_on(2) == [1.0, 1.0, 0.5, 0.25, 0.125]
    # What is saved after the other training is of its own.
    first.trainer.save_checkpoint(tmp_path / "first.ckpt")
    again = ReduceOnPlateau(factor=0.5, patience=0)
    ended = pl.Trainer(callbacks=[again, *beside], max_epochs=7, **QUIET)
    module = Scored(sgd(1.0), [*FALLING, 7.0])
    ended.fit(module, first.data, ckpt_path=str(tmp_path / "first.ckpt"))
    assert [-left for (left,) in module.left] == [1.0]
    assert again.scores == {**dict(enumerate(FALLING)), 6: 7.0}


def test_scores_that_the_user_has_observed_are_of_the_first_training() -> None:
    reduce = ReduceOnPlateau(factor=0.5, patience=0)
    for epoch, score in enumerate(RISING):
        reduce.observe(epoch, score)
    first = Alternating(Scored(sgd(1.0), FALLING), reduce)
    assert first.go_on(2) == [1.0, 1.0]


DRIVERS: dict[str, Callable[[], Any]] = {
    "HyperparameterScheduler": lambda: HyperparameterScheduler(HALVING),
    "EpochGatedDecay": lambda: EpochGatedDecay(0.5, start_epoch=1),
    "LearningRateScheduler": lambda: LearningRateScheduler(lambda epoch, rate: rate * 0.5 if epoch else rate),
    "ReduceOnPlateau": lambda: ReduceOnPlateau("loss"),
    "TraceRecorder": lambda: TraceRecorder(),
}


class Nesting(pl.Callback):
    """Trains, or validates, another module with a callback of the outer training."""

    def __init__(self, callback: Any, what: str = "fit", swallows: bool = False) -> None:
        self.callback, self.what, self.swallows, self.refusals = callback, what, swallows, list[str]()

    def on_train_epoch_start(self, *_: Any) -> None:
        trainer = pl.Trainer(callbacks=[self.callback], max_epochs=1, **QUIET)
        data = torch.utils.data.DataLoader(torch.zeros(1))
        if self.what != "fit":
            trainer.validate(Scored(sgd(1.0), RISING), data, verbose=False)
            return
        module = Ramp(sgd(1.0))
        try:
            trainer.fit(module, data)
        except ValueError as error:
            assert not module.batches
            self.refusals.append(str(error))
            if not self.swallows:
                raise


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_training_within_another_with_the_same_callback_is_refused(driver: str) -> None:
    callback = DRIVERS[driver]()
    with pytest.raises(ValueError, match="has not ended") as caught:
        train(sgd(1.0), callback, Nesting(callback))
    assert str(caught.value) == SECOND.format(driver)


def test_the_outer_training_goes_on_unharmed_and_another_one_may_follow() -> None:
    callback = HyperparameterScheduler(HALVING, verify=True)
    nesting = Nesting(callback, swallows=True)
    assert train(sgd(1.0), callback, nesting).of_each_epoch() == [1.0, 0.5, 0.25]
    assert nesting.refusals == [SECOND.format("HyperparameterScheduler")] * 3
    assert train(sgd(1.0), callback).of_each_epoch() == [1.0, 0.5, 0.25]
    with pytest.raises(RuntimeError, match="own failure"):
        train(sgd(1.0), callback, fail_at=7)
    assert train(sgd(1.0), callback).of_each_epoch() == [1.0, 0.5, 0.25]


def test_a_validation_within_a_training_brings_it_no_score() -> None:
    reduce = ReduceOnPlateau(factor=0.5, patience=0)
    module = Scored(sgd(1.0), FALLING)
    run = train(None, reduce, Nesting(reduce, "validate"), module=module, epochs=4)
    assert reduce.scores == dict(enumerate(FALLING[:4]))
    assert run.of_each_epoch() == [1.0] * 4


class Writing(pl.Callback):
    """Writes a value of its own in some hook of some epochs."""

    def __init__(self, hook: str, key: str, value: Any, from_epoch: int = 0) -> None:
        self.key, self.value, self.from_epoch = key, value, from_epoch
        setattr(self, hook, self.write)

    def write(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.current_epoch >= self.from_epoch:
            trainer.optimizers[0].param_groups[0][self.key] = self.value


HOOKS = (
    "on_train_start",
    "on_train_epoch_start",
    "on_train_batch_start",
    "on_before_optimizer_step",
    "on_train_batch_end",
    "on_validation_end",
    "on_train_epoch_end",
)
WRITTEN = {"lr": ("learning_rate", 0.0136), "weight_decay": ("weight_decay", 0.3), "betas": ("momentum", (0.7, 0.999))}


@pytest.mark.parametrize("listed_first", [True, False])
@pytest.mark.parametrize("schedule", [StepDecay(0.5, every=epochs(1)), LinearDecay(over=epochs(9))], ids=repr)
@pytest.mark.parametrize("key", WRITTEN)
@pytest.mark.parametrize("hook", HOOKS)
def test_what_something_else_writes_is_refused(hook: str, key: str, schedule: Any, listed_first: bool) -> None:
    name, value = WRITTEN[key]
    ours = HyperparameterScheduler(Recipe(**{name: schedule}))
    # In the first epoch a value may still be configured before training starts.
    first = 0 if hook == "on_train_start" else 1
    callbacks = [Writing(hook, key, value, first), ours]
    if hook == "on_train_start" and listed_first:
        return
    module = Scored(lambda m: torch.optim.AdamW(m.parameters(), lr=0.5, weight_decay=0.1), FALLING)
    with pytest.raises(ValueError, match=f"^HyperparameterScheduler: found {name} = [^\n]*\\.$") as caught:
        train(None, *(callbacks if listed_first else reversed(callbacks)), module=module, batches=3)
    assert "written last by HyperparameterScheduler; remove whatever has changed it" in str(caught.value)
    assert "possibly one of Writing, Scored." in str(caught.value)
    assert module.batches <= 3 * (first + 1)


class WarmingUp(Ramp):
    """Warms up by hand, as Lightning's documentation shows."""

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        if self.trainer.global_step < 4:
            for group in optimizer.param_groups:
                group["lr"] = 0.25 * (self.trainer.global_step + 1)


@pytest.mark.parametrize("schedule", [StepDecay(0.5, every=epochs(1)), LinearDecay(over=epochs(9))], ids=repr)
def test_a_warmup_by_hand_is_refused(schedule: Any) -> None:
    module = WarmingUp(sgd(1.0))
    with pytest.raises(ValueError, match=r"^HyperparameterScheduler: found learning_rate = 0\.25 at epoch 0, update 1"):
        train(None, HyperparameterScheduler(Recipe(learning_rate=schedule)), module=module, batches=9)


@pytest.mark.skipif(
    is_older(pl.__version__, "2.5.5"),
    reason="needs Lightning >= 2.5.5: an older LearningRateFinder leaves the optimizer as it was",
)
@pytest.mark.parametrize("listed_first", [True, False])
def test_a_learning_rate_finder_during_training_is_refused(listed_first: bool, tmp_path: Path) -> None:
    class FineTuneLearningRateFinder(LearningRateFinder):
        def on_fit_start(self, *_: Any) -> None:
            return

        def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
            if trainer.current_epoch == 0:
                self.lr_find(trainer, pl_module)

    finder, ours = FineTuneLearningRateFinder(num_training_steps=20), EpochGatedDecay(0.5, start_epoch=2)
    module = Fitted()
    with pytest.raises(ValueError, match=r"^EpochGatedDecay: found learning_rate = [^\n]*\.$") as caught:
        train(
            None,
            *([finder, ours] if listed_first else [ours, finder]),
            module=module,  # type: ignore[arg-type]
            data=torch.linspace(0.0, 1.0, 40),
            default_root_dir=tmp_path,
        )
    assert "FineTuneLearningRateFinder" in str(caught.value)
    assert finder.optimal_lr is not None


class Fitted(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.lr, self.batch_size, self.layer = 0.5, 1, torch.nn.Linear(1, 1)
        self.used: list[float] = []

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        self.used.append(self.trainer.optimizers[0].param_groups[0]["lr"])
        return (self.layer(batch[:, None]) - 1).square().mean()

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=self.lr)

    def train_dataloader(self) -> Any:
        return torch.utils.data.DataLoader(torch.linspace(0.0, 1.0, 8), self.batch_size)


@pytest.mark.skipif(
    "max_val" not in inspect.signature(BatchSizeFinder).parameters,
    reason="needs Lightning >= 2.6: BatchSizeFinder(max_val=)",
)
@pytest.mark.parametrize("listed_first", [True, False])
def test_updates_that_a_tool_tries_and_takes_back_are_not_counted(listed_first: bool, tmp_path: Path) -> None:
    class FineTuneBatchSizeFinder(BatchSizeFinder):
        def on_fit_start(self, *_: Any) -> None:
            return

        def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
            if trainer.current_epoch == 0:
                self.scale_batch_size(trainer, pl_module)

    finder = FineTuneBatchSizeFinder("power", steps_per_trial=1, init_val=1, max_trials=1, max_val=1)
    recorder, ours = TraceRecorder(), HyperparameterScheduler(Recipe(learning_rate=LinearDecay(over=epochs(4))))
    callbacks = [finder, ours] if listed_first else [ours, finder]
    trainer = pl.Trainer(callbacks=[*callbacks, recorder], max_epochs=3, default_root_dir=tmp_path, **QUIET)
    trainer.fit(Fitted())
    # The tool's own update comes first.
    assert recorder.trace.column("learning_rate")[-24:] == [0.5 * (1 - update / 32) for update in range(24)]


class Replacing(pl.Callback):
    """Replaces the optimizer by one like it."""

    def __init__(self, hook: str) -> None:
        setattr(self, hook, self.replace)

    def replace(self, trainer: pl.Trainer, module: Any, *_: Any) -> None:
        if trainer.current_epoch == 1:
            trainer.strategy.optimizers = [torch.optim.SGD(module.parameters(), lr=1.0)]


@pytest.mark.parametrize("driver", ["HyperparameterScheduler", "EpochGatedDecay", "TraceRecorder"])
@pytest.mark.parametrize("hook", ["on_train_epoch_start", "on_train_batch_start", "on_train_epoch_end"])
@pytest.mark.parametrize("listed_first", [True, False])
def test_an_optimizer_that_is_replaced_during_training_is_refused(driver: str, hook: str, listed_first: bool) -> None:
    callbacks = [Replacing(hook), DRIVERS[driver]()]
    with pytest.raises(ValueError, match="found another optimizer") as caught:
        train(sgd(1.0), *(callbacks if listed_first else reversed(callbacks)))
    epoch = str(caught.value).split("in epoch ")[1][0]
    # `train` has a TraceRecorder too.
    assert str(caught.value).removeprefix("TraceRecorder").removeprefix(driver) == (
        f": found another optimizer in epoch {epoch} than the one that training started with; end the training, "
        f"and start a new one with the other optimizer."
    )
    assert int(epoch) <= 2


def test_a_refused_fit_leaves_no_scores_behind(tmp_path: Path) -> None:
    reduce = ReduceOnPlateau(factor=0.5, patience=0)
    run = train(None, reduce, EpochGatedDecay(0.5, start_epoch=1), module=Scored(sgd(1.0), RISING))
    run.trainer.save_checkpoint(tmp_path / "a.ckpt")
    again, fit = ReduceOnPlateau(factor=0.5, patience=0), {"ckpt_path": str(tmp_path / "a.ckpt")}
    refusing = HyperparameterScheduler(HALVING)
    with pytest.raises(ValueError, match="trained with different settings"):
        train(None, again, refusing, module=Scored(sgd(1.0), RISING), epochs=4, fit=fit)
    assert again.scores == {}
    with pytest.raises(ValueError, match="above the learning rate"):
        train(
            None,
            again,
            EpochGatedDecay(0.5, start_epoch=1, floor=3.0),
            module=Scored(sgd(1.0), RISING),
            epochs=4,
            fit=fit,
        )
    assert again.scores == {}
