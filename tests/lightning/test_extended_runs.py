"""A run of Lightning that goes on with another length, other batches, or as one of several optimizers."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from samestep import SGDW, AdamW, CosineDecay, LinearDecay, Recipe, StepDecay, epochs, percent, updates
from samestep.lightning import HyperparameterScheduler, TraceRecorder, build_optimizer

from ..recipe_changes import SPEC, STEPS
from .tiny_training import Weights, data, every_epoch, every_update, fit, trainer

COSINE = Recipe(SPEC, CosineDecay(over=percent(100), end=0.1))
BY_UPDATES = Recipe(SPEC, LinearDecay(over=updates(12), end=0.25))


@pytest.fixture(autouse=True)
def _no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "HyperparameterScheduler(?!.*possible mistakes)")
        yield


def planned(recipe: Recipe, first: int, last: int, updates: int = 4, **length: Any) -> list[float]:
    """The learning rates of the epochs from the first to before the last, by the plan of a run of this length."""
    plan = recipe.plan(updates, **{"epochs": 3, **length})
    return [plan.value("learning_rate", epoch, update) for epoch in range(first, last) for update in range(updates)]


@pytest.mark.parametrize("on_change", ["raise", "use_saved"])
def test_percentages_of_a_run_that_is_extended_twice_stay_those_of_the_first(tmp_path: Path, on_change: Any) -> None:
    def driver() -> HyperparameterScheduler:
        return HyperparameterScheduler(COSINE, on_change=on_change)

    assert fit(driver(), every_epoch(tmp_path))[1] == planned(COSINE, 0, 3)
    for begin, length in ((3, 5), (5, 7)):
        path = tmp_path / f"epoch={begin - 1}.ckpt"
        told = f"found a run of {length} epochs that began as one of 3 epochs; percentages still refer to 3 epochs: "
        with pytest.warns(UserWarning, match=told):
            _, rates = fit(driver(), every_epoch(tmp_path), path=path, max_epochs=length)
        assert rates == planned(COSINE, begin, length)


@pytest.mark.parametrize("length", [2, 6])
def test_percentages_of_a_run_that_is_cut_or_extended_within_stay_those_of_the_first(
    tmp_path: Path, length: int
) -> None:
    fit(HyperparameterScheduler(COSINE), every_update(tmp_path))
    with pytest.warns(UserWarning, match=f"found a run of {length} epochs that began as one of 3 epochs"):
        _, rates = fit(HyperparameterScheduler(COSINE), path=tmp_path / "step=6.ckpt", max_epochs=length)
    assert rates == planned(COSINE, 1, length)[2:]


def test_use_new_stretches_them_and_is_what_the_next_one_goes_on_from(tmp_path: Path) -> None:
    fit(HyperparameterScheduler(COSINE), every_epoch(tmp_path))
    driver = HyperparameterScheduler(COSINE, on_change="use_new")
    _, rates = fit(driver, every_epoch(tmp_path / "second"), path=tmp_path / "epoch=1.ckpt", max_epochs=6)
    assert rates == planned(COSINE, 2, 6, epochs=6)
    _, rates = fit(HyperparameterScheduler(COSINE), path=tmp_path / "second" / "epoch=2.ckpt", max_epochs=6)
    assert rates == planned(COSINE, 3, 6, epochs=6)


def test_a_run_that_a_number_of_updates_ends_keeps_it(tmp_path: Path) -> None:
    bound: dict[str, Any] = {"max_epochs": -1, "max_steps": 10}
    fit(HyperparameterScheduler(COSINE), every_update(tmp_path), **bound)
    path, length = tmp_path / "step=6.ckpt", {"epochs": None, "max_updates": 10}
    assert fit(HyperparameterScheduler(COSINE), path=path, **bound)[1] == planned(COSINE, 1, 3, **length)[2:6]
    bound["max_steps"] = 16
    with pytest.warns(
        UserWarning, match="a run of 16 updates that began as one of 10 updates; percentages still refer"
    ):
        _, rates = fit(HyperparameterScheduler(COSINE), path=path, **bound)
    assert rates == planned(COSINE, 1, 4, **length)[2:]
    driver = HyperparameterScheduler(COSINE, on_change="use_new")
    length["max_updates"] = 16
    assert fit(driver, path=path, **bound)[1] == planned(COSINE, 1, 4, **length)[2:]


@pytest.mark.parametrize(
    "schedule", [STEPS, LinearDecay(over=epochs(3), end=0.25), CosineDecay(over=percent(100), end=0.1)], ids=repr
)
def test_another_size_of_batches_leaves_a_schedule_in_epochs_untouched(tmp_path: Path, schedule: Any) -> None:
    recipe = Recipe(SPEC, schedule)
    fit(HyperparameterScheduler(recipe), every_epoch(tmp_path))
    _, rates = fit(HyperparameterScheduler(recipe), path=tmp_path / "epoch=0.ckpt", batch_size=2)
    assert rates == planned(recipe, 1, 3, updates=2)


def test_another_size_of_batches_is_refused_where_a_schedule_counts_updates(tmp_path: Path) -> None:
    fit(HyperparameterScheduler(BY_UPDATES), every_epoch(tmp_path))
    options: dict[str, Any] = {"path": tmp_path / "epoch=0.ckpt", "batch_size": 2}
    module = Weights()
    with pytest.raises(ValueError, match="updates in an epoch") as caught:
        fit(HyperparameterScheduler(BY_UPDATES), module=module, **options)
    assert module.batches == 0
    assert str(caught.value) == (
        "HyperparameterScheduler: found 2 updates in an epoch, but the run up to epoch 1, update 0 had 4, and a "
        "schedule that counts updates; keep the batch size and the number of devices, write the schedule in "
        "epochs, or write on_change='use_new'."
    )
    driver = HyperparameterScheduler(BY_UPDATES, on_change="use_new")
    assert fit(driver, **options)[1] == planned(BY_UPDATES, 1, 3, updates=2)


def test_a_longer_fit_of_the_same_trainer_is_extended_too() -> None:
    recorder, module = TraceRecorder(), Weights()
    fitted = trainer(HyperparameterScheduler(COSINE), recorder)
    fitted.fit(module, data())
    for begin, length in ((3, 5), (5, 6)):
        fitted.fit_loop.max_epochs = length
        with pytest.warns(UserWarning, match=f"a run of {length} epochs that began as one of 3 epochs; percentages"):
            fitted.fit(module, data())
        assert recorder.trace.column("learning_rate") == planned(COSINE, begin, length)


class Part(torch.nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(size))


class Gan(pl.LightningModule):
    """Two parts of an optimizer each, of which the second makes two updates of a batch."""

    def __init__(self, generator: Any, discriminator: Any) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.generator, self.discriminator = Part(2), Part(2)
        self.specs, self.batches = (generator, discriminator), 0

    def training_step(self, batch: torch.Tensor, index: int) -> None:
        self.batches += 1
        first, second = self.optimizers()  # type: ignore[misc]
        for optimizer in (first, second, second):
            optimizer.zero_grad()
            self.manual_backward((self.generator.weight + self.discriminator.weight).sum())
            optimizer.step()

    def configure_optimizers(self) -> list[Any]:
        parts = (self.generator, self.discriminator)
        return [build_optimizer(spec, part) for spec, part in zip(self.specs, parts, strict=True)]


GENERATOR = Recipe(AdamW(0.5, 0.25), LinearDecay(over=updates(16), end=0.5))
DISCRIMINATOR = Recipe(SGDW(0.25, 0.5), STEPS)
SLOWER = Recipe(SGDW(0.125, 0.5), StepDecay(0.1, every=epochs(1)))


def train_gan(keys: tuple[Any, Any], discriminator: Recipe, *callbacks: Any, path: Path | None, **options: Any) -> Any:
    recorder, module = TraceRecorder(), Gan(GENERATOR.optimizer, discriminator.optimizer)
    counts = dict(zip(keys, (4, 8), strict=True))
    recipes = dict(zip(keys, (GENERATOR, discriminator), strict=True))
    driver = HyperparameterScheduler(recipes, updates_per_epoch=counts, **options)
    fitted = trainer(driver, *callbacks, recorder)
    try:
        fitted.fit(module, data(), ckpt_path=None if path is None else str(path))
    except ValueError:
        assert module.batches == 0
        raise
    return [trace.column("learning_rate") for trace in recorder.traces.values()]


@pytest.mark.parametrize("keys", [("generator", "discriminator"), (0, 1)], ids=str)
def test_each_of_several_optimizers_is_compared_with_its_own(tmp_path: Path, keys: tuple[Any, Any]) -> None:
    whole = train_gan(keys, DISCRIMINATOR, every_epoch(tmp_path), path=None)
    assert list(map(len, whole)) == [12, 24]
    path = tmp_path / "epoch=0.ckpt"
    assert train_gan(keys, DISCRIMINATOR, path=path) == [whole[0][4:], whole[1][8:]]
    with pytest.raises(ValueError, match=r"^[^\n]*[^.]\.$") as caught:
        train_gan(keys, SLOWER, path=path)
    assert str(caught.value).startswith(
        f"HyperparameterScheduler of {keys[1]!r}: found a checkpoint (epoch 1, update 0) that was trained with "
        f"different settings: recipe.optimizer.learning_rate was 0.25 and is 0.125, recipe.learning_rate.factor was"
    )
    assert train_gan(keys, SLOWER, path=path, on_change="use_saved") == [whole[0][4:], whole[1][8:]]
    generator, discriminator = train_gan(keys, SLOWER, path=path, on_change="use_new")
    assert generator == whole[0][4:]
    assert discriminator == planned(SLOWER, 1, 3, updates=8)


@pytest.mark.parametrize("keys", [("generator", "discriminator"), (0, 1)], ids=str)
@pytest.mark.parametrize("on_change", ["raise", "use_new", "use_saved"])
def test_an_optimizer_of_several_that_cannot_take_over_the_moments_is_refused(
    tmp_path: Path, keys: tuple[Any, Any], on_change: Any
) -> None:
    train_gan(keys, DISCRIMINATOR, every_epoch(tmp_path), path=None)
    other = Recipe(AdamW(0.25, 0.5), STEPS)
    with pytest.raises(
        ValueError, match=r"^HyperparameterScheduler of '?(discriminator|1)'?: found [^\n]*[^.]\.$"
    ) as caught:
        train_gan(keys, other, path=tmp_path / "epoch=0.ckpt", on_change=on_change)
    expected = "different settings" if on_change == "raise" else "type was 'SGDW' and is 'AdamW'"
    assert expected in str(caught.value)
