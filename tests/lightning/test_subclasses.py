"""Subclasses of samestep's callbacks train and resume, whatever they override or add."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from samestep import Constant, Recipe, Schedule, StepDecay, Table, Ticks, epochs
from samestep.core.schedules.ticks import Curve
from samestep.lightning import EpochGatedDecay, HyperparameterScheduler, ReduceOnPlateau

from .tiny_training import AfterEveryBatch, Run, Scored, refusal, train

HALVING = Recipe(learning_rate=StepDecay(0.5, every=epochs(1)))


class Patient(ReduceOnPlateau):
    """With arguments of its own."""

    def __init__(self, patience: int = 0) -> None:
        super().__init__("val_loss", factor=0.5, patience=patience)


class Halving(HyperparameterScheduler):
    """With a mapping, and without arguments."""

    def __init__(self) -> None:
        super().__init__({0: HALVING})


class Named(HyperparameterScheduler):
    """With nothing of its own."""


class Gated(EpochGatedDecay):
    """With an argument fewer."""

    def __init__(self, start: int) -> None:
        super().__init__(0.5, start_epoch=start)


class Counting(HyperparameterScheduler):
    """With an attribute, a property and a hook of its own."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe)
        self.ended: list[int] = []

    @property
    def last(self) -> int:
        """The last epoch that has ended."""
        return self.ended[-1]

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        super().on_train_epoch_end(trainer, pl_module)
        self.ended.append(trainer.current_epoch)


class Watching(ReduceOnPlateau):
    """Says after each epoch what it has seen."""

    def __init__(self) -> None:
        super().__init__("val_loss", factor=0.5, patience=0)
        self.seen: list[dict[int, float]] = []

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        super().on_train_epoch_end(trainer, pl_module)
        self.seen.append(dict(self.scores))


def plain(module: Any) -> Any:
    """Can be pickled: Lightning gives a callback the module's `log`, and with it the module."""
    return torch.optim.SGD(module.parameters(), lr=1.0)


def test_a_plateau_with_a_constructor_of_its_own_reduces_and_resumes(tmp_path: Path) -> None:
    def reducing(*callbacks: Any, **options: Any) -> Run:
        module = Scored(plain, [1.0, 1.0, 1.0, 1.0], "validation")
        return train(None, *callbacks, module=module, epochs=4, batches=2, **options)

    saver = pl.callbacks.ModelCheckpoint(tmp_path, "{epoch}", save_top_k=-1)
    assert reducing(Patient(), saver, enable_checkpointing=True).of_each_epoch() == [1.0, 1.0, 0.5, 0.25]
    assert reducing(Patient(), fit={"ckpt_path": tmp_path / "epoch=2.ckpt"}).learning_rates() == [0.25, 0.25]


@pytest.mark.parametrize("make", [Halving, lambda: Gated(1)], ids=["mapping", "gated"])
def test_a_constructor_of_its_own_is_not_called_again(make: Any, tmp_path: Path) -> None:
    saver = AfterEveryBatch(tmp_path)
    run = train(plain, make(), saver)
    assert run.of_each_epoch() == [1.0, 0.5, 0.25]
    again = train(plain, make(), fit={"ckpt_path": saver.path(7)})
    assert again.learning_rates() == run.learning_rates()[7:]


@pytest.mark.parametrize(("saved", "resumed"), [(HyperparameterScheduler, Named), (Named, HyperparameterScheduler)])
def test_a_subclass_that_changes_nothing_is_no_change(saved: Any, resumed: Any, tmp_path: Path) -> None:
    saver = AfterEveryBatch(tmp_path)
    run = train(plain, saved(HALVING), saver)
    again = train(plain, resumed(HALVING), fit={"ckpt_path": saver.path(7)})
    assert again.learning_rates() == run.learning_rates()[7:]
    with pytest.raises(ValueError, match=rf"^{resumed.__name__}: found a checkpoint .* different settings"):
        train(plain, resumed(Recipe(learning_rate=Constant(0.25))), fit={"ckpt_path": saver.path(7)})


@pytest.mark.parametrize(("saved", "resumed"), [(EpochGatedDecay, Gated), (Gated, EpochGatedDecay)])
def test_a_gated_decay_goes_on_from_a_checkpoint_of_its_subclass_and_of_its_base(
    saved: Any, resumed: Any, tmp_path: Path
) -> None:
    def make(kind: Any) -> Any:
        return Gated(1) if kind is Gated else EpochGatedDecay(0.5, start_epoch=1)

    saver = AfterEveryBatch(tmp_path)
    run = train(plain, make(saved), saver)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "(Gated|EpochGatedDecay)(?!.*possible mistakes)")
        again = train(plain, make(resumed), fit={"ckpt_path": saver.path(7)})
    assert again.learning_rates() == run.learning_rates()[7:]


def test_a_hook_of_its_own_is_called_and_what_it_adds_stays_its_own(tmp_path: Path) -> None:
    callback, saver = Counting(HALVING), AfterEveryBatch(tmp_path)
    run = train(plain, callback, saver)
    assert run.of_each_epoch() == [1.0, 0.5, 0.25]
    assert (callback.ended, callback.last) == ([0, 1, 2], 2)
    again = Counting(HALVING)
    resumed = train(plain, again, fit={"ckpt_path": saver.path(7)})
    assert resumed.learning_rates() == run.learning_rates()[7:]
    assert again.ended == [1, 2]


def test_an_error_in_a_property_of_its_own_is_the_one_that_is_raised() -> None:
    class Misspelt(HyperparameterScheduler):
        @property
        def rate(self) -> float:
            return self.recipe.learningrate  # type: ignore[no-any-return]

    with pytest.raises(AttributeError, match=r"^'Recipe' object has no attribute 'learningrate'"):
        _ = Misspelt(HALVING).rate
    with pytest.raises(IndexError):
        _ = Counting(HALVING).last
    with pytest.raises(AttributeError, match=r"^'Counting' object has no attribute 'first'"):
        _ = Counting(HALVING).first


def test_a_plateau_that_overrides_a_hook_has_the_score_of_the_epoch_in_it() -> None:
    callback = Watching()
    run = train(None, callback, module=Scored(plain, [1.0, 1.0, 0.5]), batches=2)
    assert callback.seen == [{0: 1.0}, {0: 1.0, 1: 1.0}, {0: 1.0, 1: 1.0, 2: 0.5}]
    assert run.of_each_epoch() == [1.0, 1.0, 0.5]


COPIES: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda callback: pickle.loads(pickle.dumps(callback)),
}
MAKE: dict[str, Callable[[], Any]] = {
    "Counting": lambda: Counting(HALVING),
    "Halving": Halving,
    "Gated": lambda: Gated(1),
    "Named": lambda: Named(HALVING),
}


@pytest.mark.parametrize("copied", COPIES)
@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("name", MAKE)
def test_a_copy_of_a_subclass_is_one_and_trains(name: str, trained: bool, copied: str) -> None:
    callback = MAKE[name]()
    if trained:
        train(plain, callback)
    again = COPIES[copied](callback)
    assert type(again) is type(callback)
    assert repr(again) == repr(callback)
    assert getattr(again, "ended", None) == getattr(callback, "ended", None)
    assert train(plain, again).of_each_epoch() == [1.0, 0.5, 0.25]


def test_a_subclass_with_a_constructor_of_its_own_continues_with_what_the_checkpoint_has(tmp_path: Path) -> None:
    class Steep(HyperparameterScheduler):
        def __init__(self, *, factor: float, **options: Any) -> None:
            super().__init__(Recipe(learning_rate=StepDecay(factor, every=epochs(1))), **options)

    saver = AfterEveryBatch(tmp_path)
    run = train(plain, Steep(factor=0.5), saver)
    fit = {"ckpt_path": saver.path(7)}
    message = refusal(plain, Steep(factor=0.25), weights=1, fit=fit)
    assert message.startswith("Steep: found a checkpoint (epoch 1, update 2) that was trained with different settings")
    saved = train(plain, Steep(factor=0.25, on_change="use_saved"), fit=fit)
    assert saved.learning_rates() == run.learning_rates()[7:]
    new = train(plain, Steep(factor=0.25, on_change="use_new"), fit=fit)
    assert new.learning_rates() == [0.25] * 3 + [0.0625] * 5


def _table() -> type[Schedule]:
    @dataclass(frozen=True, repr=False)
    class Table(Schedule):
        """The user's own, whose name is one of ours."""

        low: float

        def curve(self, ticks: Ticks) -> Curve:
            return lambda t: self.low

    return Table


def test_a_shape_that_is_named_like_one_of_ours_is_saved_and_resumed(tmp_path: Path) -> None:
    own: Any = _table()
    saver = AfterEveryBatch(tmp_path)
    recipe = Recipe(learning_rate=own(0.25) * Table([1.0, 0.5, 0.25], every=epochs(1)))
    run = train(plain, HyperparameterScheduler(recipe), saver)
    assert run.of_each_epoch() == [0.25, 0.125, 0.0625]
    again = train(plain, HyperparameterScheduler(recipe), fit={"ckpt_path": saver.path(7)})
    assert again.learning_rates() == run.learning_rates()[7:]
    other = Recipe(learning_rate=own(0.5) * Table([1.0, 0.5, 0.25], every=epochs(1)))
    saved = train(plain, HyperparameterScheduler(other, on_change="use_saved"), fit={"ckpt_path": saver.path(7)})
    assert saved.learning_rates() == run.learning_rates()[7:]
