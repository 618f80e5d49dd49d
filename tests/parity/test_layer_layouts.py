"""The moments of a layer are handed over as its weights have to be: with those, both frameworks compute the same."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pytest
import torch
from torch import nn

from samestep.core.checkpoints.saved import Saved
from samestep.exchange import Exchange, Names, ParameterState, mapped
from samestep.keras.parameters import parameters as keras_parameters
from samestep.keras.shared_layouts import layouts as keras_layouts
from samestep.torch.parameters import parameters as torch_parameters
from samestep.torch.shared_layouts import layouts as torch_layouts

layers = keras.layers
N, T = 4, 5  # the width, which is also that of the kernels' other axes, and the length of a sequence


class Case(NamedTuple):
    """A layer in both frameworks, the shape of an example in Keras, and what differs in how it is called."""

    torch: Callable[[], nn.Module]
    keras: Callable[[], Any]
    shape: tuple[int, ...]
    call: Callable[[Any, Any], Any] = lambda module, x: module(x)
    to_torch: Names | None = None
    to_keras: Names | None = None


def channels_first(module: Any, x: Any) -> Any:
    return module(x.movedim(-1, 1)).movedim(1, -1)


def first(module: Any, x: Any) -> Any:
    return module(x)[0]


def frozen_second_bias(module: nn.Module) -> nn.Module:
    for name, parameter in module.named_parameters():
        if "bias_hh" in name:
            parameter.requires_grad_(False).zero_()
    return module


def rnn(kind: type[nn.Module], theirs: Any, **how: Any) -> Case:
    freeze = (lambda module: module) if kind is nn.GRU else frozen_second_bias

    def in_keras() -> Any:
        layer = theirs(N, return_sequences=True)
        return layers.Bidirectional(layer) if how.get("bidirectional") else layer

    return Case(lambda: freeze(kind(N, N, batch_first=True, **how)), in_keras, (T, N), first)


def convolutions() -> dict[str, Case]:
    found = {}
    for rank in (1, 2, 3):
        shape = (*(T, T, T)[:rank], N)
        plain, turned = getattr(nn, f"Conv{rank}d"), getattr(nn, f"ConvTranspose{rank}d")
        theirs, back = getattr(layers, f"Conv{rank}D"), getattr(layers, f"Conv{rank}DTranspose")
        found[f"convolution {rank}"] = Case(lambda c=plain: c(N, N, 2), lambda c=theirs: c(N, 2), shape, channels_first)
        found[f"transposed {rank}"] = Case(lambda c=turned: c(N, N, 2), lambda c=back: c(N, 2), shape, channels_first)
    for rank in (1, 2):
        shape = (*(T, T)[:rank], N)
        plain, theirs = getattr(nn, f"Conv{rank}d"), getattr(layers, f"DepthwiseConv{rank}D")
        found[f"depthwise {rank}"] = Case(
            lambda c=plain: c(N, 3 * N, 2, groups=N),
            lambda c=theirs: c(2, depth_multiplier=3),
            shape,
            channels_first,
        )
        separable = getattr(layers, f"SeparableConv{rank}D")
        found[f"separable {rank}"] = Case(
            lambda c=plain: nn.Sequential(c(N, 2 * N, 2, groups=N, bias=False), c(2 * N, N, 1)),
            lambda c=separable: c(N, 2, depth_multiplier=2),
            shape,
            channels_first,
            {
                "layer/0/weight": "layer/depthwise_kernel",
                "layer/1/weight": "layer/pointwise_kernel",
                "layer/1/bias": "layer/bias",
            },
            {
                "layer/depthwise_kernel": "layer/0/weight",
                "layer/pointwise_kernel": "layer/1/weight",
                "layer/bias": "layer/1/bias",
            },
        )
    return found


class Projections(nn.Module):
    """An attention as many write it: a Linear for each projection."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(N, N) for _ in range(4))

    def forward(self, x: Any) -> Any:
        q, k, v = (each(x).unflatten(-1, (2, N // 2)).transpose(1, 2) for each in (self.q, self.k, self.v))
        mixed = torch.softmax(q @ k.transpose(-1, -2) / (N // 2) ** 0.5, -1) @ v
        return self.o(mixed.transpose(1, 2).flatten(-2))


class Attention(layers.Layer):
    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer = layer

    def call(self, x: Any) -> Any:
        return self.layer(x, x)


def attending(module: Any, x: Any) -> Any:
    return module(x, x, x)[0]


INSIDE: Names = {"layer": "layer/layer"}  # Keras' attention lies in a layer that calls it
PARTS = {"q": "query", "k": "key", "v": "value", "o": "attention_output"}

CASES = {
    "linear": Case(lambda: nn.Linear(N, N), lambda: layers.Dense(N), (N,)),
    "einsum": Case(
        lambda: nn.Linear(N, 6),
        lambda: layers.EinsumDense("ab,bcd->acd", (2, 3), bias_axes="cd"),
        (N,),
        lambda module, x: module(x).unflatten(-1, (2, 3)),
    ),
    "einsum, outputs turned": Case(
        lambda: nn.Linear(N, 6),
        lambda: layers.EinsumDense("ab,bdc->acd", (2, 3), bias_axes="cd"),
        (N,),
        lambda module, x: module(x).unflatten(-1, (2, 3)),
    ),
    **convolutions(),
    "rnn": rnn(nn.RNN, layers.SimpleRNN),
    "lstm": rnn(nn.LSTM, layers.LSTM),
    "gru": rnn(nn.GRU, layers.GRU),
    "lstm both ways": rnn(nn.LSTM, layers.LSTM, bidirectional=True),
    "gru both ways": rnn(nn.GRU, layers.GRU, bidirectional=True),
    "two layers of gru": Case(
        lambda: nn.GRU(N, N, 2, batch_first=True),
        lambda: keras.Sequential([layers.GRU(N, return_sequences=True, name=f"gru_{n}") for n in range(2)]),
        (T, N),
        first,
        {"layer/0": "layer/gru_0", "layer/1": "layer/gru_1"},
        {"layer/gru_0": "layer/0", "layer/gru_1": "layer/1"},
    ),
    "batch norm": Case(lambda: nn.BatchNorm1d(N, eps=1e-3), layers.BatchNormalization, (N,)),
    "group norm": Case(lambda: nn.GroupNorm(2, N, 1e-3), lambda: layers.GroupNormalization(2), (T, N), channels_first),
    "layer norm": Case(lambda: nn.LayerNorm(N, 1e-3), layers.LayerNormalization, (N,)),
    "rms norm": Case(lambda: nn.RMSNorm(N, 1e-6), layers.RMSNormalization, (N,)),
    "prelu": Case(lambda: nn.PReLU(N), lambda: layers.PReLU(shared_axes=[1]), (T, N), channels_first),
    "embedding": Case(
        lambda: nn.Embedding(T, N), lambda: layers.Embedding(T, N), (), lambda module, x: module(x.abs().long() % T)
    ),
    "attention": Case(
        lambda: nn.MultiheadAttention(N, 2, batch_first=True),
        lambda: Attention(layers.MultiHeadAttention(2, N // 2)),
        (T, N),
        attending,
        INSIDE,
        {"layer/layer": "layer"},
    ),
    "projections": Case(
        Projections,
        lambda: Attention(layers.MultiHeadAttention(2, N // 2)),
        (T, N),
        to_torch={f"layer/{ours}": f"layer/layer/{theirs}" for ours, theirs in PARTS.items()},
        to_keras={f"layer/layer/{theirs}": f"layer/{ours}" for ours, theirs in PARTS.items()},
    ),
}


def in_keras(case: Case) -> Any:
    layer = case.keras()
    layer.name = "layer"
    dtype = "int32" if case.shape == () else "float32"
    return keras.Sequential([keras.Input(case.shape, dtype=dtype), layer])


def exchange(weights: dict[str, np.ndarray], layouts: Any) -> Exchange:
    """A file in which the moment of a parameter is the parameter itself."""
    states = {path: ParameterState(1, {"moment": array}) for path, array in weights.items()}
    return Exchange(Saved(1), {0: "AdamW"}, states, layouts)


@pytest.mark.parametrize("name", CASES)
def test_both_frameworks_compute_the_same_with_what_was_handed_over(name: str) -> None:
    case, random = CASES[name], np.random.default_rng(0)
    module, model = nn.ModuleDict({"layer": case.torch()}), in_keras(case)
    ours, theirs = dict(named(torch_parameters(module))), dict(named(keras_parameters(model)))
    weights = {path: random.standard_normal(tuple(p.shape)).astype("float32") for path, p in ours.items()}
    for path, parameter in ours.items():
        parameter.data = torch.tensor(weights[path])

    shapes = {path: tuple(variable.shape) for path, variable in theirs.items()}
    found = mapped(exchange(weights, torch_layouts(module)), shapes, case.to_keras, keras_layouts(model))
    for path, variable in theirs.items():
        variable.assign(found[path].moments["moment"])
    x = random.standard_normal((3, *case.shape)).astype("float32")
    if not case.shape:
        x = np.array([0, 2, 4], "float32")
    with torch.no_grad():
        expected = case.call(module.eval()["layer"], torch.tensor(x)).numpy()
    # float32, by kernels of two libraries
    np.testing.assert_allclose(keras.ops.convert_to_numpy(model(x)), expected, rtol=1e-4, atol=1e-5)

    back = exchange({path: found[path].moments["moment"] for path in theirs}, keras_layouts(model))
    again = mapped(back, {path: each.shape for path, each in weights.items()}, case.to_torch, torch_layouts(module))
    for path, weight in weights.items():
        assert np.array_equal(again[path].moments["moment"], weight), path


def named(parameters: Any) -> Any:
    return ((described.path, value) for described, value in parameters)
