"""What each parameter of a torch module is to its layer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from torch import nn
from torch.nn.utils import parametrize

from ..core.specs.parameter_rules import Role, role_by_axes, role_by_shape
from .module_paths import canonical_path

_NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
_EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)
_WITH_KERNELS = (nn.Linear, nn.Bilinear, nn.modules.conv._ConvNd, nn.RNNBase, nn.RNNCellBase)


class Place(NamedTuple):
    """Where a parameter is used.

    Attributes:
        path: Its path in the model, with "/" between the parts.
        parameter: Its value.
        module: The layer that computes with it, also where a parametrization holds it.
        name: Its name in that layer; "weight.original" of what parametrizes a weight.
        owner: The path of that layer, with a "/" at its end; "" for the model itself.
    """

    path: str
    parameter: nn.Parameter
    module: nn.Module
    name: str
    owner: str


def places(model: nn.Module) -> Iterator[Place]:
    """Each parameter of a module, in the module's own order; a shared one at its first place only."""
    modules = dict(model.named_modules())
    seen: set[nn.Parameter] = set()
    for prefix, module in modules.items():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter in seen:
                continue
            seen.add(parameter)
            path, owner, own = f"{prefix}.{name}" if prefix else name, prefix, name
            if isinstance(module, parametrize.ParametrizationList):
                # Its parameters stand for one of the layer above: "layer.parametrizations.weight.original".
                above, _, parametrized = prefix.rpartition("parametrizations.")
                owner, own = above.removesuffix("."), f"{parametrized}.{name}"
            layer = canonical_path(model, f"{owner}.") if owner else ""
            yield Place(canonical_path(model, path), parameter, modules[owner], own, layer)


def role_of(place: Place) -> Role:
    """What a parameter is to its layer."""
    module, shape = place.module, place.parameter.shape
    attribute, _, part = place.name.partition(".")
    if isinstance(module, _NORMS):
        return "norm"
    if part == "original0" or attribute == "weight_g":  # the lengths in a weight normalization
        return role_by_shape(shape)
    if isinstance(module, _EMBEDDINGS):
        return "embedding"
    if attribute == "bias" or isinstance(module, nn.PReLU):
        return "bias"
    if isinstance(module, nn.MultiheadAttention):
        return "bias" if "bias" in attribute else "kernel"
    return (role_by_axes if isinstance(module, _WITH_KERNELS) else role_by_shape)(shape)
