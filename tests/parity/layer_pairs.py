"""The layers of torch that have parameters, their counterparts in Keras, and what each parameter is to its layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

import keras
from keras import layers
from torch import nn
from torch.nn.utils import parametrizations

from samestep.core.specs.parameter_rules import Parameter, Role
from samestep.keras.parameters import parameters as keras_parameters
from samestep.torch.parameters import parameters as torch_parameters

Shape = tuple[int | None, ...]
SPATIAL = (4, 4, 4)


class Pair(NamedTuple):
    """A layer of width n in each framework, where it has one, with the shape of an example.

    `roles` has the parameters by role: the name in torch, "=", and that in Keras, or those; one may be missing.
    """

    torch: Callable[[int], nn.Module] | None
    keras: Callable[[int], Any] | None
    shape: Callable[[int], Shape]
    roles: dict[Role, str]


def flat(n: int) -> Shape:
    return (n,)


def sequence(n: int) -> Shape:
    return (4, n)


def tokens(n: int) -> Shape:
    return (4,)


def image(rank: int) -> Callable[[int], Shape]:
    return lambda n: (*SPATIAL[:rank], n)


PLAIN: dict[Role, str] = {"kernel": "weight=kernel", "bias": "bias=bias"}
NORM: dict[Role, str] = {"norm": "weight=gamma bias=beta"}
LOOKUP: dict[Role, str] = {"embedding": "weight=embeddings"}
RECURRENT: dict[Role, str] = {
    "kernel": "weight_ih_l0=cell/kernel weight_hh_l0=cell/recurrent_kernel",
    "bias": "bias_ih_l0=cell/bias bias_hh_l0=cell/bias",
}
CELL: dict[Role, str] = {
    "kernel": "weight_ih=kernel weight_hh=recurrent_kernel",
    "bias": "bias_ih=bias bias_hh=bias",
}
CONVOLUTIONAL_LSTM: dict[Role, str] = {"kernel": "=cell/kernel,cell/recurrent_kernel", "bias": "=cell/bias"}
PROJECTIONS = ("query", "key", "value")
OUT: dict[Role, str] = {
    "kernel": "out_proj/weight=attention_output/kernel",
    "bias": "out_proj/bias=attention_output/bias",
}


def in_keras(part: str) -> str:
    return ",".join(f"{each}/{part}" for each in PROJECTIONS)


def convolutions() -> Iterator[tuple[str, Pair]]:
    for rank in (1, 2, 3):
        plain, turned = getattr(nn, f"Conv{rank}d"), getattr(nn, f"ConvTranspose{rank}d")
        theirs, back = getattr(layers, f"Conv{rank}D"), getattr(layers, f"Conv{rank}DTranspose")
        shape = image(rank)
        yield f"convolution {rank}", Pair(lambda n, c=plain: c(n, n, 1), lambda n, c=theirs: c(n, 1), shape, PLAIN)
        yield f"transposed {rank}", Pair(lambda n, c=turned: c(n, n, 1), lambda n, c=back: c(n, 1), shape, PLAIN)
        lstm = getattr(layers, f"ConvLSTM{rank}D")
        yield (
            f"convolutional lstm {rank}",
            Pair(None, lambda n, c=lstm: c(n, 1), lambda n, s=shape: (2, *s(n)), CONVOLUTIONAL_LSTM),
        )
    for rank in (1, 2):
        plain = getattr(nn, f"Conv{rank}d")
        depthwise, separable = getattr(layers, f"DepthwiseConv{rank}D"), getattr(layers, f"SeparableConv{rank}D")
        yield (
            f"depthwise {rank}",
            Pair(lambda n, c=plain: c(n, n, 1, groups=n), lambda n, c=depthwise: c(1), image(rank), PLAIN),
        )
        yield (
            f"separable {rank}",
            Pair(
                lambda n, c=plain: nn.Sequential(c(n, n, 1, groups=n, bias=False), c(n, n, 1)),
                lambda n, c=separable: c(n, 1),
                image(rank),
                {"kernel": "0/weight=depthwise_kernel 1/weight=pointwise_kernel", "bias": "1/bias=bias"},
            ),
        )


def recurrent() -> Iterator[tuple[str, Pair]]:
    for name, theirs in (("RNN", "SimpleRNN"), ("LSTM", "LSTM"), ("GRU", "GRU")):
        layer, cell = getattr(nn, name), getattr(nn, f"{name}Cell")
        its, its_cell = getattr(layers, theirs), getattr(layers, f"{theirs}Cell")
        yield name, Pair(lambda n, c=layer: c(n, n), lambda n, c=its: c(n), sequence, RECURRENT)
        # A cell alone has no shape of a sequence; within an RNN it has the same parameters.
        yield f"{name} cell", Pair(lambda n, c=cell: c(n, n), lambda n, c=its_cell: Alone(c(n)), flat, CELL)
        yield (
            f"{name} both ways",
            Pair(
                lambda n, c=layer: c(n, n, bidirectional=True),
                lambda n, c=its: layers.Bidirectional(c(n)),
                sequence,
                {
                    role: " ".join(
                        f"{ours}{way}={at}_layer/{its}"
                        for way, at in (("", "forward"), ("_reverse", "backward"))
                        for ours, _, its in (each.partition("=") for each in names.split())
                    )
                    for role, names in RECURRENT.items()
                },
            ),
        )
    projected = {**RECURRENT, "kernel": "weight_ih_l0= weight_hh_l0= weight_hr_l0=", "bias": "bias_ih_l0= bias_hh_l0="}
    yield "projected LSTM", Pair(lambda n: nn.LSTM(n, n + 1, proj_size=n), None, sequence, projected)


def norms() -> Iterator[tuple[str, Pair]]:
    for kind in ("BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "SyncBatchNorm"):
        yield kind, Pair(lambda n, k=kind: getattr(nn, k)(n), lambda n: layers.BatchNormalization(), flat, NORM)
    for kind in ("InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d"):
        yield (
            kind,
            Pair(
                lambda n, k=kind: getattr(nn, k)(n, affine=True),
                lambda n: layers.GroupNormalization(groups=-1),
                sequence,
                NORM,
            ),
        )
    yield "group norm", Pair(lambda n: nn.GroupNorm(1, n), lambda n: layers.GroupNormalization(1), sequence, NORM)
    yield "layer norm", Pair(nn.LayerNorm, lambda n: layers.LayerNormalization(), sequence, NORM)
    yield (
        "layer norm of two axes",
        Pair(
            lambda n: nn.LayerNorm((4, n)),
            lambda n: layers.LayerNormalization(axis=[1, 2]),
            sequence,
            NORM,
        ),
    )
    yield (
        "rms norm",
        Pair(nn.RMSNorm, lambda n: layers.RMSNormalization(), sequence, {"norm": "weight=scale"}),
    )


PAIRS: dict[str, Pair] = {
    "dense": Pair(lambda n: nn.Linear(n, n), layers.Dense, flat, PLAIN),
    "dense, to one": Pair(lambda n: nn.Linear(n, 1), lambda n: layers.Dense(1), flat, PLAIN),
    "einsum": Pair(
        lambda n: nn.Linear(n, n),
        lambda n: layers.EinsumDense("ab,bcd->acd", (1, n), bias_axes="cd"),
        flat,
        PLAIN,
    ),
    "bilinear": Pair(lambda n: nn.Bilinear(n, n, n), None, flat, {"kernel": "weight=", "bias": "bias="}),
    **dict(convolutions()),
    **dict(recurrent()),
    **dict(norms()),
    "embedding": Pair(lambda n: nn.Embedding(n, n), lambda n: layers.Embedding(n, n), tokens, LOOKUP),
    "bag": Pair(lambda n: nn.EmbeddingBag(n, n), lambda n: layers.Embedding(n, n), tokens, LOOKUP),
    "embedding with an output": Pair(
        lambda n: nn.ModuleList([nn.Embedding(n, n), nn.Linear(n, n, bias=False)]),
        # Keras has it since 3.12.
        (lambda n: layers.ReversibleEmbedding(n, n, tie_weights=False))
        if hasattr(layers, "ReversibleEmbedding")
        else None,
        tokens,
        {"embedding": "0/weight=embeddings", "kernel": "1/weight=reverse_embeddings"},
    ),
    "prelu": Pair(nn.PReLU, lambda n: layers.PReLU(shared_axes=[1, 2]), image(2), {"bias": "weight=alpha"}),
    "prelu of one slope": Pair(
        lambda n: nn.PReLU(), lambda n: layers.PReLU(shared_axes=[1, 2, 3]), image(2), {"bias": "weight=alpha"}
    ),
    "prelu, a slope per place": Pair(None, lambda n: layers.PReLU(), image(2), {"bias": "=alpha"}),
    "attention": Pair(
        lambda n: nn.MultiheadAttention(n, 1),
        lambda n: Twice(layers.MultiHeadAttention(1, n)),
        sequence,
        {
            "kernel": f"in_proj_weight={in_keras('kernel')} {OUT['kernel']}",
            "bias": f"in_proj_bias={in_keras('bias')} {OUT['bias']}",
        },
    ),
    "attention to others": Pair(
        lambda n: nn.MultiheadAttention(n, 1, kdim=2, vdim=2, add_bias_kv=True),
        lambda n: Twice(layers.MultiHeadAttention(1, n)),
        sequence,
        {
            "kernel": " ".join(f"{each[0]}_proj_weight={each}/kernel" for each in PROJECTIONS) + f" {OUT['kernel']}",
            "bias": f"in_proj_bias={in_keras('bias')} bias_k= bias_v= {OUT['bias']}",
        },
    ),
    "grouped attention": Pair(
        None,
        lambda n: Twice(layers.GroupQueryAttention(n, 2, 1)),
        sequence,
        {
            "kernel": f"={in_keras('kernel')},attention_output/kernel",
            "bias": f"={in_keras('bias')},attention_output/bias",
        },
    ),
    "scaled attention": Pair(None, lambda n: Pairwise(layers.Attention(use_scale=True)), sequence, {"bias": "=scale"}),
    "additive attention": Pair(None, lambda n: Pairwise(layers.AdditiveAttention()), sequence, {"bias": "=scale"}),
    "spectrogram": Pair(
        None, lambda n: layers.STFTSpectrogram(frame_length=2), sequence, {"kernel": "=real_kernel,imag_kernel"}
    ),
    "spectral norm": Pair(
        lambda n: parametrizations.spectral_norm(nn.Linear(n, 1)),
        lambda n: layers.SpectralNormalization(layers.Dense(1)),
        flat,
        {"kernel": "parametrizations/weight/original=kernel", "bias": "bias=layer/bias"},
    ),
    "spectral norm of an embedding": Pair(
        lambda n: parametrizations.spectral_norm(nn.Embedding(n, n)),
        lambda n: layers.SpectralNormalization(layers.Embedding(n, n)),
        tokens,
        {"embedding": "parametrizations/weight/original=embeddings"},
    ),
    "weight norm": Pair(
        lambda n: parametrizations.weight_norm(nn.Linear(n, n)),
        None,
        flat,
        {"kernel": "parametrizations/weight/original1=", "bias": "parametrizations/weight/original0= bias="},
    ),
}


class Alone(layers.Layer):
    """A cell that makes one step from a state of ones."""

    def __init__(self, cell: Any) -> None:
        super().__init__()
        self.cell = cell

    def call(self, inputs: Any) -> Any:
        ones = keras.ops.ones((1, self.cell.units))
        return self.cell(inputs, [ones, ones] if isinstance(self.cell, layers.LSTMCell) else [ones])[0]


class Twice(layers.Layer):
    """A layer of two inputs that is given one."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer = layer

    def call(self, inputs: Any) -> Any:
        return self.layer(inputs, inputs)


class Pairwise(Twice):
    """A layer of a list of two inputs."""

    def call(self, inputs: Any) -> Any:
        return self.layer([inputs, inputs])


def in_torch_of(name: str, n: int) -> dict[str, Parameter]:
    """The parameters of torch's layer, by name."""
    make = PAIRS[name].torch
    assert make
    return {parameter.path: parameter for parameter, _ in torch_parameters(make(n))}


def in_keras_of(name: str, n: int) -> dict[str, Parameter]:
    """The parameters of Keras' layer, by name."""
    layer = keras_layer(name, n)
    found = [parameter for parameter, _ in keras_parameters(keras.Sequential([layer]))]
    return {parameter.path.removeprefix(f"{layer.name}/{outside(layer)}"): parameter for parameter in found}


def outside(layer: Any) -> str:
    """What stands before the names of a layer that another one calls."""
    return "cell/" if isinstance(layer, Alone) else "layer/" if isinstance(layer, Twice) else ""


@cache
def keras_layer(name: str, n: int) -> Any:
    """Keras' layer, built."""
    pair = PAIRS[name]
    assert pair.keras
    layer = pair.keras(n)
    dtype = "int32" if pair.shape is tokens else "float32"
    keras.Sequential([keras.Input(pair.shape(n), dtype=dtype), layer])
    return layer


def names_of(pair: Pair, side: int) -> dict[str, Role]:
    """The role of each parameter by its name in torch (side 0) or in Keras (side 1)."""
    return {
        name: role
        for role, entries in pair.roles.items()
        for entry in entries.split()
        for name in entry.split("=")[side].split(",")
        if name
    }
