"""How the parameters of torch's layers lie, compared to those of the same layers in Keras."""

from __future__ import annotations

import re
from collections.abc import Iterator

from torch import nn

from ..core.specs.shared_layout import SECOND_BIAS, Layout, Part
from .roles import Place, places

_TURNED = (1, 0)
_OF_NORMS = {"weight": "gamma", "bias": "beta"}


def layouts(model: nn.Module) -> dict[str, Layout]:
    """The layout of each parameter, by path, that a layer of Keras has as well.

    Those of other layers are missing, and those whose layout depends on where the channels lie in the data.
    """
    found = {}
    for place in places(model):
        owner = place.owner
        if isinstance(place.module, nn.modules.linear.NonDynamicallyQuantizableLinear):  # that of an attention
            owner = f"{owner.removesuffix('out_proj/')}attention_output/"
        parts = tuple(part.within(owner) for part in _parts(place))
        if parts:
            found[place.path] = parts
    return found


def _parts(place: Place) -> Iterator[Part]:
    module, name, shape = place.module, place.name, tuple(place.parameter.shape)
    if isinstance(module, nn.RNNBase):
        yield from _of_rnn(module, name, shape)
    elif isinstance(module, nn.RNNCellBase):
        yield from _of_cell("GRU" if isinstance(module, nn.GRUCell) else "", name, shape)
    elif isinstance(module, nn.MultiheadAttention):
        yield from _of_attention(module, name, shape)
    elif name == "weight" and isinstance(module, nn.modules.conv._ConvNd):
        # Keras' transposed convolutions have no groups.
        if not (module.transposed and module.groups > 1):
            yield _turned("kernel", shape, (*range(2, len(shape)), 1, 0))
    elif name == "weight" and isinstance(module, nn.Linear):
        yield _turned("kernel", shape)
    elif name == "bias" and isinstance(module, (nn.Linear, nn.modules.conv._ConvNd)):
        yield Part("bias", shape)
    elif name == "weight" and isinstance(module, (nn.Embedding, nn.EmbeddingBag)):
        yield Part("embeddings", shape)
    elif len(shape) != 1:
        return
    elif isinstance(module, nn.RMSNorm):
        yield Part("scale", shape)
    elif isinstance(module, (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)) and name in _OF_NORMS:
        yield Part(_OF_NORMS[name], shape)
    elif isinstance(module, nn.PReLU):
        yield Part("alpha", shape)


def _turned(name: str, shape: tuple[int, ...], axes: tuple[int, ...] = _TURNED) -> Part:
    return Part(name, tuple(shape[axis] for axis in axes), axes)


_OF_ATTENTION = {"q_proj_weight": "query", "k_proj_weight": "key", "v_proj_weight": "value"}


def _of_attention(module: nn.MultiheadAttention, name: str, shape: tuple[int, ...]) -> Iterator[Part]:
    width = module.embed_dim
    for number, (own, each) in enumerate(_OF_ATTENTION.items()):
        blocks = ((number * width, (number + 1) * width),)
        if name == "in_proj_weight":
            yield Part(f"{each}/kernel", (width, width), _TURNED, blocks)
        elif name == "in_proj_bias":
            yield Part(f"{each}/bias", (width,), blocks=blocks)
        elif name == own:
            yield _turned(f"{each}/kernel", shape)


_OF_RNN = re.compile(r"(\w+)_l(\d+)(_reverse)?")


def _of_rnn(module: nn.RNNBase, name: str, shape: tuple[int, ...]) -> Iterator[Part]:
    """A cell for each layer and direction: "0/forward_layer/cell/kernel", of which the first parts may be missing."""
    found = _OF_RNN.fullmatch(name)
    if found is None or module.proj_size:
        return
    within, layer, backward = found.groups()
    way = "backward_layer/" if backward else "forward_layer/"
    prefix = f"{layer}/" * (module.num_layers > 1) + way * module.bidirectional
    for part in _of_cell(module.mode, within, shape):
        yield part.within(f"{prefix}cell/")


def _of_cell(kind: str, name: str, shape: tuple[int, ...]) -> Iterator[Part]:
    blocks: tuple[tuple[int, int], ...] = ()
    own = {"weight_ih": "kernel", "weight_hh": "recurrent_kernel", "bias_ih": "bias", "bias_hh": SECOND_BIAS}
    if kind == "GRU":  # Keras' has both biases in one variable, and the gates for update and reset in the other order
        own |= {"bias_ih": "bias/input", "bias_hh": "bias/recurrent"}
        third = shape[0] // 3
        blocks = (third, 2 * third), (0, third), (2 * third, shape[0])
    if name in own:
        yield Part(own[name], shape[::-1], _TURNED if len(shape) == 2 else (), blocks)
