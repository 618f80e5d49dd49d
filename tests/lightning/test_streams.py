"""Training data of unknown length, and manual optimization: a schedule in updates goes by their number alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from samestep import CosineDecay, LinearDecay, Recipe, StepDecay, Warmup, epochs, percent, updates
from samestep.lightning import HyperparameterScheduler, ReduceOnPlateau

from .tiny_training import AfterEveryBatch, Ramp, Run, refusal, sgd, train

LENGTHS = [3, 1, 4, 2]  # of the epochs: unlike each other
TOTAL = sum(LENGTHS)
IN_UPDATES = {
    "warmup": Warmup("4 updates"),
    "steps": StepDecay(0.5, "3 updates"),
    "parts": Warmup("2 updates") * LinearDecay(over="5 updates", end=0.25).after("2 updates"),
    "cycles": CosineDecay(over="3 updates").repeat("3 updates"),
}


class Stream(torch.utils.data.IterableDataset[torch.Tensor]):
    """Epochs of several lengths, none of which is told."""

    def __init__(self, begin: int = 0) -> None:
        self.lengths = iter([*LENGTHS, *LENGTHS][begin:])

    def __iter__(self) -> Iterator[torch.Tensor]:
        return iter(torch.zeros(next(self.lengths)))


def planned(schedule: Any, total: int = TOTAL) -> list[float]:
    plan = Recipe(learning_rate=schedule).plan(updates_per_epoch=total, epochs=1)
    return plan.values("learning_rate", base=1.0)


def stream(schedule: Any, *callbacks: Any, begin: int = 0, **options: Any) -> Run:
    scheduler = HyperparameterScheduler(Recipe(learning_rate=schedule), verify=True)
    return train(sgd(1.0), scheduler, *callbacks, data=Stream(begin), **{"epochs": len(LENGTHS), **options})


@pytest.mark.parametrize("schedule", IN_UPDATES.values(), ids=IN_UPDATES)
@pytest.mark.parametrize("ahead", [1, 2, 1024])
def test_a_schedule_in_updates_counts_them(schedule: Any, ahead: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("samestep.torch.follower._AHEAD", ahead)
    run = stream(schedule)
    assert run.learning_rates() == planned(schedule)
    assert float(run.trainer.callback_metrics["learning_rate"]) == planned(schedule)[-1]


@pytest.mark.parametrize("most", [5, 8, 10])
def test_percent_of_max_steps(most: int) -> None:
    run = stream(LinearDecay("100%"), max_steps=most, epochs=-1)
    assert run.learning_rates() == planned(LinearDecay("100%"), most)


def test_percent_of_max_steps_that_epochs_may_end_before_is_refused() -> None:
    scheduler = HyperparameterScheduler(Recipe(learning_rate=LinearDecay("100%")))
    assert "'100%' of a run that ends after 5 updates" in refusal(sgd(1.0), scheduler, data=Stream(), max_steps=5)


def test_each_hyperparameter_has_its_own_measure() -> None:
    recipe = Recipe(learning_rate=StepDecay(0.5, "3 updates"), weight_decay=StepDecay(0.5, epochs(2)))
    run = train(sgd(1.0, weight_decay=0.5), HyperparameterScheduler(recipe), data=Stream(), epochs=len(LENGTHS))
    assert run.trace.column("learning_rate") == planned(StepDecay(0.5, "3 updates"))
    assert run.trace.column("weight_decay") == [0.5] * 4 + [0.25] * 6


def test_a_schedule_in_updates_and_epochs_is_refused() -> None:
    both = Warmup("2 updates") * StepDecay(0.5, epochs(1))
    message = refusal(sgd(1.0), HyperparameterScheduler(Recipe(learning_rate=both)), data=Stream())
    assert "needs the number of updates in an epoch, which is unknown; give updates_per_epoch=" in message


def test_resolution_by_epoch_holds_the_value_of_the_first_update() -> None:
    scheduler = HyperparameterScheduler(Recipe(learning_rate=LinearDecay("10 updates")), resolution="epoch")
    run = train(sgd(1.0), scheduler, data=Stream(), epochs=len(LENGTHS))
    every = planned(LinearDecay("10 updates"))
    assert run.learning_rates() == [every[0]] * 3 + [every[3]] + [every[4]] * 4 + [every[8]] * 2


def test_a_value_that_cannot_be_used_lies_beyond_the_run() -> None:
    growing = StepDecay(1e40, "1 update")
    run = stream(growing, epochs=2)
    assert run.learning_rates() == [1e40**number for number in range(4)]


def test_a_plateau_reduces_it() -> None:
    class Logs(Ramp):
        def on_train_epoch_end(self) -> None:
            self.log("loss", 1.0)

    scheduler = HyperparameterScheduler(Recipe(learning_rate=StepDecay(0.5, "3 updates")))
    reducer = ReduceOnPlateau("loss", patience=0, factor=0.25)
    run = train(None, scheduler, reducer, module=Logs(sgd(1.0)), data=Stream(), epochs=len(LENGTHS))
    factors = [1.0] * 4 + [0.25] * 4 + [0.0625] * 2
    assert run.learning_rates() == [a * b for a, b in zip(planned(StepDecay(0.5, "3 updates")), factors, strict=True)]


@pytest.mark.parametrize("schedule", ["steps", "parts"])
def test_a_run_resumed_anywhere_goes_on_counting(tmp_path: Path, schedule: str) -> None:
    saver = AfterEveryBatch(tmp_path)
    stream(IN_UPDATES[schedule], saver)
    every = planned(IN_UPDATES[schedule], 3 * TOTAL)
    ends = [sum(LENGTHS[:epoch]) for epoch in range(1, len(LENGTHS))]
    for made in range(1, TOTAL):
        # Lightning begins a stream anew, and so makes all updates of the epoch within which it was resumed.
        epoch = sum(end <= made for end in ends)
        again = stream(IN_UPDATES[schedule], begin=epoch, fit={"ckpt_path": str(saver.path(made))})
        assert len(again.trace) >= TOTAL - made
        assert again.trace.column("learning_rate") == every[made : made + len(again.trace)]


def test_a_second_fit_goes_on_counting() -> None:
    run = stream(IN_UPDATES["steps"], epochs=2)
    run.trainer.fit_loop.max_epochs = 4
    run.module.left.clear()
    run.trainer.fit(run.module, torch.utils.data.DataLoader(Stream(2)))
    used = [-left for (left,) in run.module.left]
    assert len(used) > 2
    assert used == planned(IN_UPDATES["steps"], 3 * TOTAL)[4 : 4 + len(used)]


def test_a_known_length_continues_a_stream_only_where_the_updates_agree(tmp_path: Path) -> None:
    saver = AfterEveryBatch(tmp_path)
    stream(IN_UPDATES["steps"], saver)
    scheduler = HyperparameterScheduler(Recipe(learning_rate=IN_UPDATES["steps"]))
    message = refusal(sgd(1.0), scheduler, weights=1, batches=3, fit={"ckpt_path": str(saver.path(4))})
    assert "found a run of 4 updates up to epoch 2, update 0, and epochs of 3, which make 6; " in message
    known = AfterEveryBatch(tmp_path)
    train(sgd(1.0), HyperparameterScheduler(Recipe(learning_rate=IN_UPDATES["steps"])), known, batches=3)
    run = stream(IN_UPDATES["steps"], begin=1, epochs=2, fit={"ckpt_path": str(known.path(3))})
    assert run.learning_rates() == [0.5]


class ByHand(pl.LightningModule):
    """Manual optimization with two updates in each second batch."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros((), dtype=torch.float64))
        self.automatic_optimization = False
        self.used: list[float] = []

    def training_step(self, batch: torch.Tensor, index: int) -> None:
        optimizer: Any = self.optimizers()
        for _ in range(1 + index % 2):
            optimizer.zero_grad()
            self.manual_backward(self.weight * 1.0)
            before = self.weight.item()
            optimizer.step()
            self.used.append(before - self.weight.item())

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=1.0)


def test_manual_optimization_needs_no_number_of_updates() -> None:
    module = ByHand()
    scheduler = HyperparameterScheduler(Recipe(learning_rate=StepDecay(0.5, updates(2))), verify=True)
    train(None, scheduler, module=module, batches=3, epochs=2)  # type: ignore[arg-type]
    assert module.used == pytest.approx(planned(StepDecay(0.5, updates(2)), 8))
    module = ByHand()
    scheduler = HyperparameterScheduler(Recipe(learning_rate=LinearDecay(percent(100))), verify=True)
    train(None, scheduler, module=module, batches=3, max_steps=8, max_epochs=-1)  # type: ignore[arg-type]
    assert module.used == pytest.approx(planned(LinearDecay("100%"), 8))
