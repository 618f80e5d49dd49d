"""What each variable of a Keras layer is to it."""

from __future__ import annotations

from collections.abc import Iterator

import keras
from keras import layers
from keras.src.layers.rnn.conv_lstm import ConvLSTMCell

from ..core.specs.parameter_rules import Role, role_by_axes, role_by_shape

NORMS = (
    layers.BatchNormalization,
    layers.GroupNormalization,
    layers.LayerNormalization,
    layers.RMSNormalization,
)
_WITH_KERNELS = (
    layers.Dense,
    layers.EinsumDense,
    *(layers.Conv1D, layers.Conv2D, layers.Conv3D),
    *(layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose),
    *(layers.DepthwiseConv1D, layers.DepthwiseConv2D, layers.SeparableConv1D, layers.SeparableConv2D),
    *(layers.SimpleRNNCell, layers.LSTMCell, layers.GRUCell, ConvLSTMCell),
    layers.STFTSpectrogram,
)


def names_and_roles(layer: layers.Layer) -> Iterator[tuple[keras.Variable, str, Role]]:
    """The variables that a layer itself trains, with the name of each within the layer and its role."""
    if isinstance(layer, layers.TorchModuleWrapper):
        # Keras numbers the variables of all wrappers; torch has names and roles for them.
        from ..torch.roles import places, role_of

        found = {id(place.parameter): place for place in places(layer.module)}
        for variable in layer._trainable_variables:
            place = found[id(variable.value)]
            yield variable, place.path, role_of(place)
        return
    for variable in layer._trainable_variables:
        yield variable, variable.name, _role(layer, variable)


def _role(layer: layers.Layer, variable: keras.Variable) -> Role:
    if isinstance(layer, layers.SpectralNormalization):
        layer = layer.layer  # it holds the weight of that layer
    if isinstance(layer, NORMS):
        return "norm"
    if variable is getattr(layer, "reverse_embeddings", None):  # a product, not a lookup
        return "kernel"
    if isinstance(layer, layers.Embedding):
        return "embedding"
    if variable is getattr(layer, "bias", None) or isinstance(layer, layers.PReLU):
        return "bias"
    return (role_by_axes if isinstance(layer, _WITH_KERNELS) else role_by_shape)(variable.shape)
