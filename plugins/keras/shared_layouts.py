"""How the variables of Keras' layers lie in the layout that the frameworks share, which for most is their own."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import keras
from keras import layers

from ..core.specs.shared_layout import Layout, Part
from .parameters import layers_within, parameters
from .roles import NORMS

_PLAIN = (
    layers.Dense,
    *(layers.Conv1D, layers.Conv2D, layers.Conv3D),
    *(layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose),
    *(layers.SimpleRNNCell, layers.LSTMCell, layers.GRUCell),
    layers.Embedding,
)
_BY_CHANNEL = (layers.DepthwiseConv1D, layers.DepthwiseConv2D, layers.SeparableConv1D, layers.SeparableConv2D)


def layouts(model: keras.Model) -> dict[str, Layout]:
    """The layout of each parameter, by path, that a layer of torch has as well.

    Those of other layers are missing, and those whose layout depends on where the channels lie in the data.
    """
    paths = {id(variable): parameter.path for parameter, variable in parameters(model)}
    found: dict[str, Layout] = {}
    for prefix, layer in layers_within(model):
        for variable, parts in _of_layer(layer):
            if id(variable) in paths and parts:
                found.setdefault(paths[id(variable)], tuple(part.within(prefix) for part in parts))
    return found


def _of_layer(layer: layers.Layer) -> Iterator[tuple[keras.Variable, Layout]]:
    if isinstance(layer, layers.TorchModuleWrapper):
        from ..torch.roles import places
        from ..torch.shared_layouts import layouts as of_torch

        its, variables = of_torch(layer.module), {id(each.value): each for each in layer._trainable_variables}
        yield from (
            (variables[id(place.parameter)], its.get(place.path, ()))
            for place in places(layer.module)
            if id(place.parameter) in variables
        )
        return
    for variable in layer._trainable_variables:
        yield variable, tuple(_parts(layer, variable.name, tuple(variable.shape)))


def _parts(layer: layers.Layer, name: str, shape: tuple[int, ...]) -> Iterator[Part]:
    if isinstance(layer, layers.EinsumDense):
        yield from _of_einsum(layer, name, shape)
    elif isinstance(layer, layers.GRUCell) and name == "bias" and len(shape) == 2:
        for row, each in enumerate(("input", "recurrent")):
            yield Part(f"bias/{each}", shape[1:], blocks=((row, row + 1),))
    elif isinstance(layer, _BY_CHANNEL) and name in ("kernel", "depthwise_kernel"):
        # As a convolution in as many groups as there are channels.
        yield Part(name, (*shape[:-2], 1, shape[-2] * shape[-1]))
    elif isinstance(layer, layers.PReLU):
        if sum(size != 1 for size in shape) <= 1:  # a slope per channel, or one
            yield Part(name, (prod(shape),))
    elif isinstance(layer, (*_PLAIN, *_BY_CHANNEL)) or (isinstance(layer, NORMS) and len(shape) == 1):
        yield Part(name, shape)


def _of_einsum(layer: layers.EinsumDense, name: str, shape: tuple[int, ...]) -> Iterator[Part]:
    """As the Dense layer that it is, of all inputs that are summed over to all outputs that come in."""
    sides, _, outputs = layer.equation.replace("...", "").partition("->")
    inputs, _, kernel = sides.partition(",")
    summed = [letter for letter in inputs if letter in kernel and letter not in outputs]
    new = [letter for letter in outputs if letter in kernel and letter not in inputs]
    if len(summed) + len(new) < len(kernel):  # a kernel for each of something
        return
    sizes = dict(zip(kernel, layer.kernel.shape, strict=True))
    units = prod(sizes[letter] for letter in new)
    if name == "kernel":
        axes = tuple(kernel.index(letter) for letter in summed + new)
        yield Part(name, (prod(sizes[letter] for letter in summed), units), axes)
    elif prod(shape) == units:
        yield Part(name, (units,))
