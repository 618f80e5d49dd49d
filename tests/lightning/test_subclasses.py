"""Callbacks that are derived from ours, with a constructor of their own or none, train and resume."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from samestep import Constant, Recipe, Schedule, StepDecay, Table, Ticks, epochs
from samestep.core.schedules.ticks import Curve
from samestep.lightning import EpochGatedDecay, HyperparameterScheduler, ReduceOnPlateau

from .tiny_training import AfterEveryBatch, Run, Scored, train

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


def sgd(module: Any) -> Any:
    return torch.optim.SGD(module.parameters(), lr=1.0)


def test_a_plateau_with_a_constructor_of_its_own_reduces_and_resumes(tmp_path: Path) -> None:
    def reducing(*callbacks: Any, **options: Any) -> Run:
        module = Scored(sgd, [1.0, 1.0, 1.0, 1.0], "validation")
        options |= {"enable_checkpointing": True, "epochs": 4, "batches": 2}
        return train(None, *callbacks, module=module, **options)

    saver = pl.callbacks.ModelCheckpoint(tmp_path, "{epoch}", save_top_k=-1)
    assert reducing(Patient(), saver).of_each_epoch() == [1.0, 1.0, 0.5, 0.25]
    assert reducing(Patient(), fit={"ckpt_path": tmp_path / "epoch=2.ckpt"}).learning_rates() == [0.25, 0.25]


@pytest.mark.parametrize("make", [Halving, lambda: Gated(1)], ids=["mapping", "gated"])
def test_a_constructor_of_its_own_is_not_called_again(make: Any, tmp_path: Path) -> None:
    saver = AfterEveryBatch(tmp_path)
    run = train(sgd, make(), saver)
    assert run.of_each_epoch() == [1.0, 0.5, 0.25]
    again = train(sgd, make(), fit={"ckpt_path": saver.path(7)})
    assert again.learning_rates() == run.learning_rates()[7:]


@pytest.mark.parametrize(("saved", "resumed"), [(HyperparameterScheduler, Named), (Named, HyperparameterScheduler)])
def test_a_subclass_that_changes_nothing_is_no_change(saved: Any, resumed: Any, tmp_path: Path) -> None:
    saver = AfterEveryBatch(tmp_path)
    run = train(sgd, saved(HALVING), saver)
    again = train(sgd, resumed(HALVING), fit={"ckpt_path": saver.path(7)})
    assert again.learning_rates() == run.learning_rates()[7:]
    with pytest.raises(ValueError, match=rf"^{resumed.__name__}: found a checkpoint .* different settings"):
        train(sgd, resumed(Recipe(learning_rate=Constant(0.25))), fit={"ckpt_path": saver.path(7)})


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
    run = train(sgd, HyperparameterScheduler(recipe), saver)
    assert run.of_each_epoch() == [0.25, 0.125, 0.0625]
    again = train(sgd, HyperparameterScheduler(recipe), fit={"ckpt_path": saver.path(7)})
    assert again.learning_rates() == run.learning_rates()[7:]
    other = Recipe(learning_rate=own(0.5) * Table([1.0, 0.5, 0.25], every=epochs(1)))
    saved = train(sgd, HyperparameterScheduler(other, on_change="use_saved"), fit={"ckpt_path": saver.path(7)})
    assert saved.learning_rates() == run.learning_rates()[7:]
