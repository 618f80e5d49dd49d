"""A model that is compiled with an optimizer of ours is exported and checkpointed as one with a stock optimizer is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from samestep import SGDW, AdamW, LinearDecay, NAdamW, ParameterRule, Recipe, Spec, StepDecay, epochs, percent
from samestep.keras import HyperparameterScheduler, TraceRecorder, build_optimizer

from .versions import exports_torch, multi_optimizer

BACKEND = keras.backend.backend()
X, Y = np.random.default_rng(0).standard_normal((8, 2)).astype("float32"), np.zeros((8, 1), "float32")
RULES = [ParameterRule(role="bias", weight_decay=0), ParameterRule(path="last/kernel", learning_rate=0.5)]
SPECS: dict[str, Spec] = {
    "adamw": AdamW(0.01, 0.1),
    "adamw amsgrad": AdamW(0.01, 0.1, amsgrad=True, epsilon_mode="hat"),
    "nadamw": NAdamW(0.01, 0.1, global_clipnorm=1.0),
    "sgdw": SGDW(0.01, 0.1, 0.9, nesterov=True),
    "sgdw without moments": SGDW(0.01, 0.1),
    "rules": AdamW(0.01, 0.1, parameters=RULES),
}


def multi(optimizer: Any) -> Any:
    return multi_optimizer(optimizer, {".*last/.*": keras.optimizers.SGD(0.01)})


WRAPPED: dict[str, Callable[[Any], Any]] = {
    "alone": lambda optimizer: optimizer,
    "scaled": keras.optimizers.LossScaleOptimizer,
    "multi": multi,
}


def made(spec: Any, wrap: Callable[[Any], Any] = WRAPPED["alone"], dtype: str = "float32") -> keras.Model:
    layers = [keras.layers.Dense(3, "tanh", dtype=dtype, name="first"), keras.layers.Dense(1, dtype=dtype, name="last")]
    model = keras.Sequential([keras.Input((2,)), *layers])
    optimizer = build_optimizer(spec, model) if isinstance(spec, Spec) else spec
    model.compile(wrap(optimizer), "mse", jit_compile=BACKEND == "jax")
    return model


def fit(model: keras.Model, spec: Spec, batch_size: int = 4, begin: int = 0) -> TraceRecorder:
    """An epoch of 8 / batch_size updates, by a schedule, and recorded."""
    recipe = Recipe(spec, learning_rate=LinearDecay(over=percent(100)), weight_decay=StepDecay(0.5, every=epochs(1)))
    recorder = TraceRecorder()
    several = hasattr(model.optimizer, "optimizers")
    scheduler = HyperparameterScheduler({"first": recipe} if several else recipe, on_change="use_new")
    options: dict[str, Any] = {"verbose": 0, "shuffle": False, "initial_epoch": begin, "epochs": begin + 1}
    model.fit(X, Y, batch_size, callbacks=[scheduler, recorder], **options)
    return recorder


def numpy(variables: Any) -> list[np.ndarray]:
    return [np.array(ops.convert_to_numpy(each)) for each in variables]


def ours(model: keras.Model) -> Any:
    """The optimizer, inside of loss scaling where there is some."""
    return getattr(model.optimizer, "inner_optimizer", model.optimizer)


def state(model: keras.Model) -> list[Any]:
    """The number of updates, and the moments."""
    return [ours(model).iterations, *(each for moment in ours(model).moments().values() for each in moment)]


def stages(spec: Spec, wrap: Callable[[Any], Any] = WRAPPED["alone"]) -> Any:
    """A model before any update, after an epoch, and after another one whose table is longer."""
    model = made(spec, wrap)
    yield model
    fit(model, spec)
    yield model
    fit(model, spec, batch_size=1, begin=1)
    yield model


def exported(model: keras.Model, path: Path) -> np.ndarray:
    """What the exported model makes of X."""
    if BACKEND == "torch":  # Keras 3.15 cannot export to tensorflow from there, whatever the optimizer
        import torch

        signature = [keras.InputSpec(shape=X.shape, dtype="float32")]
        model.export(path.with_suffix(".pt2"), format="torch", input_signature=signature, verbose=False)
        program = torch.export.load(path.with_suffix(".pt2")).module()
        return np.asarray(program(torch.tensor(X)).detach())
    import tensorflow as tf

    model.export(path, verbose=False)
    loaded = tf.saved_model.load(path)
    return np.asarray(loaded.serve(X))


@exports_torch
@pytest.mark.parametrize(
    ("name", "wrapped"),
    [*((name, "alone") for name in SPECS), ("adamw", "scaled"), ("adamw", "multi"), ("rules", "multi")],
)
def test_what_is_exported_gives_the_outputs_of_the_model(name: str, wrapped: str, tmp_path: Path) -> None:
    for stage, model in enumerate(stages(SPECS[name], WRAPPED[wrapped])):
        np.testing.assert_allclose(exported(model, tmp_path / str(stage)), model.predict(X, verbose=0), rtol=1e-5)


if BACKEND == "tensorflow":
    import tensorflow as tf

    @pytest.mark.parametrize(
        ("name", "wrapped"), [*((name, "alone") for name in SPECS), *(("rules", each) for each in ("scaled", "multi"))]
    )
    def test_a_model_that_tensorflow_saves_gives_its_outputs(name: str, wrapped: str, tmp_path: Path) -> None:
        for stage, model in enumerate(stages(SPECS[name], WRAPPED[wrapped])):
            tf.saved_model.save(model, str(tmp_path / str(stage)))
            loaded = tf.saved_model.load(str(tmp_path / str(stage)))
            (outputs,) = loaded.signatures["serving_default"](inputs=X).values()
            np.testing.assert_allclose(outputs, model.predict(X, verbose=0), rtol=1e-5)

    @pytest.mark.parametrize("wrapped", ["alone", "scaled"])
    @pytest.mark.parametrize("name", SPECS)
    def test_a_checkpoint_of_tensorflow_restores_weights_moments_and_the_count_but_no_table(
        name: str, wrapped: str, tmp_path: Path
    ) -> None:
        spec, wrap = SPECS[name], WRAPPED[wrapped]
        model = made(spec, wrap)
        fit(model, spec)
        path = tf.train.Checkpoint(model=model, optimizer=model.optimizer).save(str(tmp_path / "checkpoint"))
        saved = numpy(model.variables) + numpy(state(model))
        expected = fit(model, spec, batch_size=1, begin=1).trace
        after = numpy(model.variables)
        other = made(spec, wrap)
        fit(other, spec, batch_size=1)  # its table is of another length than the one that was saved
        table = numpy(ours(other).table.variables)
        tf.train.Checkpoint(model=other, optimizer=other.optimizer).restore(path).assert_existing_objects_matched()
        assert all(map(np.array_equal, numpy(other.variables) + numpy(state(other)), saved))
        assert all(map(np.array_equal, numpy(ours(other).table.variables), table))
        assert fit(other, spec, batch_size=1, begin=1).trace == expected
        assert all(map(np.array_equal, numpy(other.variables), after))

    def test_of_a_multi_optimizer_tensorflow_checkpoints_what_it_does_of_a_stock_one(tmp_path: Path) -> None:
        """Keras 3.15 does not show it the optimizers inside."""
        found = []
        for optimizer in (SPECS["adamw"], keras.optimizers.AdamW(0.01)):
            model = made(optimizer, multi)
            model.fit(X, Y, 4, verbose=0)
            path = tf.train.Checkpoint(model=model, optimizer=model.optimizer).save(str(tmp_path / "checkpoint"))
            found.append([name for name, _ in tf.train.list_variables(path)])
        assert found[0] == found[1]

    def test_a_checkpoint_is_restored_when_a_model_that_is_not_built_yet_makes_its_variables(tmp_path: Path) -> None:
        spec = SPECS["adamw"]
        model = made(spec)
        fit(model, spec)
        path = tf.train.Checkpoint(optimizer=model.optimizer).save(str(tmp_path / "checkpoint"))
        other = made(spec)
        tf.train.Checkpoint(optimizer=other.optimizer).restore(path)
        other.optimizer.build(other.trainable_variables)
        assert all(map(np.array_equal, numpy(state(other)), numpy(state(model))))

    def test_a_training_step_is_saved_with_the_values_that_it_uses(tmp_path: Path) -> None:
        """For training on a device: the step is the user's own, and reads the table."""

        class Trainable(tf.Module):
            def __init__(self, model: keras.Model) -> None:
                super().__init__()
                self.model = model

            @tf.function(input_signature=[tf.TensorSpec((4, 2)), tf.TensorSpec((4, 1))])
            def train(self, x: Any, y: Any) -> Any:
                with tf.GradientTape() as tape:
                    loss = tf.reduce_mean((self.model(x) - y) ** 2)
                variables = self.model.trainable_variables
                self.model.optimizer.apply(tape.gradient(loss, variables), variables)
                return self.model.trainable_variables[0].value

        spec = SPECS["rules"]
        module = Trainable(made(spec))
        fit(module.model, spec)
        tf.saved_model.save(module, str(tmp_path / "saved"))
        loaded = tf.saved_model.load(str(tmp_path / "saved"))
        for _ in range(2):
            np.testing.assert_allclose(loaded.train(X[:4], Y[:4]), module.train(X[:4], Y[:4]), rtol=1e-6)

    def test_a_model_is_saved_after_its_table_got_another_dtype_and_other_groups(tmp_path: Path) -> None:
        model = made(SPECS["rules"], dtype="float64")
        fit(model, SPECS["rules"])
        assert {each.dtype for each in model.optimizer.table.variables} == {"int32", "float64"}
        fit(model, SPECS["adamw"], begin=1)  # all are in one group again
        exported(model, tmp_path / "exported")
        tf.train.Checkpoint(model=model).save(str(tmp_path / "checkpoint"))


if BACKEND != "torch":

    def test_a_table_of_another_shape_keeps_its_places_among_the_variables() -> None:
        """By their order jax passes them, and Keras' optimizers that have others inside save them."""
        model = made(SPECS["rules"])
        optimizer: Any = model.optimizer
        optimizer.build(model.trainable_variables)  # the groups of the rules
        before = list(optimizer.variables)
        for begin, (name, batch_size) in enumerate([("rules", 4), ("rules", 1), ("adamw", 2)]):
            fit(model, SPECS[name], batch_size, begin)
            found = list(optimizer.variables)
            assert all(ours is former for ours, former in zip(found, before, strict=False))
            assert len(found) - len(before) == (BACKEND == "jax")  # what is recorded lies behind, once there is any
            assert {id(each) for each in optimizer.table.variables} < {id(each) for each in found}
