"""What cannot be honoured is refused in one sentence, before the first batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import SingleDeviceStrategy

from samestep import AdamW, CosineDecay, LinearDecay, Recipe, StepDecay, epochs, percent
from samestep.lightning import (
    EpochGatedDecay,
    HyperparameterScheduler,
    LearningRateScheduler,
    build_optimizer,
)

from .tiny_training import AfterEveryBatch, Ramp, refusal, sgd, train

WHOLE_RUN = Recipe(learning_rate=CosineDecay(over=percent(100)))
PER_UPDATE = Recipe(learning_rate=LinearDecay(over=epochs(2), end=0.25))
PER_EPOCH = Recipe(learning_rate=StepDecay(0.5, every=epochs(1)))
SPEC = AdamW(learning_rate=0.1, weight_decay=0.05, betas=(0.8, 0.99), epsilon=1e-6)
DECAY = LearningRateScheduler(lambda epoch, lr: lr / 2)


class Stream(torch.utils.data.IterableDataset[torch.Tensor]):
    """Four batches, and no word about how many there will be."""

    def __iter__(self) -> Iterator[torch.Tensor]:
        return iter(torch.zeros(4))


def test_percent_of_a_run_without_an_end() -> None:
    message = refusal(sgd(0.1), HyperparameterScheduler(WHOLE_RUN), max_epochs=-1)
    assert message.startswith("HyperparameterScheduler: the learning_rate schedule: '100%' needs the length of the run")


def test_change_within_epochs_of_unknown_length() -> None:
    message = refusal(sgd(0.1), HyperparameterScheduler(PER_UPDATE), data=Stream())
    assert "training data of unknown length" in message
    assert "give updates_per_epoch=, or resolution='epoch'" in message


@pytest.mark.parametrize(
    ("callback", "expected"),
    [
        pytest.param(
            HyperparameterScheduler(PER_UPDATE, updates_per_epoch=4),
            [1 - 0.75 * k / 8 for k in range(8)] + [0.25] * 4,
            id="length-given",
        ),
        pytest.param(
            HyperparameterScheduler(PER_UPDATE, resolution="epoch"), [1.0] * 4 + [0.625] * 4 + [0.25] * 4, id="held"
        ),
        pytest.param(HyperparameterScheduler(PER_EPOCH), [1.0] * 4 + [0.5] * 4 + [0.25] * 4, id="epoch-constant"),
        pytest.param(EpochGatedDecay(0.5, start_epoch=1), [1.0] * 4 + [0.5] * 4 + [0.25] * 4, id="gated-decay"),
        pytest.param(DECAY, [0.5] * 4 + [0.25] * 4 + [0.125] * 4, id="function"),
    ],
)
def test_unknown_length_is_accepted_where_it_does_not_matter(callback: Any, expected: list[float]) -> None:
    assert train(sgd(1.0), callback, data=Stream()).learning_rates() == expected


def test_updates_per_epoch_that_contradicts_the_trainer() -> None:
    callback = HyperparameterScheduler(PER_UPDATE, updates_per_epoch=5)
    message = refusal(sgd(0.1), callback, accumulate_grad_batches=2)
    assert "found updates_per_epoch=5, but the trainer makes 3 updates in an epoch" in message


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (EpochGatedDecay(0.1, start_epoch=1), EpochGatedDecay(0.1, start_epoch=1)),
        (HyperparameterScheduler(PER_EPOCH), EpochGatedDecay(0.1, start_epoch=1)),
        (DECAY, HyperparameterScheduler(PER_EPOCH)),
    ],
)
def test_two_callbacks_for_one_hyperparameter(first: Any, second: Any) -> None:
    message = refusal(sgd(0.1), first, second)
    assert message.startswith(f"found two callbacks that drive learning_rate: {first!r} and {second!r};")


@pytest.mark.parametrize("callback", [EpochGatedDecay(0.1, start_epoch=1), HyperparameterScheduler(PER_EPOCH), DECAY])
@pytest.mark.parametrize("name", ["StepLR", "ReduceLROnPlateau"])
def test_a_torch_scheduler_beside_ours(callback: Any, name: str) -> None:
    def both(module: pl.LightningModule) -> dict[str, Any]:
        optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
        if name == "StepLR":
            return {"optimizer": optimizer, "lr_scheduler": torch.optim.lr_scheduler.StepLR(optimizer, 1)}
        plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": plateau, "monitor": "loss"}}

    message = refusal(both, callback)
    assert f"found the {name} of configure_optimizers, which already drives learning_rate" in message
    assert "return only the optimizer" in message


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"lr": 0.2}, "learning_rate is 0.2 and not 0.1"),
        ({"weight_decay": 0.01}, "weight_decay is 0.01 and not 0.05"),
        ({"betas": (0.9, 0.99)}, "betas is (0.9, 0.99) and not (0.8, 0.99)"),
        ({"eps": 1e-8}, "epsilon is 1e-08 and not 1e-06"),
        (
            {"lr": 0.2, "betas": (0.9, 0.99)},
            "learning_rate is 0.2 and not 0.1, betas is (0.9, 0.99) and not (0.8, 0.99)",
        ),
        ({"lr": torch.tensor(0.2)}, "learning_rate is 0.2 and not 0.1"),
    ],
)
def test_an_optimizer_of_other_numbers_than_the_spec(changes: dict[str, Any], difference: str) -> None:
    numbers = {"lr": 0.1, "weight_decay": 0.05, "betas": (0.8, 0.99), "eps": 1e-6, **changes}
    message = refusal(lambda m: torch.optim.AdamW(m.parameters(), **numbers), HyperparameterScheduler(Recipe(SPEC)))
    assert f"not built from this recipe's spec: {difference};" in message
    assert "build_optimizer(recipe, model)" in message


@pytest.mark.parametrize("changes", [{}, {"lr": torch.tensor(0.1)}])
def test_an_optimizer_of_the_specs_numbers_is_followed(changes: dict[str, Any]) -> None:
    numbers = {"lr": 0.1, "weight_decay": 0.05, "betas": (0.8, 0.99), "eps": 1e-6, **changes}
    run = train(lambda m: torch.optim.AdamW(m.parameters(), **numbers), HyperparameterScheduler(Recipe(SPEC)))
    assert len(run.trace) == 15


@pytest.mark.parametrize("other", [torch.optim.SGD, torch.optim.Adam, torch.optim.NAdam])
def test_an_optimizer_of_another_kind_than_the_spec(other: type[torch.optim.Optimizer]) -> None:
    message = refusal(
        lambda m: other(m.parameters(), lr=0.1, weight_decay=0.05),  # type: ignore[call-arg]
        HyperparameterScheduler(Recipe(SPEC)),
    )
    assert f"not built from this recipe's spec: the optimizer is {other.__name__} and not AdamW;" in message


@pytest.mark.parametrize("own", [{}, {"lr": 0.2}])
def test_an_optimizer_of_the_spec_with_another_group_since_is_followed(own: dict[str, float]) -> None:
    def configure(module: pl.LightningModule) -> torch.optim.Optimizer:
        _, second = module.parameters()
        second.requires_grad_(False)
        optimizer = build_optimizer(SPEC, module)
        optimizer.add_param_group({"params": [second.requires_grad_(True)], **own})
        return optimizer

    run = train(configure, HyperparameterScheduler(Recipe(SPEC)), weights=2)
    assert run.trace.column("learning_rate/1") == [own.get("lr", 0.1)] * 15


class Engine:
    """Makes the updates itself, and is no optimizer of torch, though it has one."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer, self.param_groups = optimizer, optimizer.param_groups
        self.state, self.defaults = optimizer.state, optimizer.defaults

    def step(self, closure: Callable[[], Any]) -> Any:
        return self.optimizer.step(closure)


class EngineStrategy(SingleDeviceStrategy):
    """A strategy that puts an engine into the place of the optimizer, as DeepSpeed's does."""

    def setup_optimizers(self, trainer: pl.Trainer) -> None:
        super().setup_optimizers(trainer)
        self.optimizers = [Engine(optimizer) for optimizer in self.optimizers]  # type: ignore[misc]


class DeepSpeedStrategy(SingleDeviceStrategy):
    """Of the name by which both packages' own is known, which demands DeepSpeed and a GPU."""


@pytest.mark.parametrize("callback", [EpochGatedDecay(0.1, start_epoch=1), HyperparameterScheduler(PER_EPOCH), DECAY])
@pytest.mark.parametrize(
    ("strategy", "found"),
    [
        (EngineStrategy, "the EngineStrategy with the optimizer Engine"),
        (DeepSpeedStrategy, "the DeepSpeedStrategy with the optimizer SGD"),
    ],
)
def test_a_strategy_whose_engine_makes_the_updates(callback: Any, strategy: Any, found: str) -> None:
    message = refusal(sgd(0.1), callback, strategy=strategy("cpu"))
    assert message.startswith(f"{type(callback).__name__}: found {found}; use a strategy that leaves the updates to")


@pytest.mark.parametrize("learning_rates", [(0.1,), (1.0, 0.1)])
def test_a_floor_above_the_learning_rate(learning_rates: tuple[float, ...]) -> None:
    message = refusal(sgd(*learning_rates), EpochGatedDecay(0.1, start_epoch=1, floor=0.5))
    assert message.startswith("EpochGatedDecay: found floor=0.5 above the learning rate 0.1 that the decay")


@pytest.mark.parametrize(
    "callback", [EpochGatedDecay(0.1, start_epoch=1, base=0.2), LearningRateScheduler(pow, base=0.2)]
)
def test_one_base_for_groups_of_their_own(callback: Any) -> None:
    message = refusal(sgd(0.1, 0.3), callback)
    assert f"found base={callback.base!r} for parameter groups with the values [0.1, 0.3]; leave base= out" in message


def test_a_function_of_the_epoch_alone_for_groups_of_their_own() -> None:
    message = refusal(sgd(0.3, 0.1), LearningRateScheduler(lambda epoch: 0.5**epoch))
    assert "parameter groups with the learning rates [0.1, 0.3] and a function of the epoch alone" in message
    assert "write the function as f(epoch, learning_rate)" in message


def test_a_refused_run_leaves_the_optimizer_as_it_was() -> None:
    kept = []

    def keep(module: torch.nn.Module) -> torch.optim.Optimizer:
        kept.append(build_optimizer(SPEC, module))
        return kept[0]

    other = Recipe(AdamW(learning_rate=0.2), learning_rate=StepDecay(0.5, every=epochs(1), first=epochs(0)))
    refusal(None, HyperparameterScheduler(other), module=Ramp(keep))
    assert kept[0].param_groups[0]["lr"] == 0.1


class EverySecond(Ramp):
    """Makes an update of every second batch."""

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
        if batch_idx % 2:
            super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        else:
            optimizer_closure()


class EndsEarly(Ramp):
    """Ends an epoch after two of its batches."""

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> int | None:
        return -1 if batch_idx == 2 else None


@pytest.mark.parametrize("module", [EverySecond, EndsEarly])
def test_a_module_that_leaves_updates_out_is_told_what_can_be_done(module: type[Ramp]) -> None:
    recipe = Recipe(learning_rate=LinearDecay("100%"))
    with pytest.warns(UserWarning, match="found 2 updates in epoch 0, but updates_per_epoch is 4;.* set it to the num"):
        train(None, HyperparameterScheduler(recipe), module=module(sgd(1.0)), batches=4)
    run = train(None, HyperparameterScheduler(recipe, updates_per_epoch=2), module=module(sgd(1.0)), batches=4)
    assert run.learning_rates() == recipe.plan(updates_per_epoch=2, epochs=3).values("learning_rate", base=1.0)


@pytest.mark.parametrize("on_change", ["raise", "use_new", "use_saved"])
def test_a_run_resumed_within_an_epoch_that_is_shorter_now(tmp_path: Path, on_change: Any) -> None:
    recipe = Recipe(learning_rate=LinearDecay("100%"))
    saver = AfterEveryBatch(tmp_path)
    train(sgd(1.0), HyperparameterScheduler(recipe), saver, batches=4)
    options = {"batches": 4, "limit_train_batches": 2}
    message = refusal(
        sgd(1.0),
        HyperparameterScheduler(recipe, on_change=on_change),
        weights=1,
        fit={"ckpt_path": str(saver.path(7))},
        **options,
    )
    assert message == (
        "HyperparameterScheduler: found a run resumed after 3 of the 4 updates of epoch 1, and epochs of 2 now; resume "
        "from a checkpoint of an epoch's end, or with as many batches as before."
    )
    scheduler = HyperparameterScheduler(recipe, on_change=on_change)
    run = train(sgd(1.0), scheduler, fit={"ckpt_path": str(saver.path(8))}, **options)
    assert run.positions() == [(2, 0), (2, 1)]
