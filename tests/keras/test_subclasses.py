"""Subclasses of callbacks and of schedules that users write: they train, and they resume."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import pytest

from samestep import Recipe, Schedule, StepDecay, epochs
from samestep.keras import EpochGatedDecay, HyperparameterScheduler, LearningRateScheduler, ReduceOnPlateau

from ..recipe_changes import SPEC, STEPS
from .tiny_training import built, every_epoch, fit

HALVED = [0.5] * 4 + [0.25] * 4 + [0.125] * 4
"""The learning rates of three epochs."""
REDUCED = [0.5] * 8 + [0.25] * 4
"""Those where the first score is the best."""


class Patient(ReduceOnPlateau):
    """Has a constructor of its own, with other arguments."""

    def __init__(self, patience: int = 0) -> None:
        super().__init__("loss", mode="max", threshold=1e9, threshold_mode="abs", factor=0.5, patience=patience)


class Named(HyperparameterScheduler):
    """Changes nothing."""


class ByParts(HyperparameterScheduler):
    """Gives a mapping."""

    def __init__(self) -> None:
        super().__init__({0: Recipe(SPEC, STEPS)})


class Later(EpochGatedDecay):
    def __init__(self) -> None:
        super().__init__(0.5, start_epoch=1)


class Halving(LearningRateScheduler):
    def __init__(self) -> None:
        super().__init__(lambda epoch: 0.5 ** (epoch + 1))


OWN: list[Callable[[], keras.callbacks.Callback]] = [
    Patient,
    lambda: Named(Recipe(SPEC, STEPS)),
    ByParts,
    Later,
    Halving,
]
BASES: list[Callable[[], keras.callbacks.Callback]] = [
    lambda: ReduceOnPlateau("loss", mode="max", threshold=1e9, threshold_mode="abs", factor=0.5, patience=0),
    lambda: HyperparameterScheduler(Recipe(SPEC, STEPS)),
    lambda: HyperparameterScheduler({0: Recipe(SPEC, STEPS)}),
    lambda: EpochGatedDecay(0.5, start_epoch=1),
    lambda: LearningRateScheduler(lambda epoch: 0.5 ** (epoch + 1)),
]
IDS = ["Patient", "Named", "ByParts", "Later", "Halving"]


@pytest.mark.parametrize(("own", "base"), zip(OWN, BASES, strict=True), ids=IDS)
def test_a_subclass_with_a_constructor_of_its_own_trains_as_its_base_does(own: Any, base: Any) -> None:
    assert fit(built(), own()) == fit(built(), base()) == (REDUCED if own is Patient else HALVED)


@pytest.mark.parametrize(("own", "base"), zip(OWN, BASES, strict=True), ids=IDS)
def test_a_subclass_and_its_base_resume_from_each_other(own: Any, base: Any, tmp_path: Path) -> None:
    for before, after in ((base, own), (own, base), (own, own)):
        fit(built(), before(), every_epoch(tmp_path), epochs=2)
        assert (
            fit(keras.models.load_model(tmp_path / "2.keras"), after(), begin=2)
            == (REDUCED if own is Patient else HALVED)[8:]
        )


def test_the_arguments_of_a_subclass_are_compared() -> None:
    model = built()
    fit(model, Patient(), epochs=2)
    with pytest.raises(ValueError, match=r"^Patient: found a checkpoint .* patience was 0 and is 2; "):
        fit(model, Patient(2), begin=2)


@dataclass(frozen=True, repr=False)
class Table(Schedule):
    """eta(t) = share: a schedule of the user's own, called as one of samestep's."""

    share: float

    def curve(self, ticks: Any) -> Callable[[int], float]:
        return lambda t: self.share


def test_a_schedule_called_as_one_of_samesteps_is_saved_and_resumed(tmp_path: Path) -> None:
    recipe = Recipe(SPEC, Table(0.5) * StepDecay(0.5, every=epochs(2)))
    rates = fit(built(), HyperparameterScheduler(recipe), every_epoch(tmp_path))
    assert rates == [0.25] * 8 + [0.125] * 4
    path = tmp_path / "2.keras"
    for on_change in ("raise", "use_saved"):
        resumed = HyperparameterScheduler(recipe, on_change=on_change)  # type: ignore[arg-type]
        assert fit(keras.models.load_model(path), resumed, begin=2) == rates[8:]
    other = Recipe(SPEC, Table(0.25) * StepDecay(0.5, every=epochs(2)))
    with pytest.raises(ValueError, match=r"recipe\.learning_rate\.left\.share was 0\.5 and is 0\.25"):
        fit(keras.models.load_model(path), HyperparameterScheduler(other), begin=2)
    saved = HyperparameterScheduler(other, on_change="use_saved")
    assert fit(keras.models.load_model(path), saved, begin=2) == rates[8:]


@pytest.mark.parametrize("make", BASES, ids=IDS)
def test_a_callback_shows_its_arguments_and_no_more(make: Any) -> None:
    base = set(dir(keras.callbacks.Callback()))
    shown = sorted(name for name in dir(make()) if not name.startswith("_") and name not in base)
    assert len(shown) <= 8, shown
