"""Regularizers of a model's layers: read, taken out of the loss and of what is saved, and never lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from samestep import SGDW, AdamW
from samestep.keras import build_optimizer, extract_weight_decay

layers, L1, L2, L1L2 = keras.layers, keras.regularizers.L1, keras.regularizers.L2, keras.regularizers.L1L2


def model() -> keras.Model:
    """Every kind of place where a penalty can be."""
    inputs = keras.Input((5, 4))
    both = {"kernel_regularizer": L2(0.1), "recurrent_regularizer": L1(0.2), "bias_regularizer": L1L2(0.3, 0.4)}
    x = layers.Bidirectional(layers.GRU(3, return_sequences=True, **both), name="both")(inputs)
    x = layers.GRU(2, return_sequences=True, kernel_regularizer=L1(0.5), name="gru")(x)
    attention = layers.MultiHeadAttention(2, 3, kernel_regularizer=L2(0.6), name="attention")
    x = layers.TimeDistributed(layers.Dense(2, kernel_regularizer=L2(0.7)), name="each")(attention(x, x))
    x = layers.SeparableConv1D(2, 2, pointwise_regularizer=L2(0.8), name="separable")(x)
    x = layers.BatchNormalization(gamma_regularizer=L1(0.9), name="norm")(x)
    plain = layers.Dense(1, kernel_regularizer=L1L2(0.0, 0.0), bias_regularizer=L2(1.0), name="plain")
    return keras.Model(inputs, plain(x))


EXPECTED = {
    **{f"both/{way}_layer/cell/kernel": (0.0, 0.1) for way in ("forward", "backward")},
    **{f"both/{way}_layer/cell/recurrent_kernel": (0.2, 0.0) for way in ("forward", "backward")},
    **{f"both/{way}_layer/cell/bias": (0.3, 0.4) for way in ("forward", "backward")},
    "gru/cell/kernel": (0.5, 0.0),
    **{f"attention/{part}/kernel": (0.0, 0.6) for part in ("query", "key", "value", "attention_output")},
    "each/layer/kernel": (0.0, 0.7),
    "separable/pointwise_kernel": (0.0, 0.8),
    "norm/gamma": (0.9, 0.0),
    "plain/bias": (0.0, 1.0),
}


def losses(model: keras.Model) -> list[float]:
    return [float(keras.ops.convert_to_numpy(loss)) for loss in model.losses]


def dense(**options: Any) -> keras.Model:
    return keras.Sequential([keras.Input((2,)), layers.Dense(3, name="a", **options), layers.Dense(1, name="b")])


def test_penalties_are_read_wherever_they_are_and_without_zero_nothing_changes() -> None:
    regular = model()
    count = len(losses(regular))
    for _ in range(2):
        assert extract_weight_decay(regular, zero=False) == EXPECTED
        assert len(losses(regular)) == count == 16  # one of them of a penalty of 0


def test_they_are_taken_out_of_the_loss_and_of_the_saved_model(tmp_path: Path) -> None:
    regular = model()
    assert extract_weight_decay(regular) == EXPECTED
    assert losses(regular) == []
    assert extract_weight_decay(regular) == {}
    regular.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert losses(loaded) == []
    assert extract_weight_decay(loaded) == {}
    assert "regularizers" not in loaded.to_json()
    assert losses(keras.models.clone_model(regular)) == []


def test_one_regularizer_of_two_layers_is_read_for_both_and_serves_another_model_still() -> None:
    shared = L2(0.5)
    first = keras.Sequential([keras.Input((2,)), *(layers.Dense(2, name=n, kernel_regularizer=shared) for n in "ab")])
    other = dense(kernel_regularizer=shared)
    assert extract_weight_decay(first) == {"a/kernel": (0.0, 0.5), "b/kernel": (0.0, 0.5)}
    assert losses(first) == []
    assert float(shared.l2) == 0.5
    assert extract_weight_decay(other) == {"a/kernel": (0.0, 0.5)}


def test_activity_regularizers_stay(tmp_path: Path) -> None:
    regular = dense(kernel_regularizer=L2(0.5), activity_regularizer=L2(0.25))
    assert extract_weight_decay(regular) == {"a/kernel": (0.0, 0.5)}
    regular(np.ones((1, 2)))
    assert len(losses(regular)) == 1
    regular.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(loaded.layers[0].activity_regularizer, L2)
    assert loaded.layers[0].kernel_regularizer is None


class Own(keras.regularizers.Regularizer):
    def __call__(self, x: Any) -> Any:
        return keras.ops.sum(x)


class HalfOfL2(L2):
    """Of a kind that is known, and another penalty."""

    def __call__(self, x: Any) -> Any:
        return 0.5 * super().__call__(x)


@pytest.mark.parametrize("other", [keras.regularizers.OrthogonalRegularizer(), Own(), HalfOfL2(0.5)], ids=type)
def test_another_regularizer_is_refused_and_nothing_is_changed(other: Any) -> None:
    regular = keras.Sequential(
        [
            keras.Input((2,)),
            layers.Dense(3, name="a", kernel_regularizer=L2(0.5)),
            layers.Dense(1, name="b", kernel_regularizer=other),
        ]
    )
    before = losses(regular)
    words = rf"^extract_weight_decay: found a {type(other).__name__} as the regularizer of 'b/kernel'; replace it with"
    with pytest.raises(ValueError, match=words):
        extract_weight_decay(regular)
    assert losses(regular) == before
    assert regular.layers[0].kernel_regularizer is not None


def test_an_optimizer_is_refused_and_nothing_is_changed() -> None:
    regular = dense(kernel_regularizer=L2(0.5))
    for optimizer in (keras.optimizers.AdamW(), build_optimizer(AdamW(), regular)):
        with pytest.raises(ValueError, match=r"found a AdamW whose weight decay is decoupled; set weight_decay="):
            extract_weight_decay(regular, optimizer)
    assert len(losses(regular)) == 1


def test_a_model_that_is_not_built_is_refused_and_keeps_its_penalties() -> None:
    late = keras.Sequential([layers.Dense(3, name="a", kernel_regularizer=L2(0.5)), layers.Dense(1, name="b")])
    with pytest.raises(ValueError, match=r"^extract_weight_decay: found .*not? .*built?.*; .*\.$"):
        extract_weight_decay(late)
    late(np.ones((1, 2)))
    assert extract_weight_decay(late) == {"a/kernel": (0.0, 0.5)}


def test_the_penalty_of_a_frozen_layer_is_not_lost() -> None:
    """Keras leaves it out of the loss as long as the layer is frozen."""
    regular = dense(kernel_regularizer=L2(0.5))
    regular.layers[0].trainable = False
    found = extract_weight_decay(regular)
    regular.layers[0].trainable = True
    again = keras.models.clone_model(regular)
    kept = {"a/kernel": (0.0, 0.5)}
    assert found == kept or extract_weight_decay(again, zero=False) == kept
    assert found == kept or extract_weight_decay(regular, zero=False) == kept
    assert (found == kept) is (losses(regular) == [])


def test_two_parameters_of_the_same_name_do_not_hide_one_another() -> None:
    class Twice(layers.Layer):
        def build(self, shape: Any) -> None:
            self.one = self.add_weight(shape=(2,), name="w", regularizer=L2(0.5))
            self.two = self.add_weight(shape=(2,), name="w", regularizer=L2(0.25))

        def call(self, inputs: Any) -> Any:
            return inputs * self.one * self.two

    regular = keras.Sequential([keras.Input((2,)), Twice(name="twice")])
    assert sorted(extract_weight_decay(regular).values()) == [(0.0, 0.25), (0.0, 0.5)]


@pytest.mark.parametrize("ours", [True, False], ids=["ours", "stock"])
def test_the_next_fit_of_a_model_that_has_trained_has_no_penalty(ours: bool) -> None:
    regular = dense(kernel_regularizer=L2(0.5), kernel_initializer="ones")
    optimizer = build_optimizer(SGDW(2**-4, 0.0), regular) if ours else keras.optimizers.SGD(2**-4)
    regular.compile(optimizer, lambda _, predicted: 0.0 * keras.ops.mean(predicted, axis=-1))
    data = np.ones((2, 2), "float32"), np.ones((2, 1), "float32")
    # Half of the sum of six squares, and at every update 2**-4 off each weight of 1.
    assert regular.fit(*data, verbose=0).history["loss"] == [3.0]
    assert set(regular.get_weights()[0].ravel().tolist()) == {1 - 2**-4}
    assert regular.evaluate(*data, verbose=0) == 3 * (1 - 2**-4) ** 2
    assert extract_weight_decay(regular) == {"a/kernel": (0.0, 0.5)}
    assert regular.fit(*data, verbose=0).history["loss"] == [0.0]
    assert set(regular.get_weights()[0].ravel().tolist()) == {1 - 2**-4}
    assert regular.evaluate(*data, verbose=0) == 0.0
    assert regular.train_on_batch(*data) == 0.0
