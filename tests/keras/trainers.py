"""The trainer's configurations, as the rows of configurations.json have them: models, data, and ways to train."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from samestep import SGDW, Recipe
from samestep.keras import EpochGatedDecay, HyperparameterScheduler, build_optimizer

from .versions import multi_optimizer

BACKEND = keras.backend.backend()
GOLDEN = {
    row["family"]: row for row in json.loads((Path(__file__).parents[1] / "golden" / "schedules.json").read_text())
}
RUN = 24  # updates of each of the golden tables
RATE, DECAY = 0.125, 0.1  # the base values of all of them
PARTS = {
    "generator": {"learning_rate": "cosine", "weight_decay": "weight_decay"},
    "discriminator": {"learning_rate": "linear"},
}


class Setting:
    """A row's `how`: all that can be set, and what is meant where it is not.

    updates: in an epoch. applies: updates that are made of one batch. accumulated: batches that make an update.
    """

    def __init__(self, **how: Any) -> None:
        self.way = how.pop("way", "fit")
        self.updates = how.pop("updates", 12)
        self.accumulated = how.pop("accumulated", None)
        self.policy, self.floatx = how.pop("policy", None), how.pop("floatx", "float32")
        self.optimizers = how.pop("optimizers", ["ours"])
        self.applies = how.pop("applies", [1] * len(self.optimizers))
        self.families = how.pop("families", list(PARTS.values())[: len(self.optimizers)])
        self.scaled, self.initial_scale = how.pop("scaled", False), how.pop("initial_scale", None)
        self.skipped = how.pop("skipped", 0)
        self.data, self.batches = how.pop("data", "arrays"), how.pop("batches", None)
        self.fits, self.compiles_again = how.pop("fits", None), how.pop("compiles_again", False)
        self.compiled, self.fit = how.pop("compiled", {}), how.pop("fit", {})
        self.scheduler, self.callback = how.pop("scheduler", {}), how.pop("callback", None)
        assert not how
        self.examples, self.epochs = self.updates // max(self.applies), RUN // self.updates
        self.fits = self.fits or [[0, self.epochs]]


def driven(setting: Setting) -> list[tuple[dict[str, str], bool]]:
    """Of each kernel the golden families of its recipe, and whether its optimizer is ours."""
    return [
        (
            families if kind == "ours" else {name: families[name] for name in families if name == "learning_rate"},
            kind == "ours",
        )
        for families, kind in zip(setting.families, setting.optimizers, strict=True)
    ]


def precision(setting: Setting) -> str:
    return "float64" if "float64" in (setting.floatx, setting.policy) else "float32"


def half(setting: Setting) -> Any:
    """The dtype in which an update leaves the weights, if it is half as wide as the update's numbers."""
    import ml_dtypes

    return {"bfloat16": ml_dtypes.bfloat16, "float16": np.float16}.get(setting.policy)


def start(setting: Setting) -> np.ndarray:
    """A weight of 0 for each batch of an epoch, and a last one of 1, whose gradient is always 0."""
    return np.array([[0.0]] * setting.examples + [[1.0]])


class Kernels(keras.callbacks.Callback):
    """Puts the kernels back to their start before each epoch, and reads what its updates left of them."""

    def __init__(self) -> None:
        super().__init__()
        self.left: list[list[list[float]]] = []
        self.batches = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        for kernel in self.model.trainable_variables:
            kernel.assign(np.array([[0.0]] * (kernel.shape[0] - 1) + [[1.0]]))

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.batches += 1

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.left.append(
            [ops.convert_to_numpy(kernel).ravel().astype(float).tolist() for kernel in self.model.trainable_variables]
        )


def recipe(families: dict[str, str], ours: bool) -> Recipe:
    schedules = {name: Recipe.from_dict(GOLDEN[family]["recipe"]).schedule(name) for name, family in families.items()}
    return Recipe(SGDW(RATE, DECAY) if ours else None, **schedules)


def scheduler(setting: Setting) -> list[keras.callbacks.Callback]:
    """The callbacks of the run."""
    theirs = {
        "LearningRateScheduler": keras.callbacks.LearningRateScheduler(lambda epoch: 0.5),
        "ReduceLROnPlateau": keras.callbacks.ReduceLROnPlateau(),
    }
    if setting.callback == "none":
        return []
    recipes = [recipe(*each) for each in driven(setting)]
    one = (
        recipes[0] if len(recipes) == 1 or setting.callback == "one recipe" else dict(zip(PARTS, recipes, strict=True))
    )
    if setting.callback == "weight decay":
        one = recipe({"weight_decay": "weight_decay"}, ours=False)
    if setting.callback == "EpochGatedDecay":  # the golden "step"
        return [EpochGatedDecay(0.5, start_epoch=1, every_epochs=2)]
    return [
        HyperparameterScheduler(one, **{"verify": True, **setting.scheduler}),
        *([theirs[setting.callback]] if setting.callback in theirs else []),
    ]


def prediction(_: Any, predicted: Any) -> Any:
    return ops.mean(predicted, axis=-1)


def built(setting: Setting, model: keras.Model, kind: str) -> keras.optimizers.Optimizer:
    accumulation = {} if setting.accumulated is None else {"gradient_accumulation_steps": setting.accumulated}
    if kind == "ours":
        optimizer = build_optimizer(SGDW(RATE, DECAY), model, **accumulation)
        return optimizer
    if kind == "scheduled":
        return keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(RATE, 3, 0.5))
    return keras.optimizers.SGD(RATE, **accumulation)


def compiled(setting: Setting, kind: type[keras.Model] = keras.Model) -> keras.Model:
    """A model with a kernel for each of the optimizers."""
    inputs = keras.Input((len(start(setting)),))
    names = list(PARTS)[: len(setting.optimizers)]
    outputs = [keras.layers.Dense(1, use_bias=False, name=name, dtype=setting.policy)(inputs) for name in names]
    model = kind(inputs, outputs[0] if len(outputs) == 1 else keras.layers.Add(dtype=setting.policy)(outputs))
    if setting.policy is not None:
        model.dtype_policy = keras.dtype_policies.get(setting.policy)
    optimizers = [built(setting, model, each) for each in setting.optimizers]
    (optimizer, *others) = optimizers
    if others:
        chosen = {f"{name}/.*": each for name, each in zip(names[1:], others, strict=True)}
        optimizer = multi_optimizer(optimizer, chosen)
    if setting.scaled:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    model.compile(optimizer=optimizer, loss=prediction, **setting.compiled)
    if setting.initial_scale is not None:
        model.optimizer.initial_scale = setting.initial_scale
    return model


def batches(setting: Setting) -> np.ndarray:
    """The rows of the batches of an epoch, each with a 1 for the weight that it moves."""
    ones = np.eye(setting.examples, len(start(setting)))
    rows = np.repeat(ones, setting.accumulated or 1, axis=0)
    return rows[: setting.batches].astype(precision(setting))


def fed(setting: Setting) -> dict[str, Any]:
    """The arguments of fit() that give it the batches."""
    x = batches(setting)
    y = np.zeros((len(x), 1), x.dtype)
    match setting.data:
        case "arrays":
            return {"x": x, "y": y, "batch_size": 1, "shuffle": False}
        case "generator":
            pairs = [(x[n : n + 1], y[n : n + 1]) for n in range(len(x))]
            return {"x": (pair for _ in range(setting.epochs) for pair in pairs)}
        case "PyDataset":

            class Batches(keras.utils.PyDataset):
                def __len__(self) -> int:
                    return len(x)

                def __getitem__(self, n: int) -> Any:
                    return x[n : n + 1], y[n : n + 1]

            return {"x": Batches(), "shuffle": False}
    import tensorflow as tf

    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(1)
    return {"x": data.filter(lambda *_: True) if setting.data == "tf.data of unknown length" else data}


def by_fit(setting: Setting, kernels: Kernels, model: keras.Model | None = None) -> None:
    model = model or compiled(setting)
    for begin, end in setting.fits:
        more = {"initial_epoch": begin, "epochs": end, "verbose": 0, **setting.fit}
        model.fit(**fed(setting), **more, callbacks=[kernels, *scheduler(setting)])
        if setting.compiles_again:
            model.compile(optimizer=model.optimizer, loss=prediction)


def by_train_on_batch(setting: Setting, kernels: Kernels) -> None:
    model, x = compiled(setting), batches(setting)
    beside = [kernels, *scheduler(setting)]
    callbacks = keras.callbacks.CallbackList(beside, model=model, epochs=setting.epochs, steps=len(x))
    callbacks.on_train_begin()
    for epoch in range(setting.epochs):
        callbacks.on_epoch_begin(epoch)
        for n in range(len(x)):
            callbacks.on_train_batch_begin(n)
            logs = model.train_on_batch(x[n : n + 1], np.zeros((1, 1)), return_dict=True)
            callbacks.on_train_batch_end(n, logs)
        callbacks.on_epoch_end(epoch, logs)
    callbacks.on_train_end()


def by_own_train_step(setting: Setting, kernels: Kernels) -> None:
    (applies,) = setting.applies

    class Own(keras.Model):
        def train_step(self, *arguments: Any) -> Any:
            return own_step(self, applies, *arguments)

    by_fit(setting, kernels, compiled(setting, Own))


def own_step(model: keras.Model, applies: int, *arguments: Any) -> Any:
    """A train_step that applies the gradients of a batch so many times."""
    if BACKEND == "jax":
        (trainable, fixed, state, metrics), (x, _) = arguments
        loss = lambda weights: ops.mean(model.stateless_call(weights, fixed, x)[0])  # noqa: E731
        import jax

        value, gradients = jax.value_and_grad(loss)(trainable)
        for _ in range(applies):
            trainable, state = model.optimizer.stateless_apply(state, gradients, trainable)
        return {"loss": value}, (trainable, fixed, state, metrics)
    ((x, _),) = arguments
    value, gradients = differentiated(model, x)
    for _ in range(applies):
        model.optimizer.apply(gradients, model.trainable_variables)
    return {"loss": value}


def differentiated(model: keras.Model, x: Any) -> tuple[Any, list[Any]]:
    """The mean prediction, and its gradients, on tensorflow or torch."""
    if BACKEND == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            value = ops.mean(model(x))
        return value, tape.gradient(value, model.trainable_variables)
    model.zero_grad()
    value = ops.mean(model(x))
    value.backward()
    return value.detach(), [variable.value.grad for variable in model.trainable_variables]


def by_optimizers_as_attributes(setting: Setting, kernels: Kernels) -> None:
    """As people write a GAN: compile() makes an optimizer of its own, which is not used."""

    class Pair(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            for name in PARTS:
                layers = [keras.Input((len(start(setting)),)), keras.layers.Dense(1, use_bias=False)]
                setattr(self, name, keras.Sequential(layers, name=name))

        def compile(self, optimizers: list[Any]) -> None:
            super().compile()
            self.generator_optimizer, self.discriminator_optimizer = optimizers

        def call(self, x: Any) -> Any:
            return self.generator(x) + self.discriminator(x)

        def train_step(self, data: Any) -> Any:
            x, _ = data
            pairs = (self.generator, self.generator_optimizer), (self.discriminator, self.discriminator_optimizer)
            for (part, optimizer), applies in zip(pairs, setting.applies, strict=True):
                value, gradients = differentiated(part, x)
                for _ in range(applies):
                    optimizer.apply(gradients, part.trainable_variables)
            return {"loss": value}

    model = Pair()
    optimizers = [
        built(setting, getattr(model, name), kind) for name, kind in zip(PARTS, setting.optimizers, strict=True)
    ]
    for name, kind, optimizer in zip(PARTS, setting.optimizers, optimizers, strict=True):
        if kind != "ours":
            optimizer.build(getattr(model, name).trainable_variables)
    model.compile(optimizers)
    by_fit(setting, kernels, model)


WAYS: dict[str, Callable[[Setting, Kernels], None]] = {
    "fit": by_fit,
    "train_on_batch": by_train_on_batch,
    "own train_step": by_own_train_step,
    "optimizers as attributes": by_optimizers_as_attributes,
}
