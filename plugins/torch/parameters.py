"""The parameters of a torch module, by path, shape and role; and the weight decay that an optimizer of torch has."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from ..core.specs.parameter_rules import Parameter, Role
from ..core.specs.parameter_table import ParameterTable, extraction_error
from ..core.specs.spec import Spec

_NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
_EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)
# Those whose weight decay goes into the gradient; AdamW is an Adam whose groups say otherwise.
_COUPLED = (
    torch.optim.ASGD,
    torch.optim.Adadelta,
    torch.optim.Adagrad,
    torch.optim.Adam,
    torch.optim.Adamax,
    torch.optim.NAdam,
    torch.optim.RAdam,
    torch.optim.RMSprop,
    torch.optim.Rprop,
    torch.optim.SGD,
)


def parameters(model: nn.Module) -> list[tuple[Parameter, nn.Parameter]]:
    """The trainable parameters of a module in its own order; one that is shared comes once, where it is first."""
    found: dict[nn.Parameter, Parameter] = {}
    for prefix, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.requires_grad and parameter not in found:
                path = f"{prefix}.{name}" if prefix else name
                role = _role(module, parameter)
                found[parameter] = Parameter(path.replace(".", "/"), tuple(parameter.shape), role)
    return [(described, parameter) for parameter, described in found.items()]


def _role(module: nn.Module, parameter: nn.Parameter) -> Role:
    if isinstance(module, _NORMS):
        return "norm"
    if isinstance(module, _EMBEDDINGS):
        return "embedding"
    return "bias" if parameter is getattr(module, "bias", None) or parameter.ndim <= 1 else "kernel"


def is_sharded(parameter: torch.Tensor) -> bool:
    """Whether it is torch's DTensor, of which a device has a part, as after `fully_shard`; its shape is the whole's."""
    if not torch.distributed.is_available():
        return False
    from torch.distributed.tensor import DTensor

    return isinstance(parameter, DTensor)


def refuse_flattened(spec: Spec, found: Sequence[torch.Tensor], where: str) -> None:
    """Refuse what asks for the shape or the norm of a parameter, where FullyShardedDataParallel flattened them.

    A device then has a flat piece of some of the parameters and nothing of the others, in tensors of its own.
    """
    if not any(getattr(parameter, "_fsdp_flattened", False) for parameter in found):
        return
    asking = [name for name in ("parameters", "global_clipnorm", "clipnorm") if getattr(spec, name)]
    if asking:
        raise ValueError(
            f"{where}: found {asking[0]}={getattr(spec, asking[0])!r} for a model in FullyShardedDataParallel, which "
            f"flattens its parameters: their roles and norms are unknown; shard the model with "
            f"torch.distributed.fsdp.fully_shard instead."
        )


def describe_parameters(spec: Spec, model: nn.Module) -> ParameterTable:
    """Print, and return, what `spec` makes of each trainable parameter of `model`.

    Args:
        spec: With its rules.
        model: Whose parameters to describe.

    Returns:
        A row for each: path, shape, role, the rules that decided, and the base values of learning rate and weight
        decay.

    Raises:
        ValueError: A rule matches nothing.
    """
    found = parameters(model)
    refuse_flattened(spec, [parameter for _, parameter in found], "describe_parameters")
    table = ParameterTable.of(spec, [parameter for parameter, _ in found])
    print(table)
    return table


def extract_weight_decay(
    model: nn.Module, optimizer: torch.optim.Optimizer | None = None, *, zero: bool = True
) -> dict[str, tuple[float, float]]:
    """The coupled weight decay of each parameter, for `from_keras_adamw` or rules of your own.

    Args:
        model: Gives the paths, as in `describe_parameters`.
        optimizer: Of torch, with weight_decay in its groups.
        zero: Whether it is taken out of the optimizer, whose groups then have a weight_decay of 0; all is read before.

    Returns:
        Pairs (l1, l2) by path; l1 is 0.

    Raises:
        ValueError: There is no optimizer, its weight decay is decoupled already, or it has parameters of another
            model; nothing is changed.
    """
    if optimizer is None:
        raise extraction_error("no optimizer", "give the torch optimizer whose groups have the weight decay")
    paths = {parameter: name.replace(".", "/") for name, parameter in model.named_parameters()}
    found = {}
    for group in optimizer.param_groups:
        decay = float(group.get("weight_decay", 0))
        if not decay:
            continue
        if not isinstance(optimizer, _COUPLED) or hasattr(optimizer, "spec") or group.get("decoupled_weight_decay"):
            raise extraction_error(
                f"a {type(optimizer).__name__} whose weight decay is decoupled", "set weight_decay= in a spec"
            )
        others = [parameter for parameter in group["params"] if parameter not in paths]
        if others:
            raise extraction_error(
                f"{len(others)} parameters of the optimizer that are not in the model",
                "give the model that has them all",
            )
        found.update({paths[parameter]: (0.0, decay) for parameter in group["params"]})
    if zero:
        for group in optimizer.param_groups:
            if group.get("weight_decay"):
                group["weight_decay"] = 0.0
    return found
