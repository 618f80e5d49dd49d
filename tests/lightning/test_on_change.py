"""A run of Lightning that continues with another recipe: an error, or the recipe that on_change= asks for."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from samestep import AdamW, NAdamW, ParameterRule, Recipe, StepDecay, epochs
from samestep.lightning import EpochGatedDecay, HyperparameterScheduler, LearningRateScheduler, TraceRecorder

from ..recipe_changes import CHANGES, FOUND, SPEC, STEPS, Change, stepped
from .tiny_training import Weights, data, every_epoch, every_update, fit, go_on, trained, trainer

RECIPE, OTHER, NUMBERS = Recipe(SPEC, STEPS), CHANGES["factor"].new, CHANGES["numbers"]
DAMAGED = r"^HyperparameterScheduler: found a damaged samestep state: [^\n]*; use another checkpoint\.$"


@pytest.fixture(autouse=True)
def _no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "error", "(?!.*possible mistakes)(HyperparameterScheduler|EpochGatedDecay|LearningRateScheduler)"
        )
        yield


def saved(folder: Path, *callbacks: Any, **options: Any) -> Path:
    """The checkpoint of the end of the second epoch."""
    fit(*(callbacks or [HyperparameterScheduler(RECIPE)]), every_epoch(folder), **options)
    return folder / "epoch=1.ckpt"


def refused(*callbacks: Any, **options: Any) -> str:
    """The message with which a run was refused, before its first batch and before its optimizer was loaded."""
    module = options.setdefault("module", Weights())
    with pytest.raises(ValueError, match=r"^[^\n]*[^.]\.$") as caught:
        fit(*callbacks, **options)
    assert module.batches == 0
    return str(caught.value)


def test_another_recipe_is_refused_used_or_left_for_the_saved_one(change: Change, tmp_path: Path) -> None:
    path = trained(change, tmp_path)
    with pytest.raises(ValueError, match="trained with different settings") as caught:
        go_on(change, path, "raise")
    assert str(caught.value) == change.message
    used = go_on(change, path, "use_new")
    np.testing.assert_allclose(used, stepped(change.rows("use_new")), rtol=1e-12)
    if change.readable:
        kept = go_on(change, path, "use_saved")
        np.testing.assert_allclose(kept, stepped(change.rows("use_saved")), rtol=1e-12)
        assert not np.allclose(kept, used, rtol=1e-3)
    else:
        with pytest.raises(ValueError, match="trained with different settings") as caught:
            go_on(change, path, "use_saved")
        assert str(caught.value) == change.unreadable


def test_the_same_recipe_goes_on_in_every_mode_without_a_word(change: Change, tmp_path: Path) -> None:
    path = trained(change, tmp_path)
    same = Change(change.saved, change.saved, "", (change.resolutions[0],) * 2)
    for on_change in ("raise", "use_new", "use_saved"):
        np.testing.assert_allclose(go_on(same, path, on_change), stepped(same.rows("use_saved")), rtol=1e-12)


@pytest.mark.parametrize("update", [5, 6, 7])
def test_within_an_epoch_new_numbers_are_used_from_the_next_update_on(tmp_path: Path, update: int) -> None:
    fit(HyperparameterScheduler(NUMBERS.saved), every_update(tmp_path))
    path = tmp_path / f"step={update}.ckpt"
    driver = HyperparameterScheduler(NUMBERS.new)
    assert (
        f"(epoch 1, update {update - 4}) that was trained with different settings: recipe.optimizer.learning_rate was"
        in refused(driver, path=path)
    )
    driver = HyperparameterScheduler(NUMBERS.new, on_change="use_new")
    module, _ = fit(driver, module=Weights(NUMBERS.new.optimizer), path=path, max_epochs=2)
    rows = NUMBERS.rows("use_saved")[:update] + Change(NUMBERS.new, NUMBERS.new, "").rows("use_new")[update:8]
    # Lightning begins an epoch's data anew, where they do not say themselves where they were.
    np.testing.assert_allclose(module.left, stepped(rows, update), rtol=1e-12)


def test_what_the_next_checkpoint_has_is_the_recipe_that_held(tmp_path: Path) -> None:
    path = trained(NUMBERS, tmp_path / "first")
    for on_change, held, other in (("use_new", NUMBERS.new, NUMBERS.saved), ("use_saved", NUMBERS.saved, NUMBERS.new)):
        driver = HyperparameterScheduler(NUMBERS.new, on_change=on_change)  # type: ignore[arg-type]
        again = tmp_path / on_change
        fit(driver, every_epoch(again), module=Weights(NUMBERS.new.optimizer), path=path)
        again = again / "epoch=2.ckpt"
        fit(HyperparameterScheduler(held), module=Weights(held.optimizer), path=again, max_epochs=4)
        refused(HyperparameterScheduler(other), module=Weights(other.optimizer), path=again, max_epochs=4)


def test_a_gated_decay_that_was_changed_holds_with_a_warning(tmp_path: Path) -> None:
    path = saved(tmp_path, EpochGatedDecay(0.5, start_epoch=1))
    assert fit(EpochGatedDecay(0.5, start_epoch=1), path=path)[1] == [0.125] * 4
    with pytest.warns(
        UserWarning,
        match=r"^EpochGatedDecay: .* different settings: factor was 0.5 and is 0.25.* new settings are used\.$",
    ):
        assert fit(EpochGatedDecay(0.25, start_epoch=1), path=path)[1] == [0.03125] * 4


def test_a_callback_of_another_class_is_a_change(tmp_path: Path) -> None:
    path = saved(tmp_path, EpochGatedDecay(0.25, start_epoch=1))
    message = refused(HyperparameterScheduler(RECIPE), path=path)
    assert message.startswith(f"{FOUND}: it followed a gated decay and now follows a recipe; pass ")
    assert fit(HyperparameterScheduler(RECIPE, on_change="use_new"), path=path)[1] == [0.125] * 4


def test_a_function_of_the_learning_rate_scheduler_is_not_compared(tmp_path: Path) -> None:
    path = saved(tmp_path, LearningRateScheduler(lambda epoch: 0.5))
    assert fit(LearningRateScheduler(lambda epoch: 0.25), path=path)[1] == [0.25] * 4


@pytest.mark.parametrize("on_change", ["raise", "use_new", "use_saved"])
@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (NAdamW(0.5, 0.25), "type was 'AdamW' and is 'NAdamW'"),
        (AdamW(0.5, 0.25, amsgrad=True), "amsgrad was False and is True"),
        (AdamW(0.5, 0.25, parameters=[ParameterRule(path="weights", weight_decay=0)]), "parameters was [] and is ["),
    ],
    ids=["kind", "amsgrad", "rules"],
)
def test_an_optimizer_that_cannot_take_over_the_moments_is_refused_before_it_is_loaded(
    other: Any, expected: str, on_change: Any, tmp_path: Path
) -> None:
    loaded: list[Any] = []

    class Loading(Weights):
        def configure_optimizers(self) -> Any:
            optimizer = super().configure_optimizers()
            optimizer.register_load_state_dict_pre_hook(lambda *_: loaded.append(optimizer))
            return optimizer

    path = saved(tmp_path)
    message = refused(
        HyperparameterScheduler(Recipe(other, STEPS), on_change=on_change), module=Loading(other), path=path
    )
    if on_change == "raise":
        assert message.startswith(f"{FOUND}: recipe.optimizer")
    else:
        assert f"cannot continue with the moments of the run up to epoch 2, update 0: {expected}" in message
    assert not loaded


def test_an_optimizer_of_torch_that_cannot_make_the_saved_updates_is_refused(tmp_path: Path) -> None:
    clipped = AdamW(0.5, 0.25, clipvalue=0.5)
    path = saved(tmp_path, HyperparameterScheduler(Recipe(clipped, STEPS)), module=Weights(clipped))
    fit(HyperparameterScheduler(RECIPE, on_change="use_new"), path=path)
    message = refused(HyperparameterScheduler(RECIPE, on_change="use_saved"), path=path)
    assert message == (
        f"HyperparameterScheduler: found an optimizer built from {SPEC!r}, which cannot continue with {clipped!r}; "
        f"build it with build_optimizer({clipped!r}, model)."
    )


def test_two_callbacks_of_one_optimizer_are_compared_each_with_its_own(tmp_path: Path) -> None:
    def drivers(rate: float, decay: float, **options: Any) -> list[Any]:
        steps = [StepDecay(factor, every=epochs(1)) for factor in (rate, decay)]
        recipes = Recipe(learning_rate=steps[0]), Recipe(weight_decay=steps[1])
        return [HyperparameterScheduler(recipe, **options) for recipe in recipes]

    path = saved(tmp_path, *drivers(0.5, 0.25))
    fit(*drivers(0.5, 0.25), path=path)
    assert "recipe.learning_rate.factor was 0.5 and is 0.1" in refused(*drivers(0.1, 0.25), path=path)
    message = refused(*drivers(0.5, 0.1), path=path)
    assert "recipe.weight_decay.factor was 0.25 and is 0.1" in message
    assert "learning_rate" not in message
    assert fit(*drivers(0.1, 0.1, on_change="use_saved"), path=path)[1] == [0.125] * 4


@pytest.mark.parametrize("recorder_first", [True, False])
def test_a_checkpoint_that_is_saved_after_the_training_has_the_recipe_too(tmp_path: Path, recorder_first: bool) -> None:
    callbacks = [HyperparameterScheduler(RECIPE), TraceRecorder()]
    fitted = trainer(*(reversed(callbacks) if recorder_first else callbacks))
    fitted.fit(Weights(), data())
    fitted.save_checkpoint(tmp_path / "after.ckpt")
    path = tmp_path / "after.ckpt"
    fit(HyperparameterScheduler(RECIPE), path=path, max_epochs=5)
    assert "(epoch 3, update 0)" in refused(HyperparameterScheduler(OTHER), path=path, max_epochs=5)


def test_a_recorder_alone_leaves_a_checkpoint_that_any_recipe_goes_on_from(tmp_path: Path) -> None:
    path = saved(tmp_path, TraceRecorder())
    assert torch.load(path, weights_only=True)["samestep"]["optimizers"] == {"0": {"update": 4, "drivers": []}}
    assert fit(HyperparameterScheduler(OTHER), path=path)[1] == pytest.approx([0.005] * 4)


def test_a_callback_is_not_changed_between_two_fits_and_the_second_one_continues_the_first() -> None:
    driver = HyperparameterScheduler(RECIPE)
    fitted, module = trainer(driver), Weights()
    fitted.fit(module, data())
    fitted.fit_loop.max_epochs = 4
    with pytest.raises(
        AttributeError, match=r"^HyperparameterScheduler: found recipe set to .*; arguments are read-only"
    ):
        driver.recipe = OTHER
    fitted.fit(module, data())
    assert module.batches == 16


def test_a_callback_is_used_for_two_models_which_have_nothing_to_do_with_each_other(tmp_path: Path) -> None:
    driver = HyperparameterScheduler(RECIPE)
    path = saved(tmp_path, driver)
    assert fit(driver)[1][::4] == [0.5, 0.25, 0.125]
    assert fit(driver, path=path)[1] == [0.125] * 4


@pytest.mark.parametrize("fail_at", [2, 6])
def test_after_a_fit_that_failed_the_next_one_goes_by_its_own_recipe_or_from_a_checkpoint(
    tmp_path: Path, fail_at: int
) -> None:
    driver, module = HyperparameterScheduler(RECIPE), Weights()
    module.fail_at = fail_at
    with pytest.raises(RuntimeError, match="own failure"):
        fit(driver, every_update(tmp_path), module=module)
    path = tmp_path / f"step={fail_at}.ckpt"
    assert len(fit(driver, path=path)[1]) == 12 - fail_at
    assert "recipe.learning_rate.factor was 0.5 and is 0.1" in refused(HyperparameterScheduler(OTHER), path=path)
    assert len(fit(HyperparameterScheduler(OTHER))[1]) == 12


@pytest.mark.parametrize("other", [OTHER, Recipe(NAdamW(0.5, 0.25), STEPS)], ids=["recipe", "kind"])
def test_a_checkpoint_is_tested_whatever_it_was_trained_by(tmp_path: Path, other: Recipe) -> None:
    path = saved(tmp_path)
    trainer(HyperparameterScheduler(other), TraceRecorder()).test(Weights(), data(), ckpt_path=str(path), verbose=False)


def damaged(path: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["samestep"] = change(checkpoint["samestep"])
    torch.save(checkpoint, path.with_name("damaged.ckpt"))
    return path.with_name("damaged.ckpt")


FLIPS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "epoch": lambda state: {**state, "epoch": state["epoch"] ^ 1},
    "update": lambda state: json.loads(json.dumps(state).replace('"update": 4', '"update": 5')),
    "factor": lambda state: json.loads(json.dumps(state).replace('"factor": 0.5', '"factor": 0.25')),
    "length": lambda state: json.loads(json.dumps(state).replace('"epochs": 3', '"epochs": 7')),
    "digest": lambda state: {**state, "digest": state["digest"].swapcase()},
    "field": lambda state: {name: value for name, value in state.items() if name != "optimizers"},
    "none": lambda state: None,
    "text": lambda state: json.dumps(state),
}


@pytest.mark.parametrize("flip", FLIPS)
@pytest.mark.parametrize("on_change", ["raise", "use_saved"])
def test_a_damaged_state_is_refused_before_the_optimizer_is_loaded(flip: str, on_change: Any, tmp_path: Path) -> None:
    path = damaged(saved(tmp_path), FLIPS[flip])
    driver = HyperparameterScheduler(RECIPE, on_change=on_change)
    with pytest.raises(ValueError, match=DAMAGED):
        fit(driver, path=path)
    assert driver.recipe == RECIPE
    assert len(fit(driver)[1]) == 12


def test_a_state_of_a_newer_version_is_refused_as_such(tmp_path: Path) -> None:
    path = damaged(saved(tmp_path), lambda state: {"version": 4, "anything": state})
    assert refused(HyperparameterScheduler(RECIPE), path=path) == (
        "HyperparameterScheduler: found a samestep state of version 4; this samestep reads versions up to 3: upgrade "
        "samestep."
    )
