"""Several optimizers of a model, each with its own recipe: those of a MultiOptimizer, and those that a model keeps."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from samestep import SGDW, ExponentialDecay, LinearDecay, ParameterRule, Recipe, StepDecay, Warmup, epochs, updates
from samestep.keras import (
    EpochGatedDecay,
    HyperparameterScheduler,
    LearningRateScheduler,
    TraceRecorder,
    build_optimizer,
)

from .versions import multi_optimizer

GENERATOR = Recipe(SGDW(0.5, 0.0), learning_rate=Warmup(over=updates(4), start=0.25))
DISCRIMINATOR = Recipe(
    SGDW(8.0, 0.5), learning_rate=LinearDecay(over=epochs(2)), weight_decay=StepDecay(0.5, "1 epoch")
)
BOTH = {"generator": GENERATOR, "discriminator": DISCRIMINATOR}
HALVING = StepDecay(0.5, every=epochs(1))
X, Y = np.ones((4, 2), "float32"), np.ones((4, 1), "float32")
ON_JAX = keras.backend.backend() == "jax"


class Last(keras.callbacks.Callback):
    """Reads the kernels before and after the last update of each epoch, whose gradients are 1."""

    def __init__(self) -> None:
        super().__init__()
        self.moved: list[list[float]] = []

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        for kernel in self.model.trainable_variables:
            kernel.assign(np.zeros(kernel.shape))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.moved.append([-float(ops.convert_to_numpy(kernel)[0, 0]) for kernel in self.model.trainable_variables])


def parts() -> tuple[keras.Model, Any, Any]:
    """A model of two parts, built."""
    inputs = keras.Input((2,))
    generator = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, use_bias=False)], name="generator")
    discriminator = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, use_bias=False)], name="discriminator")
    return keras.Model(inputs, generator(inputs) + discriminator(inputs)), generator, discriminator


def mean_prediction(_: Any, predicted: Any) -> Any:
    return ops.mean(predicted, axis=-1)


def multi(generator: Any = GENERATOR.optimizer, discriminator: Any = DISCRIMINATOR.optimizer) -> keras.Model:
    """Compiled with a MultiOptimizer of two specs or optimizers, in this order, and a third one for nothing."""
    model, *_ = parts()
    chosen = {
        f"{name}/.*|.*{name}.*": build_optimizer(each, model) if isinstance(each, SGDW) else each
        for name, each in (("generator", generator), ("discriminator", discriminator))
    }
    model.compile(multi_optimizer(keras.optimizers.SGD(), chosen), loss=mean_prediction)
    return model


def fit(model: keras.Model, *callbacks: Any, **options: Any) -> keras.callbacks.History:
    return model.fit(X, Y, batch_size=1, epochs=2, verbose=0, callbacks=list(callbacks), **options)


def refused(model: keras.Model, *callbacks: Any) -> str:
    last = Last()
    with pytest.raises(ValueError, match=r"^[^\n]*\.$") as caught:
        fit(model, last, *callbacks)
    assert not last.moved
    return str(caught.value)


def planned(recipe: Recipe, name: str = "learning_rate") -> list[float]:
    return [recipe.plan(4, 2).value(name, epoch, 3) for epoch in range(2)]


@pytest.mark.parametrize("keys", [("generator", "discriminator"), (0, 1), ("generator.dense", 1)])
def test_each_follows_its_own_recipe(keys: tuple[Any, Any]) -> None:
    recorder, last, model = TraceRecorder(), Last(), multi()
    (_, generator, _) = model.layers[:3]
    first = f"{generator.name}.{generator.layers[0].name}" if keys[0] == "generator.dense" else keys[0]
    history = fit(model, last, HyperparameterScheduler({first: GENERATOR, keys[1]: DISCRIMINATOR}), recorder).history
    rates = [planned(GENERATOR), planned(DISCRIMINATOR)]
    assert [list(moved) for moved in zip(*last.moved, strict=True)] == rates
    assert [trace.column("learning_rate")[3::4] for trace in recorder.traces.values()] == rates
    assert [history[f"learning_rate/{key}"] for key in (first, keys[1])] == rates
    assert history[f"weight_decay/{keys[1]}"] == planned(DISCRIMINATOR, "weight_decay")


def test_there_is_a_trace_of_each_and_none_of_all() -> None:
    recorder = TraceRecorder()
    fit(multi(), HyperparameterScheduler(BOTH), recorder)
    assert list(recorder.traces) == ["generator", "discriminator"]
    assert {len(trace) for trace in recorder.traces.values()} == {8}
    with pytest.raises(
        ValueError, match=r"found the traces of 2 optimizers; write one of traces\['generator'\], traces"
    ):
        _ = recorder.trace


@pytest.mark.parametrize(
    "callback", [EpochGatedDecay(0.5, start_epoch=1), LearningRateScheduler(lambda epoch, rate: rate / 2**epoch)]
)
def test_the_callbacks_of_whole_epochs_drive_each_from_its_own(callback: Any) -> None:
    last = Last()
    history = fit(multi(SGDW(0.5, 0.0), keras.optimizers.SGD(8.0)), last, callback).history
    assert last.moved == [[0.5, 8.0], [0.25, 4.0]]
    assert (history["learning_rate/generator"], history["learning_rate/discriminator"]) == ([0.5, 0.25], [8.0, 4.0])


def test_a_group_of_one_of_several_is_logged_by_its_number() -> None:
    rules = [ParameterRule(path="**/kernel", learning_rate=2.0)]
    history = fit(multi(SGDW(0.5, 0.0, parameters=rules)), EpochGatedDecay(0.5, start_epoch=1)).history
    assert history["learning_rate/generator"] == [1.0, 0.5]


def test_an_optimizer_that_no_recipe_is_for_keeps_its_base_values() -> None:
    last = Last()
    fit(multi(), last, HyperparameterScheduler({"generator": GENERATOR}))
    assert [list(moved) for moved in zip(*last.moved, strict=True)] == [planned(GENERATOR), [8.0, 8.0]]


def test_two_callbacks_may_drive_one_each_and_not_the_same() -> None:
    last = Last()
    generator = HyperparameterScheduler({"generator": GENERATOR})
    fit(multi(), last, generator, HyperparameterScheduler({"discriminator": DISCRIMINATOR}))
    assert [list(moved) for moved in zip(*last.moved, strict=True)] == [planned(GENERATOR), planned(DISCRIMINATOR)]
    message = refused(multi(), generator, EpochGatedDecay(0.5, start_epoch=1))
    assert message.startswith("found two callbacks that drive learning_rate: ")


def test_one_recipe_is_not_for_two_optimizers() -> None:
    assert "found 2 optimizers and one recipe; give one per optimizer" in refused(
        multi(), HyperparameterScheduler(GENERATOR)
    )


def test_a_recipe_for_no_optimizer_names_those_that_there_are() -> None:
    message = refused(multi(), HyperparameterScheduler({"encoder": GENERATOR}))
    assert (
        "found a recipe for 'encoder', which matches no optimizer; write one of ['generator', 'discriminator']"
        in message
    )


def test_another_spec_names_the_part() -> None:
    message = refused(multi(SGDW(0.25, 0.0)), HyperparameterScheduler(BOTH))
    assert message.startswith(
        "HyperparameterScheduler of 'generator': found an optimizer that was not built from this recipe's spec: "
    )


def test_what_one_holds_is_verified() -> None:
    class Tamper(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            self.model.optimizer.optimizers[1].learning_rate = 3.0

    recipes = {"generator": GENERATOR, "discriminator": Recipe(learning_rate=HALVING)}
    with pytest.raises(ValueError, match=r"of 'discriminator': found learning_rate/discriminator = 3.0 at epoch 0"):
        fit(multi(discriminator=keras.optimizers.SGD(8.0)), HyperparameterScheduler(recipes), Tamper())


if not ON_JAX:  # whose train step is given the variables of one optimizer

    class Gan(keras.Model):
        """As people write it; `stepped_by` are the optimizers that its train_step calls, by the attribute's name."""

        def __init__(self, stepped_by: dict[str, str]) -> None:
            super().__init__()
            _, self.generator, self.discriminator = parts()
            self.stepped_by = stepped_by

        def call(self, x: Any) -> Any:
            return self.generator(x) + self.discriminator(x)

        def train_step(self, data: Any) -> Any:
            for part, optimizer in self.stepped_by.items():
                variables = getattr(self, part).trainable_variables
                getattr(self, optimizer).apply([ops.ones_like(each) for each in variables], variables)
            return {"loss": 0.0}

    def gan(generator: str, discriminator: str, **compiled: Any) -> Gan:
        model = Gan({"generator": generator, "discriminator": discriminator})
        model.compile(**{name: made(model) for name, made in compiled.items()})
        return model

    def generators(model: Gan) -> Any:
        return build_optimizer(GENERATOR.optimizer, model.generator)

    def discriminators(model: Gan) -> Any:
        return build_optimizer(DISCRIMINATOR.optimizer, model.discriminator)

    def test_the_optimizer_that_compile_makes_of_itself_is_none_of_them() -> None:
        model, last = gan("first", "second"), Last()
        model.first, model.second = generators(model), discriminators(model)
        fit(model, last, HyperparameterScheduler(BOTH))
        assert [list(moved) for moved in zip(*last.moved, strict=True)] == [planned(GENERATOR), planned(DISCRIMINATOR)]

    def test_the_optimizer_that_compile_makes_of_itself_is_none_even_where_others_leave_parameters_out() -> None:
        model, last = gan("first", "second"), Last()
        model.first = generators(model)
        del model.stepped_by["discriminator"]
        recorder = TraceRecorder()
        fit(model, last, HyperparameterScheduler(GENERATOR), recorder)
        assert [moved[0] for moved in last.moved] == planned(GENERATOR)
        assert list(recorder.traces) == [""]

    def test_the_optimizer_of_compile_is_one_of_them_where_it_trains_what_no_other_does() -> None:
        model, last = gan("optimizer", "second", optimizer=generators), Last()
        model.second = discriminators(model)
        fit(model, last, HyperparameterScheduler(BOTH))
        assert [list(moved) for moved in zip(*last.moved, strict=True)] == [planned(GENERATOR), planned(DISCRIMINATOR)]

    def test_the_optimizer_of_compile_is_none_of_them_where_others_train_all_that_it_could() -> None:
        model, last = gan("first", "second", optimizer=lambda _: keras.optimizers.Adam()), Last()
        model.first, model.second = generators(model), discriminators(model)
        fit(model, last, HyperparameterScheduler(BOTH))
        assert [list(moved) for moved in zip(*last.moved, strict=True)] == [planned(GENERATOR), planned(DISCRIMINATOR)]

    @pytest.mark.parametrize(
        "optimizer", [lambda _: keras.optimizers.SGD(1.0), lambda _: "rmsprop"], ids=["covered", "default"]
    )
    @pytest.mark.parametrize("drives", [True, False], ids=["scheduled", "recorded"])
    def test_the_optimizer_of_compile_that_makes_updates_beside_all_others_is_noticed(
        optimizer: Any, drives: bool
    ) -> None:
        model = gan("optimizer", "second", optimizer=optimizer)
        model.first, model.second = generators(model), discriminators(model)
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        with pytest.raises(
            ValueError, match=r"found updates by .*, the optimizer of compile\(\), .*keep it as an attribute"
        ):
            fit(model, EpochGatedDecay(0.5, start_epoch=1) if drives else TraceRecorder())

    def test_the_optimizer_of_compile_may_be_kept_as_an_attribute_too() -> None:
        model, last = gan("optimizer", "second", optimizer=lambda _: keras.optimizers.RMSprop()), Last()
        model.first, model.second = model.optimizer, discriminators(model)
        model.optimizer.build(model.generator.trainable_variables)
        recorder = TraceRecorder()
        fit(model, last, HyperparameterScheduler({"discriminator": DISCRIMINATOR}), recorder)
        assert list(recorder.traces) == ["generator", "discriminator"]
        assert len(recorder.traces["generator"]) == 8

    def test_one_that_is_not_built_does_not_tell_its_parameters() -> None:
        model = gan("first", "second")
        model.first, model.second = generators(model), keras.optimizers.SGD(name="of_the_discriminator")
        message = refused(model, EpochGatedDecay(0.5, start_epoch=1))
        assert (
            "found several optimizers, of which 'of_the_discriminator' is not built, so its parameters are unknown; "
            in message
        )
        assert "optimizer.build(submodel.trainable_variables)" in message

    def test_they_may_be_kept_in_a_list() -> None:
        model, last = gan("first", "second"), Last()
        model.both = {"first": generators(model), "second": [discriminators(model)]}
        model.stepped_by = {}
        recorder = TraceRecorder()
        fit(model, last, HyperparameterScheduler(BOTH), recorder)
        assert list(recorder.traces) == ["generator", "discriminator"]


def test_values_of_another_number_of_updates_of_each() -> None:
    """Warmup of 4 updates, where the epoch has 2 of one and 4 of the other, by gradient accumulation."""
    model, *_ = parts()
    slow = keras.optimizers.SGD(0.5, gradient_accumulation_steps=2)
    both = multi_optimizer(keras.optimizers.SGD(0.5), {"generator/.*|.*generator.*": slow})
    model.compile(both, loss=mean_prediction)
    warmup, recorder = Recipe(learning_rate=ExponentialDecay(0.5, every=updates(1))), TraceRecorder()
    fit(model, HyperparameterScheduler({"generator": warmup, "discriminator": warmup}), recorder)
    assert recorder.traces["generator"].column("learning_rate") == [0.5 / 2**n for n in range(4)]
    assert recorder.traces["discriminator"].column("learning_rate") == [0.5 / 2**n for n in range(8)]


def test_a_mapping_may_name_the_part_of_an_only_optimizer_that_its_first_step_builds() -> None:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, name="only")])
    model.compile(keras.optimizers.SGD(1.0), lambda _, predicted: keras.ops.mean(predicted, axis=-1))
    before = float(model.get_weights()[0][0, 0])
    halved = Recipe(learning_rate=StepDecay(0.5, every=epochs(1)))
    ones = np.ones((1, 1), "float32")
    model.fit(ones, ones, epochs=3, verbose=0, callbacks=[HyperparameterScheduler({"only": halved})])
    assert before - float(model.get_weights()[0][0, 0]) == pytest.approx(1.75, rel=1e-6)
