"""What each parameter of a torch module is to its layer."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn
from torch.nn.utils import parametrize

from ..core.specs.parameter_rules import Role, role_by_axes, role_by_shape

_NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
_EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)
_WITH_KERNELS = (nn.Linear, nn.Bilinear, nn.modules.conv._ConvNd, nn.RNNBase, nn.RNNCellBase)


def roles(model: nn.Module) -> Iterator[tuple[str, nn.Parameter, Role]]:
    """The name, value and role of each parameter, in the module's own order; a shared one at its first place only."""
    modules = dict(model.named_modules())
    seen: set[nn.Parameter] = set()
    for prefix, module in modules.items():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter not in seen:
                seen.add(parameter)
                owner, own_name = module, name
                if isinstance(module, parametrize.ParametrizationList):
                    # Its parameters stand for one of the layer above: "layer.parametrizations.weight.original".
                    above, _, parametrized = prefix.rpartition("parametrizations.")
                    owner, own_name = modules[above.removesuffix(".")], f"{parametrized}.{name}"
                yield f"{prefix}.{name}" if prefix else name, parameter, _role(owner, own_name, parameter)


def _role(module: nn.Module, name: str, parameter: nn.Parameter) -> Role:
    attribute, _, part = name.partition(".")
    if isinstance(module, _NORMS):
        return "norm"
    if part == "original0" or attribute == "weight_g":  # the lengths in a weight normalization
        return role_by_shape(parameter.shape)
    if isinstance(module, _EMBEDDINGS):
        return "embedding"
    if attribute == "bias" or isinstance(module, nn.PReLU):
        return "bias"
    if isinstance(module, nn.MultiheadAttention):
        return "bias" if "bias" in attribute else "kernel"
    return (role_by_axes if isinstance(module, _WITH_KERNELS) else role_by_shape)(parameter.shape)
