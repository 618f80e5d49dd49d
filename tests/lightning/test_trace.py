"""TraceRecorder records each update of its own run once, with the values that the update used."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback
from pytorch_lightning.callbacks import ModelCheckpoint

from samestep import LinearDecay, Position, Recipe, StepDecay, Trace, epochs
from samestep.lightning import EpochGatedDecay, HyperparameterScheduler, LearningRateScheduler, TraceRecorder

from .tiny_training import Ramp, refusal, sgd, train

HALVED = [1.0, 0.5, 0.25]


def keep(kept: list[torch.optim.Optimizer]) -> Callable[[torch.nn.Module], torch.optim.Optimizer]:
    """The same optimizer object in every fit, on which a hook left behind would go on recording."""

    def build(module: torch.nn.Module) -> torch.optim.Optimizer:
        if not kept:
            kept.append(torch.optim.SGD(module.parameters(), lr=1.0))
        return kept[0]

    return build


class Meddler(Callback):
    """Writes a learning rate of its own just before an update, after every callback has had its say."""

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        if trainer.global_step == 2:
            optimizer.param_groups[0]["lr"] = 0.125


def test_trace_holds_what_was_used_and_not_what_was_planned() -> None:
    run = train(sgd(1.0), EpochGatedDecay(0.5, start_epoch=1), Meddler(), batches=4, epochs=2)
    assert run.learning_rates() == [1.0, 1.0, 0.125, 1.0, 0.5, 0.5, 0.5, 0.5]
    assert run.trace.column("learning_rate") == run.learning_rates()


def test_trace_without_any_scheduler() -> None:
    run = train(sgd(0.5), batches=3, epochs=2, accumulate_grad_batches=2)
    assert run.trace.column("learning_rate") == [0.5] * 4
    assert run.positions() == [Position(0, 0), Position(0, 1), Position(1, 0), Position(1, 1)]


def test_trace_of_a_torch_scheduler() -> None:
    def build(module: torch.nn.Module) -> Any:
        optimizer = torch.optim.SGD(module.parameters(), lr=1.0)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)]

    assert train(build, batches=1).trace.column("learning_rate") == HALVED


def test_each_fit_has_a_trace_of_its_own() -> None:
    recorder = TraceRecorder()
    assert recorder.trace == Trace()
    train(sgd(1.0), recorder, batches=1)
    first = recorder.trace
    train(sgd(1.0), recorder, batches=2)
    assert [len(first), len(recorder.trace)] == [3, 6]


def test_two_recorders_record_the_same() -> None:
    recorder = TraceRecorder()
    run = train(sgd(1.0), recorder, EpochGatedDecay(0.5, start_epoch=1))
    assert recorder.trace == run.trace


@pytest.mark.parametrize("fail_at", [1, 3, None])
def test_no_hook_is_left_behind(fail_at: int | None) -> None:
    kept: list[torch.optim.Optimizer] = []
    first = TraceRecorder()
    failing = Ramp(keep(kept), fail_at=fail_at)
    if fail_at is None:
        train(None, first, EpochGatedDecay(0.5, start_epoch=1), module=failing, batches=1)
    else:
        with pytest.raises(RuntimeError, match="the user's own failure"):
            train(None, first, EpochGatedDecay(0.5, start_epoch=1), module=failing, batches=1)
    recorded = len(first.trace)
    assert recorded == (3 if fail_at is None else fail_at - 1)

    failing.fail_at = None
    failing.left.clear()
    failing.gradients.clear()
    run = train(None, EpochGatedDecay(0.5, start_epoch=1), module=failing, batches=1)
    assert run.trace.column("learning_rate") == HALVED
    assert run.learning_rates() == HALVED
    assert len(first.trace) == recorded


def test_a_recorder_is_usable_after_its_run_failed() -> None:
    kept: list[torch.optim.Optimizer] = []
    recorder, module = TraceRecorder(), Ramp(keep(kept), fail_at=3)
    with pytest.raises(RuntimeError, match="the user's own failure"):
        train(None, recorder, module=module, batches=1)
    train(None, recorder, module=module, batches=1)
    assert len(recorder.trace) == 3


def test_a_refused_run_leaves_no_hook() -> None:
    kept: list[torch.optim.Optimizer] = []
    recorder, module = TraceRecorder(), Ramp(keep(kept))
    refusal(None, recorder, EpochGatedDecay(0.5, start_epoch=1, floor=2.0), module=module)
    train(None, EpochGatedDecay(0.5, start_epoch=1), module=module, batches=1)
    assert len(recorder.trace) == 0


@pytest.mark.parametrize("every", ["1 update", "2 updates", "3 updates", "1 epoch", "2 epochs"])
def test_some_of_the_updates_are_recorded_with_what_they_used(every: str) -> None:
    recorder = TraceRecorder(every=every)
    schedule = HyperparameterScheduler(Recipe(learning_rate=LinearDecay("100%")))
    run = train(sgd(1.0), recorder, schedule, batches=5, epochs=3)
    assert len(run.trace) == 15
    assert recorder.trace.entries == [entry for entry in run.trace.entries if is_due(every, entry.position)]


def is_due(every: str, position: Position) -> bool:
    amount, unit = int(every.split()[0]), every.split()[1]
    if unit.startswith("update"):
        return position.update % amount == 0
    return position.update == 0 and position.epoch % amount == 0


@pytest.mark.parametrize("every", ["2 updates", "1 epoch"])
def test_a_run_that_is_resumed_within_an_epoch_records_the_rest_of_the_same_updates(every: str, tmp_path: Path) -> None:
    def fit(recorder: TraceRecorder, *others: Any, **options: Any) -> None:
        schedule = HyperparameterScheduler(Recipe(learning_rate=LinearDecay("100%")))
        train(sgd(1.0), recorder, schedule, *others, batches=5, epochs=3, **options)

    whole, first, rest = (TraceRecorder(every=every) for _ in range(3))
    fit(whole)
    saving = ModelCheckpoint(tmp_path, every_n_train_steps=7, save_top_k=-1)
    fit(first, saving, enable_checkpointing=True)
    (path, *_) = sorted(tmp_path.glob("*step=7*"))
    fit(rest, fit={"ckpt_path": str(path)})
    assert rest.trace.entries == [entry for entry in whole.trace.entries if entry.position >= (1, 2)]
    assert rest.trace.entries


def halve(epoch: int, lr: float) -> float:
    return lr / 2


@pytest.mark.parametrize(
    "callback",
    [
        EpochGatedDecay(0.5, start_epoch=1, every_epochs=2, floor=0.25, base=2.0),
        LearningRateScheduler(halve, base=2.0),
        HyperparameterScheduler(Recipe(learning_rate=StepDecay(0.5, every=epochs(1))), updates_per_epoch=2),
    ],
    ids=lambda callback: type(callback).__name__,
)
def test_callbacks_pickle_for_strategies_that_spawn(callback: Any) -> None:
    assert repr(pickle.loads(pickle.dumps(callback))) == repr(callback)
