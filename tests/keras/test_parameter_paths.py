"""The path and role of each parameter of a Keras model, however its layers are put together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from samestep import AdamW, ParameterRule
from samestep.keras import build_optimizer, describe_parameters

layers = keras.layers


def rows(model: Any, spec: AdamW | None = None) -> dict[str, Any]:
    found = describe_parameters(spec or AdamW(), model)
    assert len({row.path for row in found}) == len(found) == len(model.trainable_variables)
    return {row.path: row for row in found}


def kernel_and_bias(*names: str) -> list[str]:
    return [f"{name}/{each}" for name in names for each in ("kernel", "bias")]


def sequential() -> keras.Model:
    return keras.Sequential([keras.Input((2,)), layers.Dense(3, name="a"), layers.Dense(1, name="b")], name="whole")


def test_a_sequential_model_has_the_names_of_its_layers() -> None:
    assert list(rows(sequential())) == kernel_and_bias("a", "b")


def test_a_functional_model_has_the_names_of_its_layers_and_those_of_the_models_inside() -> None:
    inputs = keras.Input((2,))
    inner = keras.Model(inputs, layers.Dense(2, name="d")(inputs), name="inner")
    deep = keras.Sequential([keras.Input((2,)), inner, layers.Dense(2, name="e")], name="deep")
    outputs = layers.Dense(1, name="head")(deep(layers.Dense(2, name="first")(inputs)))
    assert list(rows(keras.Model(inputs, outputs))) == kernel_and_bias("first", "deep/inner/d", "deep/e", "head")


class Subclassed(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.first = layers.Dense(2, name="other")
        self.blocks = [layers.Dense(2) for _ in range(2)]
        self.heads = {"a": layers.Dense(1), "b": [layers.Dense(1), layers.Dense(1)]}
        self.inner = sequential()

    def call(self, inputs: Any) -> Any:
        x = self.first(inputs)
        for block in self.blocks:
            x = block(x)
        return self.heads["a"](x) + self.heads["b"][0](x) + self.heads["b"][1](x) + self.inner(x)


def test_a_subclassed_model_has_the_names_of_its_attributes_with_indices_and_keys() -> None:
    model = Subclassed()
    model(np.ones((1, 2)))
    expected = kernel_and_bias(
        "first", "blocks/0", "blocks/1", "heads/a", "heads/b/0", "heads/b/1", "inner/a", "inner/b"
    )
    assert sorted(rows(model)) == sorted(expected)


class Underscored(keras.Model):
    """As many write it, and as Keras' own layers do."""

    def __init__(self) -> None:
        super().__init__()
        self._encoder = layers.Dense(2)
        self._blocks = [layers.Dense(2) for _ in range(2)]

    def call(self, inputs: Any) -> Any:
        return self._blocks[1](self._blocks[0](self._encoder(inputs)))


def test_the_paths_of_a_model_made_twice_are_the_same() -> None:
    found = []
    for make in (Underscored, Underscored, Subclassed, Subclassed):
        model = make()
        model(np.ones((1, 2)))
        found.append(list(rows(model)))
    assert found[0] == found[1]
    assert found[2] == found[3]


def test_wrappers_and_cells_are_parts_of_the_path() -> None:
    model = keras.Sequential(
        [
            keras.Input((5, 4)),
            layers.Bidirectional(layers.GRU(3, return_sequences=True), name="both"),
            layers.RNN([layers.LSTMCell(2), layers.GRUCell(2)], return_sequences=True, name="stack"),
            layers.TimeDistributed(layers.Dense(2), name="each"),
        ]
    )
    cell = ["kernel", "recurrent_kernel", "bias"]
    found = rows(model)
    assert list(found) == [
        *(f"both/{way}_layer/cell/{name}" for way in ("forward", "backward") for name in cell),
        *(f"stack/cell/cells/{index}/{name}" for index in range(2) for name in cell),
        *kernel_and_bias("each/layer"),
    ]
    assert {path: row.role for path, row in found.items()} == {
        path: "bias" if path.endswith("bias") else "kernel" for path in found
    }
    assert found["both/forward_layer/cell/bias"].shape == (2, 9)


NORMS: dict[str, Callable[[], keras.layers.Layer]] = {
    "batch": layers.BatchNormalization,
    "layer": layers.LayerNormalization,
    "group": lambda: layers.GroupNormalization(groups=1),
    "rms": layers.RMSNormalization,
}


def test_roles_are_those_of_the_layers_and_not_of_the_names() -> None:
    class Scale(layers.Layer):
        def build(self, shape: Any) -> None:
            self.kernel = self.add_weight(shape=(), name="kernel")
            self.bias_table = self.add_weight(shape=(2, 2), name="bias_table")

        def call(self, inputs: Any) -> Any:
            return inputs * self.kernel + keras.ops.sum(self.bias_table)

    inputs = keras.Input((5,), dtype="int32")
    x = layers.Embedding(7, 4, name="table")(inputs)
    x = layers.MultiHeadAttention(2, 3, name="attention")(x, x)
    for name, make in NORMS.items():
        norm = make()
        norm.name = name
        x = norm(x)
    x = layers.DepthwiseConv1D(2, name="depthwise")(layers.Conv1D(4, 2, name="convolution")(x))
    x = layers.EinsumDense("abc,cde->abde", (None, 2, 3), bias_axes="de", name="einsum")(x)
    model = keras.Model(inputs, Scale(name="scale")(x))
    roles: dict[str, set[str]] = {}
    for path, row in rows(model).items():
        roles.setdefault(row.role, set()).add(path)
    assert roles["embedding"] == {"table/embeddings"}
    assert roles["norm"] == {"rms/scale", *(f"{n}/{p}" for n in ("batch", "layer", "group") for p in ("gamma", "beta"))}
    parts = [f"attention/{name}" for name in ("query", "key", "value", "attention_output")]
    assert roles["bias"] == {
        "scale/kernel",
        *(f"{name}/bias" for name in ("convolution", "depthwise", "einsum", *parts)),
    }
    assert {"scale/bias_table", "einsum/kernel", "depthwise/kernel", "convolution/kernel"} <= roles["kernel"]
    assert {f"{part}/kernel" for part in parts} <= roles["kernel"]


if keras.backend.backend() == "torch":  # the others hold no module of torch

    def test_a_module_of_torch_has_torchs_names_and_roles() -> None:
        from torch import nn

        class Mixed(keras.Model):
            def __init__(self) -> None:
                super().__init__()
                self.body = nn.Sequential(nn.Conv1d(1, 2, 1), nn.BatchNorm1d(2))
                self.table = layers.TorchModuleWrapper(nn.Embedding(3, 4))
                self.frozen = nn.Linear(2, 2).requires_grad_(False)

            def call(self, inputs: Any) -> Any:
                return self.body(inputs)

        for _ in range(2):  # Keras numbers the variables of all wrappers
            model = Mixed()
            model(np.ones((2, 1, 3), "float32"))
            assert {path: row.role for path, row in rows(model).items()} == {
                "body/0/weight": "kernel",
                "body/0/bias": "bias",
                "body/1/weight": "norm",
                "body/1/bias": "norm",
                "table/weight": "embedding",
            }


def test_a_shared_layer_comes_once() -> None:
    inputs = keras.Input((2,))
    shared = layers.Dense(2, name="shared")
    model = keras.Model(inputs, layers.Add()([shared(inputs), shared(shared(inputs))]))
    assert list(rows(model)) == kernel_and_bias("shared")


def test_frozen_layers_are_in_no_row_and_match_no_rule() -> None:
    model = sequential()
    model.layers[0].trainable = False
    no_bias = AdamW(0.5, 0.25, parameters=[ParameterRule(role="bias", weight_decay=0)])
    assert list(rows(model, no_bias)) == kernel_and_bias("b")
    for function in (describe_parameters, build_optimizer):
        with pytest.raises(ValueError, match=r"path='a/\*', .*matches no parameter; the model has 'b/kernel', 'b/"):
            function(AdamW(parameters=[ParameterRule(path="a/*", weight_decay=0)]), model)
    model.compile(build_optimizer(no_bias, model), lambda _, p: 0.0 * keras.ops.mean(p, axis=-1))
    before = model.get_weights()
    model.fit(np.ones((2, 2)), np.ones((2, 1)), verbose=0)
    after = model.get_weights()
    assert [np.array_equal(*pair) for pair in zip(before, after, strict=True)] == [True, True, False, True]
    assert np.array_equal(after[2], before[2] * np.float32(0.875))


def test_a_model_that_is_not_built_cannot_be_described() -> None:
    model = keras.Sequential([layers.Dense(1)], name="late")
    with pytest.raises(ValueError, match=r"^describe_parameters: found the model 'late', which is not built"):
        describe_parameters(AdamW(), model)


def test_the_table_has_the_base_values_that_the_optimizer_uses(capsys: pytest.CaptureFixture[str]) -> None:
    spec = AdamW(0.5, 0.25, parameters=[ParameterRule(role="bias", weight_decay=0, learning_rate=2)])
    model = sequential()
    table = describe_parameters(spec, model)
    assert capsys.readouterr().out == "", "whoever prints it has it once"
    assert repr(table) == str(table)
    assert [row[4:] for row in table] == [(0.5, 0.25, 0.0), (1.0, 0.0, 0.0)] * 2
    assert str(table).splitlines()[2] == "a/bias    3      bias    0     1              0"
    optimizer: Any = build_optimizer(spec, model)
    optimizer.build(model.trainable_variables)
    assert [optimizer.table.group(index) for index in range(4)] == [0, 1, 0, 1]
    assert optimizer.table.base["learning_rate"] == [0.5, 1.0]
    assert optimizer.table.base["weight_decay"] == [0.25, 0.0]
