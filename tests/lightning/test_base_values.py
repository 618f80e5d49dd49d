"""Base values are those that this run configured, never those that a checkpoint brought into the parameter groups."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import LearningRateFinder

from samestep import SGDW, AdamW, ParameterRule, Recipe, StepDecay, epochs
from samestep.core.version_numbers import is_older
from samestep.lightning import (
    EpochGatedDecay,
    HyperparameterScheduler,
    LearningRateScheduler,
    ReduceOnPlateau,
    build_optimizer,
)

from .tiny_training import Ramp, Run, refusal, sgd, train

HALVING = StepDecay(0.5, every=epochs(1))
Build = Callable[[Any], Any]


def adamw(learning_rate: float = 0.8, weight_decay: float = 0.5, momentum: float = 0.5) -> Build:
    return lambda module: torch.optim.AdamW(
        module.parameters(), lr=learning_rate, weight_decay=weight_decay, betas=(momentum, 0.999)
    )


class Decaying(pl.Callback):
    """The user's own decay of everything."""

    def on_train_epoch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        for group in trainer.optimizers[0].param_groups:
            group["lr"] = 0.8 * 0.5**trainer.current_epoch
            group["weight_decay"] = 0.5 * 0.25**trainer.current_epoch
            group["betas"] = (0.125, 0.999)


class Resets(pl.Callback):
    """Resets the optimizer at the start of the second epoch."""

    def on_train_epoch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.current_epoch == 1:
            trainer.optimizers[0].reset()  # type: ignore[attr-defined]


@pytest.mark.parametrize("rules", [(), (ParameterRule(path="weights/1", learning_rate=0.5),)])
@pytest.mark.parametrize("before", [True, False])
def test_the_schedule_continues_after_a_reset(rules: Any, before: bool) -> None:
    recipe = Recipe(SGDW(1.0, momentum=0.5, parameters=rules), learning_rate=HALVING)
    module = Ramp(None, weights=2)
    optimizer = build_optimizer(recipe, module)
    module.build = lambda _: optimizer
    for training in range(2):
        callbacks = [HyperparameterScheduler(recipe, verify=True), Resets()][:: -1 if before else 1]
        run = train(None, *callbacks, module=module, batches=2, epochs=2)
        # The buffer is 1 and 1.5 again.
        assert run.learning_rates()[4 * training :] == [1.0, 1.5, 0.5, 0.75], training
        assert run.learning_rates(1)[4 * training :] == [(0.5 if rules else 1) * x for x in (1.0, 1.5, 0.5, 0.75)]
        optimizer.reset()
        assert optimizer.param_groups[0]["lr"] == 1.0


def one_cycle(module: Any) -> Any:
    optimizer = adamw()(module)
    return [optimizer], [torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.8, total_steps=8)]


def checkpoint(run: Run, folder: Path) -> dict[str, Any]:
    path = folder / f"{len(list(folder.iterdir()))}.ckpt"
    run.trainer.save_checkpoint(path)
    return {"ckpt_path": str(path)}


def first(run: Run) -> dict[str, float]:
    return dict(run.trace.entries[0].values)


DRIVERS: dict[str, Callable[[], Any]] = {
    "recipe": lambda: HyperparameterScheduler(Recipe(learning_rate=HALVING, weight_decay=HALVING, momentum=HALVING)),
    "gated": lambda: EpochGatedDecay(0.5, start_epoch=1),
    "function": lambda: LearningRateScheduler(lambda epoch, rate: rate * 0.5 if epoch else rate),
    "plateau": lambda: ReduceOnPlateau("loss", factor=0.5, patience=0),
}


@pytest.mark.parametrize("earlier", ["the user's own decay", "OneCycleLR"])
@pytest.mark.parametrize("driver", DRIVERS)
def test_what_another_run_left_in_the_groups_is_no_base_value(driver: str, earlier: str, tmp_path: Path) -> None:
    if earlier == "OneCycleLR":
        fit = checkpoint(train(one_cycle, epochs=2), tmp_path)
    else:
        fit = checkpoint(train(adamw(), Decaying(), epochs=2), tmp_path)
    if driver == "plateau":
        scored: Any = Logging(adamw())
        assert first(train(None, DRIVERS[driver](), module=scored, fit=fit))["learning_rate"] == 0.8
        return
    used = first(train(adamw(), DRIVERS[driver](), fit=fit))
    assert used["learning_rate"] == 0.2
    if driver == "recipe":
        assert (used["weight_decay"], used["momentum"]) == (0.125, 0.125)


class Logging(Ramp):
    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        self.log("loss", 1.0, on_epoch=True)
        return super().training_step(batch, batch_idx)


@pytest.mark.parametrize("driver", ["recipe", "gated", "function"])
@pytest.mark.parametrize("tensor", [False, True], ids=["float", "tensor"])
def test_another_base_value_than_that_of_the_checkpoint_is_a_change(driver: str, tensor: bool, tmp_path: Path) -> None:
    def rate(value: float) -> Any:
        return torch.tensor(value) if tensor else value

    fit = checkpoint(train(adamw(rate(0.8)), DRIVERS[driver](), epochs=2), tmp_path)
    assert first(train(adamw(rate(0.8)), DRIVERS[driver](), fit=fit))["learning_rate"] == pytest.approx(0.2, 1e-7)
    found = (
        "found a checkpoint (epoch 2, update 0) that was trained from different base values: learning_rate was 0.8 and "
        "is 0.4; "
    )
    if driver == "recipe":
        assert refusal(adamw(rate(0.4)), DRIVERS[driver](), weights=1, fit=fit) == (
            f"HyperparameterScheduler: {found}give the optimizer those it was trained from, or write "
            f"on_change='use_new' or 'use_saved'."
        )
        return
    with pytest.warns(UserWarning, match="different base values") as warned:
        assert first(train(adamw(rate(0.4)), DRIVERS[driver](), fit=fit))["learning_rate"] == pytest.approx(0.1, 1e-7)
    who = "EpochGatedDecay" if driver == "gated" else "LearningRateScheduler"
    assert f"{who}: {found}the new ones are used." in [str(each.message) for each in warned]


def test_on_change_decides_between_the_base_values_and_the_next_checkpoint_has_those_that_held(tmp_path: Path) -> None:
    recipe = Recipe(learning_rate=HALVING, weight_decay=HALVING, momentum=HALVING)
    fit = checkpoint(train(adamw(), HyperparameterScheduler(recipe), epochs=2), tmp_path)
    held: dict[Any, dict[str, float]] = {
        "use_new": {"learning_rate": 0.1, "weight_decay": 0.25, "momentum": 0.0625},
        "use_saved": {"learning_rate": 0.2, "weight_decay": 0.125, "momentum": 0.125},
    }
    others = adamw(0.4, 1.0, 0.25)
    message = refusal(others, HyperparameterScheduler(recipe), weights=1, fit=fit)
    assert (
        "learning_rate was 0.8 and is 0.4, weight_decay was 0.5 and is 1.0, momentum was 0.5 and is 0.25; " in message
    )
    for on_change, values in held.items():
        run = train(others, HyperparameterScheduler(recipe, on_change=on_change), fit=fit)
        assert first(run) == values
        again = checkpoint(run, tmp_path)
        build = others if on_change == "use_new" else adamw()
        run = train(build, HyperparameterScheduler(recipe), epochs=4, fit=again)
        assert first(run) == {name: 0.5 * value for name, value in values.items()}


def test_parameter_groups_have_a_base_value_each(tmp_path: Path) -> None:
    make = {
        each: HyperparameterScheduler(Recipe(learning_rate=HALVING), on_change=each) for each in ("raise", "use_saved")
    }
    fit = checkpoint(train(sgd(0.8, 0.4), make["raise"], epochs=2, weights=2), tmp_path)
    run = train(sgd(0.8, 0.4), make["raise"], weights=2, fit=fit)
    assert (run.learning_rates(0)[0], run.learning_rates(1)[0]) == (0.2, 0.1)
    message = refusal(sgd(0.8, 0.2), make["raise"], fit=fit)
    assert "learning_rate was [0.8, 0.4] and is [0.8, 0.2]; " in message
    run = train(sgd(0.8, 0.2), make["use_saved"], weights=2, fit=fit)
    assert (run.learning_rates(0)[0], run.learning_rates(1)[0]) == (0.2, 0.1)


def test_a_spec_is_what_configures(tmp_path: Path) -> None:
    spec = AdamW(0.8, 0.5, (0.5, 0.999), parameters=[ParameterRule(path="weights/1", learning_rate=0.5)])
    recipe = Recipe(spec, learning_rate=HALVING)

    def build(module: Any) -> Any:
        return build_optimizer(spec, module)

    fit = checkpoint(train(build, Decaying(), epochs=2, weights=2), tmp_path)
    values = first(train(build, HyperparameterScheduler(recipe), weights=2, fit=fit))
    assert (values["learning_rate"], values["learning_rate/1"], values["weight_decay"], values["momentum"]) == (
        0.2,
        0.1,
        0.5,
        0.5,
    )


def test_what_is_written_before_training_starts_is_configured_whoever_writes_it(tmp_path: Path) -> None:
    class Scaling(Ramp):
        def on_fit_start(self) -> None:
            for group in self.trainer.optimizers[0].param_groups:
                group["lr"] *= 0.5

    def scaling() -> Any:
        return Scaling(sgd(0.8))

    whole = train(None, EpochGatedDecay(0.5, start_epoch=1), module=scaling(), epochs=2)
    assert whole.of_each_epoch() == [0.4, 0.2]
    with warnings.catch_warnings():
        warnings.filterwarnings("error", ".*base values")
        fit = checkpoint(whole, tmp_path)
        rest = train(None, EpochGatedDecay(0.5, start_epoch=1), module=scaling(), fit=fit)
    assert rest.of_each_epoch() == [0.1]


@pytest.mark.skipif(
    is_older(pl.__version__, "2.5.5"),
    reason="needs Lightning >= 2.5.5: an older LearningRateFinder leaves the optimizer as it was",
)
@pytest.mark.parametrize("finder_first", [True, False])
def test_a_learning_rate_finder_finds_the_base_value(finder_first: bool, tmp_path: Path) -> None:
    class Fitted(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.lr, self.layer = 0.8, torch.nn.Linear(1, 1)

        def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
            return (self.layer(batch[:, None]) - 1).square().mean()

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=self.lr)

    finder, module = LearningRateFinder(num_training_steps=20), Fitted()
    ours = [finder, EpochGatedDecay(0.5, start_epoch=1)]
    data = torch.linspace(0.0, 1.0, 8)
    run = train(
        None,
        *(ours if finder_first else reversed(ours)),
        module=module,  # type: ignore[arg-type]
        data=data,
        epochs=2,
        default_root_dir=tmp_path,
    )
    assert finder.optimal_lr is not None
    found = finder.optimal_lr.suggestion()
    assert found not in (None, 0.8)
    assert run.trace.column("learning_rate") == [found] * 8 + [0.5 * found] * 8


class Kept(Ramp):
    """Returns the same optimizer in every fit."""

    def __init__(self) -> None:
        super().__init__(None)
        self.kept = torch.optim.SGD(self.parameters(), lr=0.8)

    def configure_optimizers(self) -> Any:
        return self.kept


def test_an_optimizer_that_is_trained_again_starts_from_its_base_value_or_from_the_one_set_since() -> None:
    module = Kept()
    train(None, EpochGatedDecay(0.5, start_epoch=1), module=module)
    assert module.kept.param_groups[0]["lr"] == 0.2
    run = train(None, EpochGatedDecay(0.5, start_epoch=1), module=module, epochs=1)
    assert run.trace.column("learning_rate") == [0.8] * 5
    train(None, EpochGatedDecay(0.5, start_epoch=1), module=module)
    module.kept.param_groups[0]["lr"] = 0.1
    run = train(None, EpochGatedDecay(0.5, start_epoch=1), module=module, epochs=1)
    assert run.trace.column("learning_rate") == [0.1] * 5


@pytest.mark.parametrize("driven", [True, False])
def test_a_state_dict_that_the_user_loads_has_the_base_value_or_is_refused(driven: bool) -> None:
    earlier = train(sgd(0.8) if driven else stepping, *([EpochGatedDecay(0.5, start_epoch=1)] if driven else []))
    state = copy.deepcopy(earlier.trainer.optimizers[0].state_dict())

    def loaded(module: Any) -> Any:
        optimizer = sgd(0.8)(module)
        optimizer.load_state_dict(state)
        return optimizer

    if driven:
        assert train(loaded, EpochGatedDecay(0.5, start_epoch=1), epochs=1).learning_rates() == [0.8] * 5
    else:
        assert refusal(loaded, EpochGatedDecay(0.5, start_epoch=1), weights=1) == (
            "EpochGatedDecay: found a parameter group with the learning_rate 0.1, which began at 0.8 as 'initial_lr' "
            "says; configure the optimizer with the base value, and without a scheduler or the state of another run."
        )


def stepping(module: Any) -> Any:
    optimizer = sgd(0.8)(module)
    return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)]


def test_a_later_fit_of_the_same_trainer_goes_on_from_the_base_value() -> None:
    callback, module = EpochGatedDecay(0.5, start_epoch=1), Ramp(sgd(0.8))
    run = train(None, callback, module=module, epochs=2)
    run.trainer.fit_loop.max_epochs = 4
    run.trainer.fit(module, torch.utils.data.DataLoader(torch.zeros(5)))
    assert run.learning_rates() == [0.8] * 5 + [0.4] * 5 + [0.2] * 5 + [0.1] * 5


def test_a_subclass_whose_hook_does_not_call_ours_is_named() -> None:
    class Silent(EpochGatedDecay):
        def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
            return

    assert refusal(sgd(0.8), Silent(0.5, start_epoch=1)) == (
        "Silent: found on_fit_start without a call of super().on_fit_start(...); call it first."
    )
