"""`Adam(decay=d)` of Keras 2 is `InverseTimeDecay(d, every=updates(1))`: the legacy optimizers themselves say so."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

from samestep import AdamW, InverseTimeDecay, Recipe, updates
from samestep.keras import HyperparameterScheduler

from .tiny_training import followed, probe, train

RATE, DECAY, UPDATES = 0.125, 0.01, 15


@pytest.fixture(scope="module")
def legacy() -> Any:
    """`tf_keras.optimizers.legacy`, which runs on tensorflow beside Keras 3 on any backend."""
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    import tf_keras

    return tf_keras.optimizers.legacy


def adam_rates(legacy: Any) -> list[np.float32]:
    """What the legacy Adam says, before each update, that it uses."""
    import tensorflow as tf

    optimizer, weight, rates = legacy.Adam(RATE, decay=DECAY), tf.Variable(0.0), []
    for _ in range(UPDATES):
        rates.append(np.float32(optimizer._decayed_lr(tf.float32)))
        optimizer.apply_gradients([(tf.constant(1.0), weight)])
    return rates


def sgd_rates(legacy: Any) -> list[np.float32]:
    """What each update of the legacy SGD takes off a weight of 0 with gradient 1."""
    import tensorflow as tf

    optimizer, weight, rates = legacy.SGD(RATE, decay=DECAY), tf.Variable(0.0), []
    for _ in range(UPDATES):
        weight.assign(0.0)
        optimizer.apply_gradients([(tf.constant(1.0), weight)])
        rates.append(np.float32(-weight.numpy()))
    return rates


@pytest.mark.parametrize("read", [adam_rates, sgd_rates])
def test_inverse_time_decay_is_the_legacy_decay_at_every_update(read: Any, legacy: Any) -> None:
    spec = AdamW(RATE, weight_decay=0.0, betas=(0.0, 0.0))
    recipe = Recipe(spec, learning_rate=InverseTimeDecay(DECAY, every=updates(1)))
    run = train(probe(spec), HyperparameterScheduler(recipe), batches=5, epochs=3)
    ours, theirs = np.array(run.trace.column("learning_rate"), "float32"), np.array(read(legacy))
    # The legacy optimizers divide in float32, the plan in float64: they round differently, by one unit at most.
    assert np.all(np.abs(ours - theirs) <= np.spacing(theirs))
    assert ours[0] == RATE
    assert len(set(theirs)) == UPDATES
    followed(run, recipe.plan(5, 3), 5)
