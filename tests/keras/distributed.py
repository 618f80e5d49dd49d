"""Trains with one device and with two, each of them given half of a batch, and prints how the two runs differ.

In a process of its own: the number of devices is decided before tensorflow or jax has started.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import numpy as np

TENSORFLOW = os.environ["KERAS_BACKEND"] == "tensorflow" if "KERAS_BACKEND" in os.environ else True


def main() -> None:
    """Print, for each kind of optimizer, whether the same values were used, and how far the weights are apart."""
    one, two = strategies()

    from samestep import SGDW, AdamW, NAdamW, ParameterRule

    rules = [ParameterRule(role="bias", weight_decay=0)]
    specs = {
        "stock": None,
        "SGDW with momentum": SGDW(0.125, 0.1, 0.9),
        "AdamW with rules, clipped": AdamW(0.01, 0.1, parameters=rules, global_clipnorm=0.1),
        "NAdamW": NAdamW(0.01, 0.1),
    }
    found = {}
    for name, spec in specs.items():
        # Under tensorflow's strategy loss scaling is refused.
        for scaled in (False, True) if name == "AdamW with rules, clipped" and not TENSORFLOW else (False,):
            (weights, trace), (others, other) = trained(one, spec, scaled), trained(two, spec, scaled)
            found[f"{name}, scaled" if scaled else name] = {
                "same values": trace == other and len(trace) == 16,
                "distance": max(float(np.abs(a - b).max()) for a, b in zip(weights, others, strict=True)),
            }
    if TENSORFLOW:
        try:
            trained(two, specs["NAdamW"], False, gradient_accumulation_steps=2)
        except ValueError as error:
            found["refused"] = str(error)
        for name, compiled in {"loss scaling": {"scaled": True}, "steps_per_execution=2": {"executions": 2}}.items():
            try:
                recorded(two, **compiled)
            except ValueError as error:
                found[name] = str(error)
    print(json.dumps(found))


def strategies() -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Two functions that begin the use of one device, and of two; what they return ends it, in a with statement."""
    if TENSORFLOW:
        import tensorflow as tf

        devices = [tf.config.LogicalDeviceConfiguration()] * 2
        tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], devices)
        mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
        return tf.distribute.get_strategy().scope, mirrored.scope

    import keras

    def of(names: list[str]) -> Callable[[], Any]:
        return lambda: keras.distribution.DataParallel(devices=names).scope()

    return of(["cpu:0"]), of(["cpu:0", "cpu:1"])


def recorded(scope: Callable[[], Any], scaled: bool = False, executions: int = 1) -> None:
    """Train with a TraceRecorder alone."""
    import keras

    from samestep import SGDW
    from samestep.keras import TraceRecorder, build_optimizer

    with scope():
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
        optimizer = build_optimizer(SGDW(0.125), model)
        if scaled:
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        model.compile(optimizer, loss="mse", steps_per_execution=executions)
        model.fit(np.ones((8, 4)), np.ones((8, 1)), verbose=0, callbacks=[TraceRecorder()])


def trained(scope: Callable[[], Any], spec: Any, scaled: bool, **options: Any) -> tuple[list[np.ndarray], Any]:
    """The weights after 16 updates, of batches of 8, and what they used."""
    import keras

    from samestep import CosineDecay, Recipe, percent
    from samestep.keras import HyperparameterScheduler, TraceRecorder, build_optimizer

    keras.utils.set_random_seed(1)
    generator = np.random.default_rng(0)
    x, y = (generator.standard_normal((64, width)).astype("float32") for width in (4, 1))
    decays = {name: CosineDecay(over=percent(100)) for name in ("learning_rate", "weight_decay")[: 2 if spec else 1]}
    recorder, scheduler = TraceRecorder(), HyperparameterScheduler(Recipe(spec, **decays), verify=True)
    with scope():
        layers = [keras.layers.Dense(8, activation="tanh"), keras.layers.Dense(1)]
        model = keras.Sequential([keras.Input((4,)), *layers])
        optimizer = build_optimizer(spec, model, **options) if spec else keras.optimizers.SGD(0.125)
        model.compile(keras.optimizers.LossScaleOptimizer(optimizer) if scaled else optimizer, loss="mse")
        model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0, callbacks=[scheduler, recorder])
    return [keras.ops.convert_to_numpy(each) for each in model.trainable_variables], recorder.trace


if __name__ == "__main__":
    main()
