"""A run of Keras that goes on by another recipe than it was trained with: refused, or by the one that is asked for."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from samestep import SGDW, AdamW, NAdamW, ParameterRule, Recipe, StepDecay, epochs
from samestep.keras import (
    EpochGatedDecay,
    HyperparameterScheduler,
    LearningRateScheduler,
    TraceRecorder,
    build_optimizer,
)

from ..recipe_changes import CHANGES, FOUND, SPEC, STEPS, Change, stepped
from .tiny_training import built, every_epoch, fit, go_on, left, trained
from .versions import multi_optimizer

RECIPE, OTHER, NUMBERS = Recipe(SPEC, STEPS), CHANGES["factor"].new, CHANGES["numbers"]
TRACED = {"jit_compile": keras.backend.backend() == "jax"}
ROUNDING = 1e-5  # of some dozen operations in float32
OTHER_FACTOR = "recipe.learning_rate.factor was 0.5 and is 0.1"


@pytest.fixture(autouse=True)
def _no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "error", "(?!.*possible mistakes)(HyperparameterScheduler|EpochGatedDecay|LearningRateScheduler|.*adam)"
        )
        yield


def saved(folder: Path, *callbacks: Any) -> Path:
    """The checkpoint of the end of the second epoch."""
    fit(built(), *(callbacks or [HyperparameterScheduler(RECIPE)]), every_epoch(folder))
    return folder / "2.keras"


def refused(model: keras.Model, *callbacks: Any, **options: Any) -> str:
    """The message with which a run was refused, before its first batch."""
    before = left(model)
    with pytest.raises(ValueError, match=r"^[^\n]*[^.]\.$") as caught:
        fit(model, *callbacks, **options)
    assert np.array_equal(left(model), before)
    return str(caught.value)


def test_another_recipe_is_refused_used_or_left_for_the_saved_one(change: Change, tmp_path: Path) -> None:
    path = trained(change, tmp_path)
    with pytest.raises(ValueError, match="found a checkpoint") as caught:
        go_on(change, path, "raise")
    assert str(caught.value) == change.message
    used = go_on(change, path, "use_new")
    np.testing.assert_allclose(used, stepped(change.rows("use_new")), rtol=ROUNDING)
    if change.readable:
        kept = go_on(change, path, "use_saved")
        np.testing.assert_allclose(kept, stepped(change.rows("use_saved")), rtol=ROUNDING)
        assert not np.allclose(kept, used, rtol=1e-3)
    else:
        with pytest.raises(ValueError, match="found a checkpoint") as caught:
            go_on(change, path, "use_saved")
        assert str(caught.value) == change.unreadable


class BreakOff(keras.callbacks.Callback):
    """Fails at the start of the third epoch."""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if epoch == 2:
            raise RuntimeError("broken off")


def through_files(folder: Path, before: Any, new: Any, scheduler: Any, *drivers: Any, ending: str) -> keras.Model:
    path = folder / f"2.{ending}"
    if not path.exists():
        fit(before(), *drivers, every_epoch(folder, ending))
    model = keras.models.load_model(path) if ending == "keras" else new()
    if ending != "keras":
        model.optimizer.build(model.trainable_variables)
        model.load_weights(path)
    fit(model, scheduler, begin=2)
    return model


def through_a_backup(folder: Path, before: Any, new: Any, scheduler: Any, *drivers: Any, first: bool) -> keras.Model:
    def callbacks(path: Path, *others: Any) -> list[Any]:
        backup = keras.callbacks.BackupAndRestore(path, delete_checkpoint=False)
        return [backup, *others] if first else [*others, backup]

    if not folder.exists():
        with pytest.raises(RuntimeError, match="broken off"):
            fit(before(), *callbacks(folder, *drivers), BreakOff())
    model, copy = new(), folder.with_name(scheduler.on_change)
    shutil.copytree(folder, copy)  # what goes on writes into it
    fit(model, *callbacks(copy, scheduler))
    return model


def in_memory(folder: Path, before: Any, new: Any, scheduler: Any, *drivers: Any) -> keras.Model:
    model = before()
    fit(model, *drivers, epochs=2)
    fit(model, scheduler, begin=2)
    return model


def multi(spec: AdamW) -> keras.Model:
    model = built()
    model.compile(multi_optimizer(build_optimizer(spec, model)), model.loss, **TRACED)
    return model


def traced(spec: AdamW) -> keras.Model:
    return built(spec, **TRACED)


def half(spec: AdamW) -> keras.Model:
    model = built(spec, policy="mixed_float16", **TRACED)
    model.optimizer.build(model.trainable_variables)
    model.optimizer.dynamic_scale.assign(64.0)  # with Keras' own, of 32768, the first updates would be skipped
    return model


WAYS: dict[str, tuple[Callable[..., keras.Model], Callable[..., keras.Model], dict[str, Any]]] = {
    "load_model": (traced, through_files, {"ending": "keras"}),
    "load_weights": (traced, through_files, {"ending": "weights.h5"}),
    "a backup before": (traced, through_a_backup, {"first": True}),
    "a backup after": (traced, through_a_backup, {"first": False}),
    "memory": (traced, in_memory, {}),
    "mixed precision": (half, through_files, {"ending": "keras"}),
    "MultiOptimizer": (multi, through_files, {"ending": "keras"}),
}


@pytest.mark.parametrize("way", WAYS)
def test_it_holds_however_the_optimizer_comes_to_go_on(way: str, tmp_path: Path) -> None:
    make, through, options = WAYS[way]
    driver = HyperparameterScheduler(NUMBERS.saved)

    def going(on_change: Any) -> keras.Model:
        new = HyperparameterScheduler(NUMBERS.new, on_change=on_change)
        models = [lambda spec=each: make(spec) for each in NUMBERS.specs()]
        return through(tmp_path / "kept", *models, new, driver, **options)

    with pytest.raises(ValueError, match="HyperparameterScheduler: found") as caught:
        going("raise")
    assert str(caught.value) == NUMBERS.message
    for on_change in ("use_new", "use_saved"):
        np.testing.assert_allclose(left(going(on_change)), stepped(NUMBERS.rows(on_change)), rtol=ROUNDING)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_step_that_was_traced_with_the_former_numbers_uses_the_new_ones(jit_compile: bool) -> None:
    # On torch it takes most of a minute, and a jax without it traces nothing.
    jit_compile = {"torch": False, "jax": True}.get(keras.backend.backend(), jit_compile)
    model = built(NUMBERS.saved.optimizer, jit_compile=jit_compile)
    fit(model, HyperparameterScheduler(NUMBERS.saved), epochs=2)
    fit(model, HyperparameterScheduler(NUMBERS.new, on_change="use_new"), begin=2)
    np.testing.assert_allclose(left(model), stepped(NUMBERS.rows("use_new")), rtol=ROUNDING)
    assert model.optimizer.get_config()["spec"] == NUMBERS.new.optimizer.to_dict()  # type: ignore[union-attr]


def test_what_the_next_checkpoint_has_is_the_recipe_that_held(tmp_path: Path) -> None:
    path = trained(NUMBERS, tmp_path / "first")
    for on_change, held, other in (("use_new", NUMBERS.new, NUMBERS.saved), ("use_saved", NUMBERS.saved, NUMBERS.new)):
        model = keras.models.load_model(path)
        driver = HyperparameterScheduler(NUMBERS.new, on_change=on_change)  # type: ignore[arg-type]
        fit(model, driver, begin=2)
        model.save(tmp_path / "again.keras")
        model = keras.models.load_model(tmp_path / "again.keras")
        assert "a checkpoint (epoch 3, update 0) that was" in refused(
            model, HyperparameterScheduler(other), begin=3, epochs=4
        )
        fit(model, HyperparameterScheduler(held), begin=3, epochs=4)


def test_a_second_fit_that_was_refused_is_refused_again() -> None:
    model = built()
    fit(model, HyperparameterScheduler(RECIPE), epochs=2)
    for _ in range(3):
        assert OTHER_FACTOR in refused(model, HyperparameterScheduler(OTHER), begin=2)
    rates = fit(model, HyperparameterScheduler(RECIPE), begin=2)
    assert rates == [0.125] * 4


def test_a_second_fit_that_begins_again_has_a_recipe_of_its_own() -> None:
    model = built()
    fit(model, HyperparameterScheduler(RECIPE), epochs=2)
    assert fit(model, HyperparameterScheduler(OTHER), epochs=1) == [0.5] * 4
    assert "was 0.1 and is 0.5" in refused(model, HyperparameterScheduler(RECIPE), begin=1)


def test_a_loaded_optimizer_is_compared_even_where_training_begins_again(tmp_path: Path) -> None:
    path = saved(tmp_path)
    model = keras.models.load_model(path)
    assert refused(model, HyperparameterScheduler(OTHER)).startswith(f"{FOUND}: {OTHER_FACTOR}")
    with pytest.warns(
        UserWarning, match=r"loaded after 2 epochs, but training starts at epoch 0 .* initial_epoch=2 to continue\.$"
    ):
        assert fit(model, HyperparameterScheduler(RECIPE), epochs=1) == [0.5] * 4
    fit(model, HyperparameterScheduler(OTHER), epochs=1)  # it is the one in memory now
    fit(keras.models.load_model(path), HyperparameterScheduler(OTHER, on_change="use_new"), epochs=1)


def test_a_position_within_an_epoch_is_told(tmp_path: Path) -> None:
    saver = every_epoch(tmp_path, save_freq=6)
    fit(built(), HyperparameterScheduler(RECIPE), saver, epochs=2)
    model = keras.models.load_model(tmp_path / "2.keras")
    assert f"a checkpoint (epoch 1, update 2) that was trained with different settings: {OTHER_FACTOR}" in refused(
        model, HyperparameterScheduler(OTHER), begin=1
    )


def test_a_gated_decay_that_was_changed_holds_with_a_warning(tmp_path: Path) -> None:
    path = saved(tmp_path, EpochGatedDecay(0.5, start_epoch=1))
    assert fit(keras.models.load_model(path), EpochGatedDecay(0.5, start_epoch=1), begin=2) == [0.125] * 4
    with pytest.warns(
        UserWarning,
        match=r"^EpochGatedDecay: found a checkpoint .* factor was 0.5 and is 0.25.* new settings are used\.$",
    ):
        assert fit(keras.models.load_model(path), EpochGatedDecay(0.25, start_epoch=1), begin=2) == [0.03125] * 4


def test_a_callback_of_another_class_is_a_change(tmp_path: Path) -> None:
    path = saved(tmp_path, EpochGatedDecay(0.25, start_epoch=1))
    message = refused(keras.models.load_model(path), HyperparameterScheduler(RECIPE), begin=2)
    assert message.startswith(f"{FOUND}: it followed a gated decay and now follows a recipe; pass ")
    assert (
        fit(keras.models.load_model(path), HyperparameterScheduler(RECIPE, on_change="use_new"), begin=2) == [0.125] * 4
    )


def test_a_function_of_the_learning_rate_scheduler_is_not_compared(tmp_path: Path) -> None:
    path = saved(tmp_path, LearningRateScheduler(lambda epoch: 0.5))
    assert fit(keras.models.load_model(path), LearningRateScheduler(lambda epoch: 0.25), begin=2) == [0.25] * 4


def test_two_callbacks_of_one_optimizer_are_compared_each_with_its_own(tmp_path: Path) -> None:
    def drivers(rate: float, decay: float) -> list[Any]:
        steps = [StepDecay(factor, every=epochs(1)) for factor in (rate, decay)]
        return [
            HyperparameterScheduler(each) for each in (Recipe(learning_rate=steps[0]), Recipe(weight_decay=steps[1]))
        ]

    path = saved(tmp_path, *drivers(0.5, 0.25))
    model = keras.models.load_model(path)
    assert OTHER_FACTOR in refused(model, *drivers(0.1, 0.25), begin=2)
    message = refused(model, *drivers(0.5, 0.1), begin=2)
    assert "recipe.weight_decay.factor was 0.25 and is 0.1" in message
    assert "learning_rate" not in message
    fit(model, *drivers(0.5, 0.25), begin=2)


def test_a_callback_is_used_for_two_models_which_have_nothing_to_do_with_each_other() -> None:
    driver, first, second = HyperparameterScheduler(RECIPE), built(), built()
    fit(first, driver, epochs=2)
    assert fit(second, driver, epochs=1) == [0.5] * 4
    assert fit(first, driver, begin=2) == [0.125] * 4
    assert fit(second, driver, begin=1, epochs=2) == [0.25] * 4


class Restores(keras.callbacks.Callback):
    """Loads a checkpoint when the first epoch has begun."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path: Path | None = path

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if self.path is not None:
            self.model.load_weights(self.path)
            self.path = None


def test_what_another_callback_loads_as_the_first_epoch_begins_is_compared(tmp_path: Path) -> None:
    fit(built(), HyperparameterScheduler(RECIPE), every_epoch(tmp_path, "weights.h5"))
    path = tmp_path / "2.weights.h5"
    with pytest.raises(ValueError, match=r"epoch 2, update 0.*recipe\.learning_rate\.factor was 0\.5 and is 0\.1"):
        fit(built(), Restores(path), HyperparameterScheduler(OTHER), begin=2)
    saved = HyperparameterScheduler(OTHER, on_change="use_saved")
    model = built()
    assert fit(model, Restores(path), saved, begin=2) == [0.125] * 4
    assert OTHER_FACTOR in refused(model, HyperparameterScheduler(OTHER), begin=3, epochs=4)


def test_after_a_fit_that_failed_the_next_one_is_compared_where_it_goes_on() -> None:
    model = built()
    with pytest.raises(RuntimeError, match="broken off"):
        fit(model, HyperparameterScheduler(RECIPE), BreakOff())
    assert OTHER_FACTOR in refused(model, HyperparameterScheduler(OTHER), begin=2)
    assert fit(model, HyperparameterScheduler(RECIPE), begin=2) == [0.125] * 4


def test_a_recorder_alone_leaves_a_checkpoint_that_any_recipe_goes_on_from(tmp_path: Path) -> None:
    model = keras.models.load_model(saved(tmp_path, TraceRecorder()))
    assert fit(model, HyperparameterScheduler(OTHER), begin=2) == [np.float32(0.5 * 0.1 * 0.1)] * 4


def test_an_optimizer_that_cannot_take_over_the_moments_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path)
    for other in (NAdamW(0.5, 0.25), SGDW(0.5), AdamW(0.5, 0.25, amsgrad=True)):
        for on_change, told in (("raise", "with different settings"), ("use_new", "which cannot continue with")):
            model = keras.models.load_model(path)
            driver = HyperparameterScheduler(Recipe(other, STEPS), on_change=on_change)  # type: ignore[arg-type]
            message = refused(model, driver, begin=2)
            assert message.startswith("HyperparameterScheduler: found ")
            assert told in message
            assert model.optimizer.spec == SPEC


def test_a_file_without_a_state_leaves_nothing_of_the_run_in_memory(tmp_path: Path) -> None:
    model, untrained = built(), built()
    untrained.optimizer.build(untrained.trainable_variables)
    untrained.save_weights(tmp_path / "untrained.weights.h5")
    fit(model, HyperparameterScheduler(RECIPE), epochs=2)
    model.load_weights(tmp_path / "untrained.weights.h5")
    assert len(fit(model, HyperparameterScheduler(OTHER), begin=2)) == 4


RULED = Recipe(AdamW(0.5, 0.25, parameters=[ParameterRule(path="**", weight_decay=0.5)]), STEPS)


@pytest.mark.parametrize(("before", "now"), [(RECIPE, RULED), (RULED, RECIPE)], ids=["added", "removed"])
def test_parameter_rules_are_those_of_the_recipe_that_holds(before: Recipe, now: Recipe, tmp_path: Path) -> None:
    fit(built(before.optimizer), HyperparameterScheduler(before), every_epoch(tmp_path))
    for on_change, after in (("use_new", now), ("use_saved", before)):
        model = keras.models.load_model(tmp_path / "2.keras")
        fit(model, HyperparameterScheduler(now, on_change=on_change), begin=2)  # type: ignore[arg-type]
        held = (before, before, after)
        rows = [
            (spec, rate, decay * (0.5 if held[update // 4] is RULED else 1.0), momentum)
            for update, (spec, rate, decay, momentum) in enumerate(Change(RECIPE, RECIPE, "").rows("use_saved"))
        ]
        np.testing.assert_allclose(left(model), stepped(rows), rtol=ROUNDING)
