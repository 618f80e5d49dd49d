"""Layers that are frozen or unfrozen after the optimizer was built: exact with a new one, refused with the old one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from samestep import SGDW, AdamW, CosineDecay, ParameterRule, Recipe, epochs
from samestep.core.recipes.float32 import float32
from samestep.core.specs.spec import Spec
from samestep.keras import EpochGatedDecay, HyperparameterScheduler, TraceRecorder, build_optimizer
from samestep.keras.parameters import parameters

BACKEND = keras.backend.backend()
RULES = [ParameterRule(role="bias", weight_decay=0, optional=True), ParameterRule(path="head/*", learning_rate=2)]
RULED = AdamW(0.01, 0.1, parameters=RULES)
X = np.random.default_rng(0).standard_normal((8, 3)).astype("float32")
Y = X.sum(axis=1, keepdims=True)
FIT: dict[str, Any] = {"x": X, "y": Y, "batch_size": 2, "shuffle": False, "verbose": 0}
REMEDY = "compile the model with a new build_optimizer(spec, model), and continue with fit(initial_epoch=...)."


def made(*frozen: str) -> keras.Model:
    layers = [keras.layers.Dense(4, activation="tanh", name="body"), keras.layers.Dense(1, name="head")]
    model = keras.Sequential([keras.Input((3,)), *layers])
    for name in frozen:
        model.get_layer(name).trainable = False
    return model


def compiled(model: keras.Model, spec: Any = RULED, eagerly: bool = True) -> keras.Model:
    """To compile a step takes longer than its few updates."""
    optimizer = build_optimizer(spec, model) if isinstance(spec, Spec) else spec
    model.compile(optimizer, loss="mse", run_eagerly=eagerly)
    return model


def freeze(model: keras.Model) -> None:
    model.trainable = False


def freeze_a_part(model: keras.Model) -> None:
    model.get_layer("body").trainable = False


def unfreeze(model: keras.Model) -> None:
    model.get_layer("body").trainable = True


def add_lora(model: keras.Model) -> None:
    model.get_layer("body").enable_lora(2)


def quantize(model: keras.Model) -> None:
    model.quantize("int8")


CHANGES: list[tuple[Callable[[keras.Model], None], tuple[str, ...], str]] = [
    (freeze_a_part, (), "'body/kernel', 'body/bias' frozen"),
    (unfreeze, ("body",), "'body/kernel', 'body/bias' trainable"),
    (add_lora, (), "trainable"),
    (quantize, (), "frozen"),
]
EACH_CHANGE = pytest.mark.parametrize(
    ("change", "frozen", "found"), CHANGES, ids=lambda each: getattr(each, "__name__", "")
)


@pytest.mark.parametrize("spec", [RULED, AdamW(0.01, 0.1), SGDW(0.1, 0.1, 0.9)], ids=["rules", "adamw", "sgdw"])
@pytest.mark.parametrize("change", [freeze, freeze_a_part, unfreeze, quantize], ids=lambda each: each.__name__)
def test_a_model_that_was_saved_after_a_change_is_loaded(change: Any, spec: Spec, tmp_path: Path) -> None:
    """As with Keras' own optimizers: its weights are, and its optimizer starts from scratch, as a warning says."""
    model = compiled(made("body") if change is unfreeze else made(), spec)
    model.fit(**FIT)
    change(model)
    model.save(tmp_path / "model.keras")
    with pytest.warns(UserWarning, match=r"with \d trainable variables, which are not the \d of now: it starts from"):
        loaded = keras.models.load_model(tmp_path / "model.keras")
    assert np.array_equal(ops.convert_to_numpy(loaded(X)), ops.convert_to_numpy(model(X)))
    if change is freeze_a_part:
        assert len(loaded.optimizer._trainable_variables) == 2
        callback, before = TraceRecorder(), loaded.get_weights()
        if spec is RULED:  # of which variable its multipliers are is unknown
            refusal = r"found 4 saved multipliers and 2 trainable [^\n]*\.(\n|$)"
            with pytest.raises(ValueError, match=refusal):
                loaded.fit(**FIT, callbacks=[callback])
            assert all(map(np.array_equal, loaded.get_weights(), before))
            with pytest.raises(ValueError, match=refusal):
                loaded.fit(**FIT)
        else:
            loaded.fit(**FIT, callbacks=[callback])
            assert len(callback.trace.entries) == 4


def test_as_many_other_variables_are_noticed_by_their_shapes(tmp_path: Path) -> None:
    model = compiled(made("body"), AdamW(0.01, 0.1))
    model.fit(**FIT)
    unfreeze(model)
    model.get_layer("head").trainable = False
    model.save(tmp_path / "model.keras")
    with pytest.warns(UserWarning, match="with 2 trainable variables, which are not the 2 of now: it starts from"):
        loaded = keras.models.load_model(tmp_path / "model.keras")
    assert int(ops.convert_to_numpy(loaded.optimizer.iterations)) == 0
    loaded.fit(**FIT, callbacks=[TraceRecorder()])


@pytest.mark.parametrize("again", [True, False], ids=["compiled again", "as it is"])
@EACH_CHANGE
def test_a_fit_after_a_change_is_refused(change: Any, frozen: tuple[str, ...], found: str, again: bool) -> None:
    model = compiled(made(*frozen))
    model.fit(**FIT)
    change(model)
    if again:
        compiled(model, model.optimizer)
    before = [ops.convert_to_numpy(weight) for weight in model.get_weights()]
    with pytest.raises(ValueError, match=r"^EpochGatedDecay: found [^\n]*\.$") as caught:
        model.fit(**FIT, callbacks=[EpochGatedDecay(0.5, start_epoch=1)])
    assert f"{found} since the optimizer was built" in str(caught.value)
    assert str(caught.value).endswith(REMEDY)
    assert all(map(np.array_equal, model.get_weights(), before))


def test_a_fit_without_our_callbacks_is_refused_in_one_sentence_too() -> None:
    model = compiled(made("body"))
    model.fit(**FIT)
    unfreeze(model)
    compiled(model, model.optimizer, eagerly=False)
    before = model.get_weights()
    with pytest.raises(
        ValueError, match=r"trainable[^\n]* since the optimizer was built; [^\n]*initial_epoch=...\)\.(\n|$)"
    ):
        model.fit(**FIT)
    if BACKEND != "jax":  # which loses a model's weights by any error in a batch
        assert all(map(np.array_equal, model.get_weights(), before))


class Acts(keras.callbacks.Callback):
    def __init__(self, change: Callable[[keras.Model], None]) -> None:
        super().__init__()
        self.change = change

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if epoch == 1:
            self.change(self.model)


@pytest.mark.parametrize("first", [True, False], ids=["before ours", "after ours"])
def test_a_change_within_a_fit_is_refused(first: bool) -> None:
    """Before the epoch's first batch, whoever comes first when it begins."""
    model = compiled(made("body"), eagerly=False)
    callbacks = [Acts(unfreeze), EpochGatedDecay(0.5, start_epoch=1)]
    with pytest.raises(ValueError, match=r"[^\n]*trainable[^\n]* since the optimizer was built; [^\n]*\.$"):
        model.fit(**FIT, epochs=3, callbacks=callbacks if first else callbacks[::-1])
    assert int(ops.convert_to_numpy(model.optimizer.iterations)) == 4


def test_keras_own_optimizer_is_refused_before_the_first_batch_too() -> None:
    model = compiled(made("body"), keras.optimizers.SGD(0.1))
    model.fit(**FIT)
    unfreeze(model)
    with pytest.raises(ValueError, match=r"^EpochGatedDecay: found 'body/kernel'[^\n]* a new optimizer, and [^\n]*\.$"):
        model.fit(**FIT, callbacks=[EpochGatedDecay(0.5, start_epoch=1, base=0.1)])


def test_unfreezing_goes_on_exactly_with_a_new_optimizer() -> None:
    """The schedule goes on at the position, and the rules apply to the variables that are trainable now."""
    recipe = Recipe(RULED, learning_rate=CosineDecay(over=epochs(4)))
    plan = recipe.plan(updates_per_epoch=4, epochs=4)
    model = compiled(made("body"))
    used: dict[str, list[float]] = {}
    for begin, end in ((0, 2), (2, 4)):
        recorder = TraceRecorder()
        model.fit(
            **FIT,
            initial_epoch=begin,
            epochs=end if begin else 2,
            callbacks=[HyperparameterScheduler(recipe), recorder],
        )
        used[str(begin)] = [float32(value) for value in recorder.trace.column("learning_rate")]
        if not begin:
            body = ops.convert_to_numpy(model.get_layer("body").kernel)
            unfreeze(model)
            compiled(model)
    whole = [plan.value("learning_rate", epoch, update) for epoch in (2, 3) for update in range(4)]
    # Groups: the head's kernel (twice the rate), its bias, the body's kernel, and its bias; the first is the body's.
    assert used["2"] == [float32(value) for value in whole]
    assert not np.array_equal(ops.convert_to_numpy(model.get_layer("body").kernel), body)
    multipliers = {
        parameter.path: tuple(model.optimizer.table.groups[model.optimizer.table.group(index)])[:2]
        for index, (parameter, _) in enumerate(parameters(model))
    }
    assert multipliers == {
        "body/kernel": (1.0, 1.0),
        "body/bias": (1.0, 0.0),
        "head/kernel": (2.0, 1.0),
        "head/bias": (2.0, 0.0),
    }
