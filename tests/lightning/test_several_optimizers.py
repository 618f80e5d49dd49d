"""Manual optimization, and several optimizers that each follow their own recipe by their own updates."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from samestep import SGDW, LinearDecay, Recipe, StepDecay, Warmup, epochs, percent, updates
from samestep.lightning import (
    EpochGatedDecay,
    HyperparameterScheduler,
    LearningRateScheduler,
    TraceRecorder,
    build_optimizer,
)

from .tiny_training import every_update, refusal, train

GENERATOR = Recipe(SGDW(1.0, 0.0), learning_rate=Warmup(over=updates(4), start=0.25))
DISCRIMINATOR = Recipe(
    SGDW(8.0, 0.5), learning_rate=LinearDecay(over=epochs(2)), weight_decay=StepDecay(0.5, "1 epoch")
)
BOTH = {"generator": GENERATOR, "discriminator": DISCRIMINATOR}


class Part(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros((), dtype=torch.float64))


class Gan(pl.LightningModule):
    """Two parts with an optimizer each, which make so many updates of a batch; every update is noted.

    Weights are put back before an update, so that with gradient 1 from 0 it leaves minus the learning rate.
    """

    def __init__(self, build: Callable[[Gan], list[Any]], per_batch: tuple[int, ...] = (1, 1)) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.generator, self.discriminator = Part(), Part()
        self.build, self.per_batch = build, per_batch
        self.rates: list[list[float]] = [[] for _ in per_batch]
        self.batches = 0

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> None:
        self.batches += 1
        optimizers = self.optimizers()
        for number, optimizer in enumerate(optimizers if isinstance(optimizers, list) else [optimizers]):
            (weight,) = optimizer.param_groups[0]["params"]
            for _ in range(self.per_batch[number]):
                weight.data.zero_()
                optimizer.zero_grad()
                self.manual_backward(weight * 1.0)
                optimizer.step()
                self.rates[number].append(-weight.item())

    def configure_optimizers(self) -> list[Any]:
        return self.build(self)


def built(module: Gan) -> list[Any]:
    return [
        build_optimizer(GENERATOR.optimizer, module.generator),
        build_optimizer(DISCRIMINATOR.optimizer, module.discriminator),
    ]


def plain(*rates: float) -> Callable[[Gan], list[Any]]:
    def build(module: Gan) -> list[Any]:
        parts = (module.generator, module.discriminator)
        return [torch.optim.SGD(part.parameters(), lr=lr) for part, lr in zip(parts, rates, strict=False)]

    return build


def planned(recipe: Recipe, updates: int, name: str = "learning_rate") -> list[float]:
    plan = recipe.plan(updates_per_epoch=updates, epochs=3)
    return plan.values(name)


@pytest.mark.parametrize("verify", [False, True])
@pytest.mark.parametrize("per_batch", [(1, 1), (1, 3), (2, 1), (0, 2)])
def test_each_optimizer_follows_its_recipe_by_its_own_updates(per_batch: tuple[int, int], verify: bool) -> None:
    module = Gan(built, per_batch)
    counts = {key: max(1, 5 * each) for key, each in zip(BOTH, per_batch, strict=True)}
    recorder = TraceRecorder()
    train(None, HyperparameterScheduler(BOTH, updates_per_epoch=counts, verify=verify), recorder, module=module)
    for number, (key, recipe) in enumerate(BOTH.items()):
        expected = planned(recipe, counts[key]) if per_batch[number] else []
        assert module.rates[number] == expected
        trace = recorder.traces[key]
        assert trace.column("learning_rate") == expected
        if expected:
            assert trace.column("weight_decay") == planned(recipe, counts[key], "weight_decay")
            assert [entry.position.update for entry in trace.entries] == list(range(counts[key])) * 3


@pytest.mark.parametrize("keys", [("generator", "discriminator"), (0, 1), ("generator.weight", 1)])
def test_a_part_is_named_by_its_path_or_by_the_number_of_its_optimizer(keys: tuple[Any, Any]) -> None:
    module = Gan(built)
    recipes = dict(zip(keys, BOTH.values(), strict=True))
    train(None, HyperparameterScheduler(recipes, updates_per_epoch=5), module=module)
    assert module.rates == [planned(GENERATOR, 5), planned(DISCRIMINATOR, 5)]


def test_an_optimizer_without_a_recipe_keeps_its_own_values() -> None:
    module = Gan(plain(0.5, 0.25))
    recipe = Recipe(learning_rate=StepDecay(0.5, every=epochs(1)))
    train(None, HyperparameterScheduler({"discriminator": recipe}), module=module, batches=2)
    assert module.rates == [[0.5] * 6, [0.25, 0.25, 0.125, 0.125, 0.0625, 0.0625]]


@pytest.mark.parametrize(
    "callback", [EpochGatedDecay(0.5, start_epoch=1), LearningRateScheduler(lambda e, lr: lr / 2 if e else lr)]
)
def test_callbacks_of_whole_epochs_drive_every_optimizer_from_its_own_base(callback: Any) -> None:
    module = Gan(plain(1.0, 0.25), (1, 2))
    train(None, callback, module=module, batches=1)
    assert module.rates == [[1.0, 0.5, 0.25], [0.25, 0.25, 0.125, 0.125, 0.0625, 0.0625]]


def test_one_optimizer_under_manual_optimization_follows_the_plan() -> None:
    module = Gan(lambda module: built(module)[:1], (2,))
    run = train(None, HyperparameterScheduler(GENERATOR, updates_per_epoch=10), module=module)
    assert module.rates == [planned(GENERATOR, 10)]
    assert run.trace.column("learning_rate") == module.rates[0]


def test_what_was_used_is_logged_for_each_optimizer() -> None:
    module = Gan(built)
    run = train(None, HyperparameterScheduler(BOTH, updates_per_epoch=5), module=module)
    logged = {name: value.item() for name, value in run.trainer.callback_metrics.items()}
    last = {f"{name}/{key}": planned(recipe, 5, name)[-1] for key, recipe in BOTH.items() for name in recipe.driven}
    assert logged == last
    assert len(logged) == 6


def test_more_updates_than_were_given_are_refused_before_the_first_of_them() -> None:
    module = Gan(built, (1, 2))
    with pytest.raises(ValueError, match=r"of 'discriminator': found more than 7 updates in epoch 0"):
        train(
            None, HyperparameterScheduler(BOTH, updates_per_epoch={"generator": 5, "discriminator": 7}), module=module
        )
    assert module.rates == [planned(GENERATOR, 5)[:4], planned(DISCRIMINATOR, 7)[:7]]


UNKNOWN = Recipe(learning_rate=LinearDecay(over=percent(100)))


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (
            lambda: HyperparameterScheduler(GENERATOR),
            "found 2 optimizers and one recipe; give one per optimizer, as in {'generator': Recipe(...), 'discrimina",
        ),
        (
            lambda: HyperparameterScheduler({"critic": GENERATOR}, updates_per_epoch=5),
            "found a recipe for 'critic', which matches no optimizer; write one of ['generator', 'discriminator'], or",
        ),
        (
            lambda: HyperparameterScheduler({2: GENERATOR}, updates_per_epoch=5),
            "found a recipe for 2, which matches no opti",
        ),
        (
            lambda: HyperparameterScheduler({"generator": GENERATOR, 0: GENERATOR}, updates_per_epoch=5),
            "found two recipes for the optimizer of 'generator', under the keys 'generator' and 0; keep one of them",
        ),
        (
            lambda: HyperparameterScheduler({"generator": DISCRIMINATOR}, updates_per_epoch=5),
            "of 'generator': found an optimizer that was not built from this recipe's spec: learning_rate is 1.0 and "
            "not 8.0",
        ),
        (
            lambda: HyperparameterScheduler({"generator": Recipe(learning_rate=LinearDecay(over=epochs(2)))}),
            "of unknown length or manual optimization; give updates_per_epoch=, or resolution='epoch'",
        ),
    ],
)
def test_what_is_not_clear_is_refused(make: Callable[[], Any], expected: str) -> None:
    assert expected in refusal(None, make(), module=Gan(built))


def test_percent_of_max_steps_is_refused_where_they_count_the_updates_of_several_optimizers() -> None:
    scheduler = HyperparameterScheduler({"generator": UNKNOWN}, updates_per_epoch=5)
    assert "'100%' needs the length of the run" in refusal(None, scheduler, module=Gan(built), max_steps=8)
    module = Gan(lambda module: built(module)[:1], (1,))
    train(None, scheduler, module=module, max_steps=8)
    assert module.rates == [[1 - update / 8 for update in range(8)]]


def test_two_callbacks_may_drive_different_optimizers_and_not_the_same() -> None:
    one, other = (HyperparameterScheduler({key: BOTH[key]}, updates_per_epoch=5) for key in BOTH)
    module = Gan(built)
    train(None, one, other, module=module)
    assert module.rates == [planned(GENERATOR, 5), planned(DISCRIMINATOR, 5)]
    message = refusal(None, one, EpochGatedDecay(0.5, start_epoch=1), module=Gan(built))
    assert message.startswith(f"found two callbacks that drive learning_rate: {one!r} and EpochGatedDecay(")


def test_a_trace_of_several_optimizers_is_asked_for_by_name() -> None:
    recorder = TraceRecorder()
    train(None, recorder, module=Gan(built))
    with pytest.raises(
        ValueError, match=r"found the traces of 2 optimizers; write one of traces\['generator'\], traces"
    ):
        _ = recorder.trace


def failing(epoch: int, learning_rate: float) -> float:
    raise RuntimeError("the user's own failure")


def test_the_users_own_error_is_not_hidden_by_an_optimizer_that_did_not_begin() -> None:
    with pytest.raises(ValueError, match="own failure") as caught:
        train(None, LearningRateScheduler(failing), module=Gan(built))
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_optimizers_that_have_no_part_of_their_own_are_named_by_their_numbers() -> None:
    def sharing(module: Gan) -> list[Any]:
        return [torch.optim.SGD(module.generator.parameters(), lr=lr) for lr in (1.0, 0.5)]

    message = refusal(None, HyperparameterScheduler(GENERATOR), module=Gan(sharing))
    assert "give one per optimizer, as in {'0': Recipe(...), '1': Recipe(...)}" in message
    halved = Recipe(learning_rate=StepDecay(0.5, every=epochs(1)))
    module = Gan(sharing)
    train(None, HyperparameterScheduler({"0": halved, "1": halved}), module=module, batches=1)
    assert module.rates == [[1.0, 0.5, 0.25], [0.5, 0.25, 0.125]]


def test_a_fit_after_one_that_failed_within_an_epoch_begins_the_epoch_anew() -> None:
    class Failing(Gan):
        def training_step(self, batch: torch.Tensor, batch_idx: int) -> None:
            super().training_step(batch, batch_idx)
            if self.batches == 7:
                raise RuntimeError("the user's own failure")

    module = Failing(built)
    trainer = pl.Trainer(
        max_epochs=3,
        callbacks=[HyperparameterScheduler(BOTH, updates_per_epoch=5)],
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    loader = torch.utils.data.DataLoader(torch.zeros(5))
    with pytest.raises(RuntimeError, match="own failure"):
        trainer.fit(module, loader)
    trainer.fit(module, loader)
    whole = planned(GENERATOR, 5)
    assert module.rates[0] == [*whole[:7], *whole[5:]]


@pytest.mark.parametrize("batches", range(1, 15))
def test_a_run_resumed_after_any_batch_goes_on_where_each_optimizer_was(tmp_path: Path, batches: int) -> None:
    counts = {"generator": 5, "discriminator": 10}
    scheduler = HyperparameterScheduler(BOTH, updates_per_epoch=counts)
    whole = Gan(built, (1, 2))
    train(None, scheduler, every_update(tmp_path), module=whole, enable_checkpointing=True)
    resumed, recorder = Gan(built, (1, 2)), TraceRecorder()
    fit = {"ckpt_path": str(tmp_path / f"step={3 * batches}.ckpt")}
    train(None, HyperparameterScheduler(BOTH, updates_per_epoch=counts), recorder, module=resumed, fit=fit)
    # Lightning takes the batches of the epoch anew, and ends it when it has as many as it should.
    for number, (part, rates) in enumerate(zip(BOTH, whole.rates, strict=True)):
        left = rates[(number + 1) * batches :]
        assert resumed.rates[number] == left
        assert recorder.traces[part].column("learning_rate") == left


def test_a_run_resumed_within_an_epoch_that_nobody_counted_is_refused_where_updates_matter(tmp_path: Path) -> None:
    # What a trainer without callbacks of ours saves.
    trainer = pl.Trainer(
        callbacks=[every_update(tmp_path)], max_epochs=1, accelerator="cpu", logger=False, enable_progress_bar=False
    )
    trainer.fit(Gan(built), torch.utils.data.DataLoader(torch.zeros(5)))
    fit = {"ckpt_path": str(tmp_path / "step=4.ckpt")}
    message = refusal(None, HyperparameterScheduler(BOTH, updates_per_epoch=5), module=Gan(built), fit=fit)
    assert "of 'generator': found a run resumed within an epoch under manual optimization" in message
    module = Gan(built)
    train(None, EpochGatedDecay(0.5, start_epoch=1), module=module, fit=fit)
    assert module.rates[0] == [1.0] * 3 + [0.5] * 5 + [0.25] * 5
