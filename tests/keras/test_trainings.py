"""What belongs to a training: the memory of a callback that has several, base values, and the optimizer it drives."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from samestep import SGDW, AdamW, LinearDecay, Recipe, StepDecay, epochs
from samestep.keras import (
    EpochGatedDecay,
    HyperparameterScheduler,
    LearningRateScheduler,
    ReduceOnPlateau,
    TraceRecorder,
    build_optimizer,
)

from .tiny_training import probe

X, Y = np.ones((2, 2), "float32"), np.zeros((2, 1), "float32")
FALLING, RISING = [6.0, 5.0, 4.0, 3.0, 2.0, 1.0], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
HALVING = Recipe(learning_rate=StepDecay(0.5, every=epochs(1)))
SECOND = (
    "{}: found another training with this callback, which already drives one that has not ended; give each training "
    "callbacks of its own."
)


class Scores(keras.callbacks.Callback):
    """Gives each epoch a score, whatever the model does."""

    def __init__(self, scores: list[float]) -> None:
        super().__init__()
        self.scores = scores

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs["score"] = self.scores[epoch]


def model_of(build: str = "spec", rate: float = 1.0) -> keras.Model:
    """A model that is not compiled by the backend, which would take longer than its updates."""
    model = probe(None)
    optimizer = build_optimizer(SGDW(rate), model) if build == "spec" else keras.optimizers.SGD(rate)
    model.compile(optimizer, loss="mse", run_eagerly=True)
    return model


def fit(model: keras.Model, *callbacks: Any, begin: int = 0, end: int = 3) -> list[float]:
    """The learning rate that each epoch logged."""
    options: dict[str, Any] = {"initial_epoch": begin, "epochs": end, "batch_size": 1, "verbose": 0}
    return model.fit(X, Y, callbacks=list(callbacks), **options).history.get("learning_rate", [])


@pytest.mark.parametrize("build", ["spec", "stock"])
@pytest.mark.parametrize("alone", [True, False], ids=["plateau", "plateau and schedule"])
def test_scores_belong_to_the_model_that_had_them(alone: bool, build: str) -> None:
    beside = [] if alone else [EpochGatedDecay(1.0, start_epoch=0)]
    reduce = ReduceOnPlateau("score", factor=0.5, patience=0)
    first, second = model_of(build), model_of(build)
    assert fit(first, reduce, *beside, Scores(FALLING)) == [1.0] * 3
    assert fit(second, reduce, *beside, Scores(RISING)) == [1.0, 1.0, 0.5]
    assert reduce.scores == dict(enumerate(RISING[:3]))
    assert fit(first, reduce, *beside, Scores(FALLING), begin=3, end=6) == [1.0] * 3
    assert reduce.scores == dict(enumerate(FALLING))
    assert fit(second, reduce, *beside, Scores(RISING), begin=3, end=5) == [0.25, 0.125]
    assert fit(first, reduce, *beside, Scores(RISING)) == [1.0, 1.0, 0.5]


DRIVERS: dict[str, Callable[[], Any]] = {
    "HyperparameterScheduler": lambda: HyperparameterScheduler(HALVING),
    "EpochGatedDecay": lambda: EpochGatedDecay(0.5, start_epoch=1),
    "LearningRateScheduler": lambda: LearningRateScheduler(lambda epoch, rate: rate * 0.5 if epoch else rate),
    "ReduceOnPlateau": lambda: ReduceOnPlateau("loss"),
    "TraceRecorder": lambda: TraceRecorder(),
}


class Nesting(keras.callbacks.Callback):
    """Trains another model, or the same one, with a callback of the outer training."""

    def __init__(self, hook: str, callback: Any, same: bool = False, swallows: bool = False) -> None:
        super().__init__()
        self.callback, self.same, self.swallows, self.refusals = callback, same, swallows, list[str]()
        setattr(self, hook, self.nest)

    def nest(self, *_: Any, **__: Any) -> None:
        model = self.model if self.same else model_of()
        try:
            fit(model, self.callback, end=1)
        except ValueError as error:
            assert self.same or not int(model.optimizer.iterations)
            self.refusals.append(str(error))
            if not self.swallows:
                raise


@pytest.mark.parametrize(
    ("driver", "hook", "same"),
    [
        *((driver, "on_epoch_begin", False) for driver in DRIVERS),
        *(("EpochGatedDecay", hook, True) for hook in ("on_train_begin", "on_train_batch_end", "on_epoch_end")),
        ("EpochGatedDecay", "on_epoch_end", False),
    ],
)
def test_a_training_within_another_with_the_same_callback_is_refused(driver: str, hook: str, same: bool) -> None:
    callback = DRIVERS[driver]()
    with pytest.raises(ValueError, match="has not ended") as caught:
        fit(model_of(), callback, Nesting(hook, callback, same))
    assert str(caught.value) == SECOND.format(driver)
    # Nothing of it stays.
    assert len(fit(model_of(), callback, *([DRIVERS["EpochGatedDecay"]()] if driver == "TraceRecorder" else []))) == 3


@pytest.mark.parametrize("build", ["spec", "stock"])
def test_the_outer_training_goes_on_unharmed(build: str) -> None:
    callback = HyperparameterScheduler(HALVING, verify=True)
    nesting = Nesting("on_epoch_begin", callback, swallows=True)
    assert fit(model_of(build), callback, nesting) == [1.0, 0.5, 0.25]
    assert nesting.refusals == [SECOND.format("HyperparameterScheduler")] * 3


def test_loops_of_two_models_that_take_turns_are_refused() -> None:
    callback = EpochGatedDecay(0.5, start_epoch=1)
    every = []
    for _ in range(2):
        model = model_of()
        every.append(keras.callbacks.CallbackList([callback], model=model, epochs=3, steps=2))
        every[-1].on_train_begin()
    with pytest.raises(ValueError, match="has not ended") as caught:
        every[0].on_epoch_begin(0)
    assert str(caught.value) == SECOND.format("EpochGatedDecay")


class Writing(keras.callbacks.Callback):
    def on_train_begin(self, logs: Any = None) -> None:
        self.model.optimizer.learning_rate = 0.25


def test_a_learning_rate_written_when_training_begins_is_the_base_value_or_refused() -> None:
    ours = EpochGatedDecay(0.5, start_epoch=1)
    assert fit(model_of("stock"), Writing(), ours) == [0.25, 0.125, 0.0625]
    with pytest.raises(ValueError, match=r"^EpochGatedDecay: found learning_rate = 0\.25 at epoch 0, update 0, but "):
        fit(model_of("stock"), ours, Writing())


class Recompiling(keras.callbacks.Callback):
    """Replaces the optimizer in the second epoch."""

    def __init__(self, hook: str, build: str) -> None:
        super().__init__()
        self.build, self.epoch = build, 0
        setattr(self, hook, self.replace)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch

    def replace(self, number: int, logs: Any = None) -> None:
        if max(self.epoch, number if self.on_epoch_begin == self.replace else 0) != 1:
            return
        new = model_of(self.build).optimizer if self.build == "stock" else build_optimizer(SGDW(1.0), self.model)
        new.build(self.model.trainable_variables)
        self.model.compile(new, loss="mse", run_eagerly=True)
        self.model.make_train_function(force=True)


@pytest.mark.parametrize("listed_first", [True, False])
@pytest.mark.parametrize(
    ("driver", "hook", "build"),
    [
        ("HyperparameterScheduler", "on_epoch_begin", "spec"),
        ("HyperparameterScheduler", "on_train_batch_end", "stock"),
        ("EpochGatedDecay", "on_epoch_end", "stock"),
        ("TraceRecorder", "on_epoch_begin", "spec"),
    ],
)
def test_an_optimizer_that_is_replaced_during_training_is_refused(
    driver: str, hook: str, build: str, listed_first: bool
) -> None:
    if keras.backend.backend() == "jax" and hook == "on_train_batch_end":
        return  # jax keeps its state outside of the model until the epoch ends, and Keras fails by itself
    callbacks = [Recompiling(hook, build), DRIVERS[driver]()]
    epoch = 2 if hook == "on_epoch_end" else 1
    with pytest.raises(ValueError, match="found another optimizer") as caught:
        fit(model_of(build), *(callbacks if listed_first else reversed(callbacks)))
    assert str(caught.value) == (
        f"{driver}: found another optimizer in epoch {epoch} than the one that training started with; end the "
        f"training, and start a new one with the other optimizer."
    )


def test_compiling_again_with_the_same_optimizer_is_no_replacement() -> None:
    class Again(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.model.compile(self.model.optimizer, loss="mse", run_eagerly=True)
            self.model.make_train_function(force=True)

    assert fit(model_of(), EpochGatedDecay(0.5, start_epoch=1), Again()) == [1.0, 0.5, 0.25]


@pytest.fixture
def _no_warning_of_base_values() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("error", ".*base values")
        yield


def saved(folder: Path, *callbacks: Any, rate: float = 0.8) -> Path:
    """Weights and state after two epochs."""
    model = model_of("spec", rate)
    fit(model, *callbacks, end=2)
    model.save_weights(folder / "a.weights.h5")
    return folder / "a.weights.h5"


def loaded(path: Path, rate: float) -> keras.Model:
    model = model_of("spec", rate)
    model.optimizer.build(model.trainable_variables)
    model.load_weights(path)
    return model


@pytest.mark.parametrize("driver", ["EpochGatedDecay", "LearningRateScheduler", "HyperparameterScheduler"])
def test_another_base_value_than_that_of_the_checkpoint_is_a_change(driver: str, tmp_path: Path) -> None:
    path = saved(tmp_path, DRIVERS[driver]())
    found = (
        f"{driver}: found a checkpoint (epoch 2, update 0) that was trained from different base values: "
        f"learning_rate was 0.8 and is 0.4; "
    )
    assert fit(loaded(path, 0.8), DRIVERS[driver](), begin=2) == [pytest.approx(0.2, 1e-6)]
    if driver == "HyperparameterScheduler":
        with pytest.raises(ValueError, match="different base values") as caught:
            fit(loaded(path, 0.4), DRIVERS[driver](), begin=2)
        assert str(caught.value) == (
            f"{found}give the optimizer those it was trained from, or write on_change='use_new' or 'use_saved'."
        )
        for on_change, rate in (("use_new", 0.1), ("use_saved", 0.2)):
            model, callback = loaded(path, 0.4), HyperparameterScheduler(HALVING, on_change=on_change)  # type: ignore[arg-type]
            assert fit(model, callback, begin=2) == [pytest.approx(rate, 1e-6)]
            model.save_weights(path)
            again = loaded(path, 4 * rate)
            assert fit(again, DRIVERS[driver](), begin=3, end=4) == [pytest.approx(rate / 2, 1e-6)]
            path = saved(tmp_path, DRIVERS[driver]())
        return
    with pytest.warns(UserWarning, match="different base values") as warned:
        assert fit(loaded(path, 0.4), DRIVERS[driver](), begin=2) == [pytest.approx(0.1, 1e-6)]
    assert [str(each.message) for each in warned if "base values" in str(each.message)] == [
        f"{found}the new ones are used."
    ]


def test_a_loaded_optimizer_of_keras_has_no_base_value(tmp_path: Path) -> None:
    model = model_of("stock", 0.8)
    fit(model, EpochGatedDecay(0.5, start_epoch=1), end=2)
    model.save(tmp_path / "a.keras")
    again = keras.models.load_model(tmp_path / "a.keras")
    for driver, remedy in (("EpochGatedDecay", "give base=, or build"), ("HyperparameterScheduler", "build")):
        with pytest.raises(ValueError, match="learning rate before any decay") as caught:
            fit(again, DRIVERS[driver](), begin=2)
        assert str(caught.value).endswith(f"is unknown; {remedy} a fresh optimizer.")
    assert fit(again, EpochGatedDecay(0.5, start_epoch=1, base=0.8), begin=2) == [pytest.approx(0.2, 1e-6)]


def test_a_fit_from_epoch_0_after_loading_is_told_once(tmp_path: Path) -> None:
    drivers = [DRIVERS["EpochGatedDecay"](), HyperparameterScheduler(Recipe(weight_decay=LinearDecay("9 epochs")))]
    model = model_of()
    spec = AdamW(0.1, 0.1)
    model.compile(build_optimizer(spec, model), loss="mse", run_eagerly=True)
    fit(model, *drivers, end=2)
    model.save(tmp_path / "a.keras")
    again = keras.models.load_model(tmp_path / "a.keras")
    again.run_eagerly = True
    with pytest.warns(UserWarning, match="found an optimizer loaded after 2 epochs") as warned:
        fit(again, *drivers, end=1)
    assert len([each for each in warned if "loaded after 2 epochs" in str(each.message)]) == 1


def test_a_refused_fit_leaves_no_scores_behind() -> None:
    reduce, model = ReduceOnPlateau("score", factor=0.5, patience=0), model_of()
    fit(model, reduce, EpochGatedDecay(0.5, start_epoch=1), Scores(RISING))
    again = ReduceOnPlateau("score", factor=0.5, patience=0)
    with pytest.raises(ValueError, match="above the learning rate"):
        fit(model, again, EpochGatedDecay(0.5, start_epoch=1, floor=3.0), Scores(RISING), begin=3, end=4)
    assert again.scores == {}


@pytest.mark.parametrize("first", [True, False])
def test_a_subclass_whose_hook_does_not_call_ours_is_named(first: bool) -> None:
    class Silent(EpochGatedDecay):
        def on_train_begin(self, logs: Any = None) -> None:
            return

    silent, recorder = Silent(0.5, start_epoch=1), TraceRecorder()
    if not first:
        assert fit(model_of(), recorder, silent) == [1.0, 0.5, 0.25]
        return
    with pytest.raises(ValueError, match="without a call") as caught:
        fit(model_of(), silent)
    assert str(caught.value) == (
        "Silent: found on_train_begin without a call of super().on_train_begin(...); call it first."
    )
