"""Checkpoints that older versions wrote with Lightning will always load; see tests/states/README.md."""

from __future__ import annotations

import copy
import shutil
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from samestep import (
    AdamW,
    CosineDecay,
    LinearDecay,
    Position,
    Recipe,
    StepDecay,
    Trace,
    Warmup,
    epochs,
    percent,
    updates,
)
from samestep.core.checkpoints.saved import Saved
from samestep.lightning import (
    EpochGatedDecay,
    HyperparameterScheduler,
    LearningRateScheduler,
    ReduceOnPlateau,
    TraceRecorder,
    build_optimizer,
    import_state,
)

from ..states import runs
from .tiny_training import SAFELY, trainer

STATES = Path(__file__).parents[1] / "states"
RECIPE = Recipe(
    AdamW(learning_rate=0.1, weight_decay=0.05),
    learning_rate=Warmup(over=updates(3), start=0.25) * CosineDecay(over=percent(100), end=0.1),
    weight_decay=LinearDecay(over=epochs(3), end=0.2),
)
OTHER = Recipe(RECIPE.optimizer, RECIPE.learning_rate)


class Module(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(2, 1)

    def training_step(self, batch: torch.Tensor, index: int) -> torch.Tensor:
        return self.layer(batch).square().mean()

    def configure_optimizers(self) -> Any:
        return build_optimizer(RECIPE.optimizer, self)  # type: ignore[arg-type]


def train(recipe: Recipe, path: Path | None = None) -> tuple[Trace, dict[str, torch.Tensor]]:
    module, recorder = Module(), TraceRecorder()
    data = torch.utils.data.DataLoader(torch.ones(4, 2))
    options: dict[str, Any] = {} if path is None else {"ckpt_path": str(path), **SAFELY}
    trainer(HyperparameterScheduler(recipe), recorder).fit(module, data, **options)
    return recorder.trace, copy.deepcopy(module.state_dict())


def state(version: int) -> tuple[Path, Any]:
    path = STATES / f"lightning_{version}.ckpt"
    found: Any = torch.load(path, weights_only=True)["samestep"]
    assert found["version"] == version, "the file is not to be written again"
    return path, found


@pytest.mark.parametrize("version", [1, 2])
def test_a_run_goes_on_from_where_an_older_version_left_it_as_if_never_interrupted(version: int) -> None:
    path, found = state(version)
    assert Saved.from_dict(found).position(0) == Position(1, 2)
    whole, left = train(RECIPE)
    rest, left_by_rest = train(RECIPE, path)
    assert rest.entries[0].position == Position(1, 2)
    assert rest.entries == whole.entries[6:]
    # The first six updates may have been those of another machine, whose sums are rounded otherwise.
    torch.testing.assert_close(left_by_rest, left, rtol=1e-6, atol=1e-7)


def test_version_1_knows_no_recipe_and_goes_on_by_any() -> None:
    path, _ = state(1)
    trace, _ = train(OTHER, path)
    assert trace.column("weight_decay") == [0.05] * 6


def test_version_2_knows_the_recipe_and_the_length() -> None:
    path, _ = state(2)
    with pytest.raises(
        ValueError,
        match=r"\(epoch 1, update 2\) that was trained with different settings: recipe\.weight_decay was LinearDecay\(",
    ):
        train(OTHER, path)


class Driven(pl.LightningModule):
    """What the runs of tests/states/runs.py train: one layer, or two of manual optimization."""

    def __init__(self, configure: Callable[[Any], Any], *layers: str) -> None:
        super().__init__()
        self.configure, self.layers = configure, layers
        self.automatic_optimization = len(layers) == 1
        for name in layers:
            setattr(self, name, torch.nn.Linear(2, 1))
        for each in self.parameters():
            torch.nn.init.ones_(each)

    def training_step(self, batch: torch.Tensor, index: int) -> torch.Tensor | None:
        if self.automatic_optimization:
            return self.layer(batch).square().mean()
        optimizers: Any = self.optimizers()
        for name, optimizer, count in zip(self.layers, optimizers, (1, 2), strict=True):
            for _ in range(count):
                optimizer.zero_grad()
                self.manual_backward(getattr(self, name)(batch).square().mean())
                optimizer.step()
        return None

    def on_train_epoch_end(self) -> None:
        self.log("score", runs.SCORES[self.current_epoch])

    def configure_optimizers(self) -> Any:
        return self.configure(self)


def ours(module: Any) -> Any:
    return build_optimizer(runs.SPEC, module)


def stock(module: Any) -> Any:
    return torch.optim.SGD(module.parameters(), lr=runs.RATE)


def two(module: Any) -> list[Any]:
    return [build_optimizer(each.optimizer, getattr(module, name)) for name, each in runs.two_optimizers().items()]  # type: ignore[arg-type]


def scheduler(momentum: float = 0.5, **options: Any) -> list[Any]:
    return [HyperparameterScheduler(runs.scheduler(momentum), resolution="epoch", **options)]


def gated(factor: float = 0.5) -> list[Any]:
    return [EpochGatedDecay(factor, start_epoch=1, floor=runs.RATE / 4)]


def plateau(factor: float = 0.5, **options: Any) -> list[Any]:
    return [HyperparameterScheduler(runs.PLATEAU), ReduceOnPlateau("score", factor=factor, patience=0, **options)]


def several(decay: float = 0.5, **options: Any) -> list[Any]:
    updates = {"generator": 4, "discriminator": 8}
    return [HyperparameterScheduler(runs.two_optimizers(decay), updates_per_epoch=updates, **options)]


CONFIGURE = {"gated": stock, "function": stock, "two_optimizers": two}


def drive(name: str, callbacks: list[Any], path: Path | None) -> tuple[Mapping[str, Trace], dict[str, torch.Tensor]]:
    layers = ("generator", "discriminator") if name == "two_optimizers" else ("layer",)
    module, recorder = Driven(CONFIGURE.get(name, ours), *layers), TraceRecorder()
    options: dict[str, Any] = {} if path is None else {"ckpt_path": str(path), **SAFELY}
    fitting = trainer(*callbacks, recorder, max_epochs=runs.EPOCHS)
    fitting.fit(module, torch.utils.data.DataLoader(torch.full((4, 2), 0.25)), **options)
    return recorder.traces, copy.deepcopy(module.state_dict())


def go_on(name: str, callbacks: list[Any]) -> list[Trace]:
    return list(drive(name, callbacks, STATES / f"lightning_2_{name}.ckpt")[0].values())


GOING_ON: dict[str, tuple[Callable[[], list[Any]], list[dict[str, list[float]]], list[int]]] = {
    "scheduler": (scheduler, [runs.scheduled()], [6]),
    "gated": (gated, [runs.gated()], [6]),
    "function": (lambda: [LearningRateScheduler(runs.halving)], [runs.by_function()], [6]),
    "plateau": (plateau, [runs.reduced()], [8]),
    "two_optimizers": (several, [runs.of_generator(), runs.of_discriminator(2)], [6, 12]),
}


@pytest.mark.parametrize("name", GOING_ON)
def test_whatever_drove_an_older_run_goes_on_with_the_planned_values(name: str) -> None:
    callbacks, expected, begin = GOING_ON[name]
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*(settings|score|recipe)")
        traces, rest = drive(name, callbacks(), STATES / f"lightning_2_{name}.ckpt")
    whole, left = drive(name, callbacks(), None)
    for trace, uninterrupted, values, first in zip(traces.values(), whole.values(), expected, begin, strict=True):
        assert trace.entries == uninterrupted.entries[first:]
        runs.check(trace, values, first)
    torch.testing.assert_close(rest, left, rtol=1e-6, atol=1e-7)


CHANGED: dict[str, tuple[Callable[..., list[Any]], str, Callable[[float], list[dict[str, list[float]]]], list[int]]] = {
    "scheduler": (scheduler, r"momentum\.factor", lambda each: [runs.scheduled(each)], [6]),
    "plateau": (plateau, "factor", lambda each: [runs.reduced(each)], [8]),
    "two_optimizers": (
        several,
        r"weight_decay\.factor",
        lambda each: [runs.of_generator(), runs.of_discriminator(2, each)],
        [6, 12],
    ),
}


@pytest.mark.parametrize("name", CHANGED)
def test_settings_that_an_older_run_did_not_have_are_refused_or_used_as_asked_for(name: str) -> None:
    callbacks, what, expected, begin = CHANGED[name]
    with pytest.raises(ValueError, match=rf"{what} was 0\.5 and is 0\.25"):
        go_on(name, callbacks(0.25))
    for on_change, held in (("use_new", 0.25), ("use_saved", 0.5)):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*settings")
            traces = go_on(name, callbacks(0.25, on_change=on_change))
        for trace, values, first in zip(traces, expected(held), begin, strict=True):
            runs.check(trace, values, first)


def test_a_gated_decay_of_other_settings_than_an_older_run_had_holds_with_a_warning() -> None:
    with pytest.warns(UserWarning, match=r"factor was 0\.5 and is 0\.25"):
        (trace,) = go_on("gated", gated(0.25))
    runs.check(trace, runs.gated(0.25), 6)


def test_a_function_is_not_compared_with_that_of_an_older_run() -> None:
    (trace,) = go_on("function", [LearningRateScheduler(lambda epoch: runs.RATE * 0.25**epoch)])
    runs.check(trace, runs.by_function(0.25), 6)


def test_another_kind_of_callback_than_an_older_run_had_is_a_change() -> None:
    recipe = Recipe(learning_rate=StepDecay(0.5, every=epochs(1)))
    with pytest.raises(ValueError, match="on_change='use_new'"):
        go_on("gated", [HyperparameterScheduler(recipe)])
    (trace,) = go_on("gated", [HyperparameterScheduler(recipe, on_change="use_new")])
    runs.check(trace, runs.by_function(), 6)


@pytest.mark.parametrize("framework", ["lightning", "keras"])
def test_an_older_run_is_handed_over_with_its_moments_and_its_recipe(framework: str, tmp_path: Path) -> None:
    names: dict[str, Any] = {
        "lightning": {},
        "keras": {"layer/weight": ("layer/kernel", (1, 0)), "layer/bias": "layer/bias"},
    }
    shutil.copy(STATES / f"{framework}_2_scheduler.npz", tmp_path / "run.npz")
    path = import_state(tmp_path / "run.npz", Driven(ours, "layer"), names[framework] or None)
    moments = torch.load(path, weights_only=True)["optimizer_states"][0]["state"]
    assert sorted(moments) == [0, 1]
    assert all(state["momentum_buffer"].all() for state in moments.values())
    (trace,) = drive("scheduler", scheduler(), path)[0].values()
    assert trace.entries[0].position == Position(2)
    runs.check(trace, runs.scheduled(), 8)
    with pytest.raises(ValueError, match=r"epoch 2, update 0.*momentum\.factor was 0\.5 and is 0\.25"):
        drive("scheduler", scheduler(0.25), path)
