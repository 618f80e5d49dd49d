"""The parameters of a torch module by path, shape and role, and the weight decay of a torch optimizer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from ..core.arguments.check import checks_arguments
from ..core.arguments.given import model_error
from ..core.specs.parameter_rules import Parameter
from ..core.specs.parameter_table import ParameterTable, extraction_error
from ..core.specs.spec import Spec
from .module_paths import paths
from .roles import places, role_of

# Their weight decay goes into the gradient. AdamW is an Adam too; its groups say that it is decoupled.
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


def parameters(model: nn.Module, frozen: bool = False) -> list[tuple[Parameter, nn.Parameter]]:
    """The parameters of a module in its own order; a shared one is listed once, at its first place.

    Args:
        model: The module.
        frozen: Whether to list those that require no gradient as well.

    Raises:
        ValueError: A lazy module has not made its parameters yet.
    """
    every = list(places(model))
    for place in every:
        if nn.parameter.is_lazy(place.parameter):
            raise ValueError(
                f"found the parameter {place.path!r}, which a lazy module has yet to make; call the model on a batch "
                f"first."
            )
    return [
        (Parameter(place.path, tuple(place.parameter.shape), role_of(place)), place.parameter)
        for place in every
        if frozen or place.parameter.requires_grad
    ]


def checked_model(model: object, who: str) -> nn.Module:
    """A model as given; raises TypeError if it is none."""
    if not isinstance(model, nn.Module):
        raise model_error(who, model, "lightning")
    return model


def is_sharded(parameter: torch.Tensor) -> bool:
    """Whether it is a DTensor, as after `fully_shard`: each device has a part, but the shape is the whole's."""
    return hasattr(parameter, "to_local")


def refuse_flattened(spec: Spec, found: Sequence[torch.Tensor], where: str) -> None:
    """Refuse a spec that depends on parameters' shapes or norms if FullyShardedDataParallel flattened the parameters.

    A device then has a flat piece of some parameters and nothing of the others.

    Raises:
        ValueError: The spec has rules or clips by norm, and the parameters are flattened.
    """
    if not any(getattr(parameter, "_fsdp_flattened", False) for parameter in found):
        return
    asking = [name for name in ("parameters", "global_clipnorm", "clipnorm") if getattr(spec, name)]
    if asking:
        raise ValueError(
            f"{where}: found {asking[0]}={getattr(spec, asking[0])!r} for a model in FullyShardedDataParallel, which "
            f"flattens its parameters: their roles and norms are unknown; shard the model with torch's fully_shard "
            f"instead."
        )


@checks_arguments
def describe_parameters(spec: Spec, model: nn.Module) -> ParameterTable:
    """What `spec` sets for each trainable parameter of `model`: a table to print.

    Args:
        spec: The spec, with its rules.
        model: The module whose parameters to describe.

    Returns:
        One row per parameter: path, shape, role, the rules that applied, and the base values of learning rate and
        weight decay.

    Raises:
        ValueError: A rule matches nothing.
    """
    known = parameters(checked_model(model, "describe_parameters"), frozen=True)
    trained = [parameter.requires_grad for _, parameter in known]
    refuse_flattened(spec, [parameter for _, parameter in known if parameter.requires_grad], "describe_parameters")
    return ParameterTable.of(spec, [described for described, _ in known], trained)


@checks_arguments
def extract_weight_decay(
    model: nn.Module, optimizer: torch.optim.Optimizer | None = None, *, zero: bool = True
) -> dict[str, tuple[float, float]]:
    """The coupled weight decay of each parameter, for `from_keras_adamw` or rules of your own.

    Args:
        model: The module that gives the paths, as in `describe_parameters`.
        optimizer: The torch optimizer with weight_decay in its groups.
        zero: Set the groups' weight_decay to 0 once everything has been read.

    Returns:
        Pairs (l1, l2) by path; l1 is 0.

    Raises:
        ValueError: There is no optimizer, its weight decay is already decoupled, or it has parameters of another
            model. Nothing is changed.
    """
    if optimizer is None:
        raise extraction_error("no optimizer", "give the torch optimizer whose groups have the weight decay")
    model = checked_model(model, "extract_weight_decay")
    path = paths(model)
    found = {}
    for group in optimizer.param_groups:
        decay = float(group.get("weight_decay", 0))
        if not decay:
            continue
        if not isinstance(optimizer, _COUPLED) or hasattr(optimizer, "spec") or group.get("decoupled_weight_decay"):
            raise extraction_error(
                f"a {type(optimizer).__name__} whose weight decay is decoupled", "set weight_decay= in a spec"
            )
        others = [parameter for parameter in group["params"] if parameter not in path]
        if others:
            raise extraction_error(
                f"{len(others)} parameters of the optimizer that are not in the model",
                "give the model that has them all",
            )
        found.update({path[parameter]: (0.0, decay) for parameter in group["params"]})
    if zero:
        for group in optimizer.param_groups:
            if group.get("weight_decay"):
                group["weight_decay"] = 0.0
    return found
