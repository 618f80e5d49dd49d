"""Builds torch optimizers from specs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ..core.arguments.check import checks_arguments
from ..core.callbacks.due import Due, spec_of
from ..core.callbacks.errors import other_moments_error
from ..core.policies.policy import Policy
from ..core.recipes.recipe import Recipe
from ..core.specs.parameter_rules import Multipliers, assign, by_multipliers
from ..core.specs.records import record_of
from ..core.specs.spec import HYPERPARAMETERS, Spec, check_options
from .kernels import can_fuse, refuse_complex
from .optimizers import RECORDS
from .optimizers.record import TorchRecord
from .optimizers.spec_optimizer import SpecOptimizer
from .param_groups import base_key, number
from .parameters import is_sharded, parameters, refuse_flattened


@checks_arguments
def build_optimizer(spec: Spec | Recipe, model: torch.nn.Module, **options: Any) -> torch.optim.Optimizer:
    """The torch optimizer that `spec` describes, over the parameters of `model` that require a gradient.

    Given a recipe, it builds the recipe's optimizer, which warns if it is updated without a callback that drives it.

    This is torch's own class wherever that can express the spec; for AdamW, a subclass that checks memory layouts.
    Every number of the spec is written into the optimizer. Parameters with different multipliers are in different
    groups; those without multipliers come first.

    Args:
        spec: Every number of the optimizer, or the recipe that has it.
        model: The module whose parameters it updates.
        **options: torch's own `foreach`; for AdamW and SGDW also `fused`; and, where the optimizer is torch's own
            class, `capturable` and `differentiable` of AdamW and NAdam. They choose which kernel runs, not what it
            computes. AdamW and SGDW are fused unless an option or the model rules it out. Parameters that are not
            dense, or whose gradient has another memory layout, are always updated by torch's default kernel.

    Returns:
        The optimizer.

    Raises:
        TypeError: `spec` is not a spec or a recipe, or an option is unknown.
        ValueError: The recipe has no optimizer; the model has no trainable parameters; a rule matches none; or some are
            complex, and the spec has clipvalue= or the options have fused=True.
    """
    due, spec = Due.of(spec), spec_of(spec, "build_optimizer")
    record = record_of(RECORDS, spec, "build_optimizer")
    check_options(record.options, options)
    found = parameters(model)
    if not found:
        raise ValueError("build_optimizer: found a model without trainable parameters; build the model first.")
    refuse_flattened(spec, [parameter for _, parameter in found], "build_optimizer")
    refuse_complex(spec, found, bool(options.get("fused")))
    assigned = assign(spec.parameters, spec.l1_ratio, [parameter for parameter, _ in found])
    by = by_multipliers([each.multipliers for each in assigned])
    params = [
        {
            "params": [found[index][1] for index in indices],
            "lr": spec.learning_rate * multipliers.learning_rate,
            "weight_decay": spec.weight_decay * multipliers.weight_decay,
        }
        for multipliers, indices in by.items()
    ]
    made = record.native if record.expresses(spec, list(by)) else None
    if made is None:
        check_options(record.own_options, options)
    optimizer: Any = (made or record.own)(params, **record.arguments(spec), **_kernel(record, model, options))
    # Under fp16 loss scaling a fused kernel skips an update on its own, and the updates could not be counted.
    optimizer._step_supports_amp_scaling = False
    optimizer.spec, optimizer.multipliers = spec, list(by)
    if due.names:
        optimizer.due = DueBeforeUpdate(optimizer, due)
    return optimizer


class DueBeforeUpdate:
    """Warns of an update that nothing drives; costs nothing once something does."""

    def __init__(self, optimizer: torch.optim.Optimizer, due: Due) -> None:
        self._due = due
        self._hook = optimizer.register_step_pre_hook(torch.compiler.disable(self._before_update))

    def driven(self, names: Sequence[str]) -> None:
        """Something drives these from now on."""
        self._due.driven(names)
        if not self._due.names:
            self._hook.remove()

    def _before_update(self, *_: Any) -> None:
        if self._due.names:
            self._due.warn()


def spec_difference(spec: Spec, optimizer: Any, bases: Sequence[Mapping[str, float]]) -> str | None:
    """The numbers in which an optimizer differs from the spec, in words, a line each, or None.

    Args:
        spec: The spec.
        optimizer: The optimizer; its groups may hold decayed values.
        bases: The base values of each parameter group, by hyperparameter.
    """
    record = record_of(RECORDS, spec, "spec_difference")
    built = getattr(optimizer, "spec", None)
    if built is not None:
        difference = spec.difference(built)
        if difference is not None:
            return difference
        every = optimizer.multipliers
    elif type(optimizer) is record.torch_class and record.expresses(spec, [Multipliers()]) and not spec.parameters:
        every = [Multipliers()] * len(optimizer.param_groups)  # the user built it with the same numbers
    else:
        return f"the optimizer is {type(optimizer).__name__} and not {type(spec).__name__}"
    if len(optimizer.param_groups) != len(every):
        return f"the optimizer has {len(optimizer.param_groups)} parameter groups and not {len(every)}"
    lines = []
    for group, own, multipliers in zip(optimizer.param_groups, bases, every, strict=True):
        for key, base in record.arguments(spec).items():
            field = record.fields.get(key, key)
            expected = base * getattr(multipliers, field) if field in ("learning_rate", "weight_decay") else base
            found = (own["momentum"], number(group[key][1])) if key == "betas" else own.get(field, number(group[key]))
            if found != expected:
                lines.append(f"{field} is {found!r} and not {expected!r}")
    return "\n".join(dict.fromkeys(lines)) or None


def rewrite(policy: Policy, optimizer: Any) -> None:
    """Write the numbers of a policy's spec into an optimizer, which keeps its moments.

    Raises:
        ValueError: The optimizer is of another kind or has other groups.
    """
    spec: Any = policy.spec
    built = getattr(optimizer, "spec", spec)
    record = record_of(RECORDS, spec, policy.who)
    rules = built.parameters == spec.parameters and (built.l1_ratio == spec.l1_ratio or not spec.parameters)
    every = optimizer.multipliers if spec.parameters else [Multipliers(l1_ratio=spec.l1_ratio)]
    expressed = isinstance(optimizer, SpecOptimizer) or record.expresses(spec, every)
    if type(spec) is not type(built) or not rules or not expressed or len(every) != len(optimizer.param_groups):
        raise other_moments_error(policy, built)
    for group, multipliers in zip(optimizer.param_groups, every, strict=True):
        for key, base in record.arguments(spec).items():
            field = record.fields.get(key, key)
            value = base * getattr(multipliers, field) if field in ("learning_rate", "weight_decay") else base
            if isinstance(group[key], torch.Tensor):
                group[key].fill_(value)
            else:
                group[key] = value
        for name in HYPERPARAMETERS:
            group.pop(base_key(name), None)
    optimizer.spec, optimizer.multipliers = spec, every


def _kernel(record: TorchRecord, model: torch.nn.Module, options: dict[str, Any]) -> dict[str, Any]:
    """The options with torch's choice of kernel: fused if it exists, no option decides and the model allows it."""
    open_ = not any(options.get(name) is not None for name in ("fused", "foreach", "differentiable"))
    if not open_ or "fused" not in record.options:
        return options
    sparse = any(getattr(module, "sparse", False) for module in model.modules())
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    # torch 2.13 can shard its fused AdamW over devices, but not its fused SGD.
    cannot = sparse or (record.torch_class is torch.optim.SGD and any(map(is_sharded, trained)))
    return {**options, "fused": (not cannot and can_fuse(trained)) or None}
