"""Builds torch optimizers from specs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
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
from .optimizers.built_optimizer import BuiltOptimizer
from .optimizers.record import TorchRecord
from .optimizers.spec_optimizer import SpecOptimizer
from .param_groups import number
from .parameters import checked_model, is_sharded, parameters, refuse_flattened


@checks_arguments
def build_optimizer(spec: Spec | Recipe, model: torch.nn.Module, **options: Any) -> torch.optim.Optimizer:
    """The torch optimizer that `spec` describes, over the parameters of `model` that require a gradient.

    Given a recipe, it builds the recipe's optimizer, which warns if it is updated without a callback that drives it.
    Rules may name frozen parameters too: `add_param_group` gives them what the rules say when they are unfrozen.

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
    known = parameters(checked_model(model, "build_optimizer"), frozen=True)
    found = [parameter for _, parameter in known if parameter.requires_grad]
    if not found:
        raise ValueError("build_optimizer: found a model without trainable parameters; build the model first.")
    refuse_flattened(spec, found, "build_optimizer")
    refuse_complex(spec, [pair for pair in known if pair[1].requires_grad], bool(options.get("fused")))
    decided = assign(spec.parameters, spec.l1_ratio, [parameter for parameter, _ in known])
    assigned = {parameter: each.multipliers for (_, parameter), each in zip(known, decided, strict=True)}
    by = by_multipliers([assigned[parameter] for parameter in found])
    params = [
        {
            "params": [found[index] for index in indices],
            "lr": spec.learning_rate * multipliers.learning_rate,
            "weight_decay": spec.weight_decay * multipliers.weight_decay,
        }
        for multipliers, indices in by.items()
    ]
    made = record.native if record.expresses(spec, list(assigned.values())) else None
    if made is None:
        check_options(record.own_options, options)
    optimizer: Any = (made or record.own)(params, **record.arguments(spec), **_kernel(record, model, options))
    # Under fp16 loss scaling a fused kernel skips an update on its own, and the updates could not be counted.
    optimizer._step_supports_amp_scaling = False
    optimizer.spec, optimizer.assigned, optimizer.multipliers, optimizer.built = spec, assigned, list(by), len(by)
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


def spec_difference(
    spec: Spec, optimizer: Any, bases: Sequence[Mapping[str, float]], later: Collection[int] = ()
) -> str | None:
    """The numbers in which an optimizer differs from the spec, in words, a line each, or None.

    Args:
        spec: The spec.
        optimizer: The optimizer; its groups may hold decayed values.
        bases: The base values of each parameter group, by hyperparameter.
        later: The numbers of the groups added after it was configured, which may have base values of their own.
    """
    record = record_of(RECORDS, spec, "spec_difference")
    built = getattr(optimizer, "spec", None)
    if built is not None:
        difference = spec.difference(built)
        if difference is not None:
            return difference
    elif type(optimizer) is not record.torch_class or not record.expresses(spec, [Multipliers()]) or spec.parameters:
        return f"the optimizer is {type(optimizer).__name__} and not {type(spec).__name__}"
    lines = []
    of_groups = zip(optimizer.param_groups, bases, multipliers_of(optimizer), strict=True)
    for index, (group, own, multipliers) in enumerate(of_groups):
        is_later = index in later or index >= getattr(optimizer, "built", index + 1)
        for key, base in record.arguments(spec).items():
            field = record.fields.get(key, key)
            if is_later and field in HYPERPARAMETERS:
                continue
            expected = base * getattr(multipliers, field) if field in ("learning_rate", "weight_decay") else base
            if key == "betas":
                momentum = expected[0] if is_later else own["momentum"]
                found: object = (momentum, number(group[key][1]))
            else:
                found = own.get(field, number(group[key]))
            if found != expected:
                lines.append(f"{field} is {found!r} and not {expected!r}")
    return "\n".join(dict.fromkeys(lines)) or None


def rewrite(policy: Policy, optimizer: Any, own: Mapping[int, Collection[str]] = MappingProxyType({})) -> None:
    """Write the numbers of a policy's spec into an optimizer, which keeps its moments.

    Args:
        policy: The policy.
        optimizer: The optimizer.
        own: By the number of a group that was added later, the hyperparameters whose base values are its own and stay.

    Raises:
        ValueError: The optimizer is of another kind.
    """
    spec: Any = policy.spec
    built = getattr(optimizer, "spec", spec)
    record = record_of(RECORDS, spec, policy.who)
    rules = built.parameters == spec.parameters and (built.l1_ratio == spec.l1_ratio or not spec.parameters)
    plain = Multipliers(l1_ratio=spec.l1_ratio)
    every = multipliers_of(optimizer) if spec.parameters else [plain] * len(optimizer.param_groups)
    expressed = isinstance(optimizer, SpecOptimizer) or record.expresses(spec, every)
    if type(spec) is not type(built) or not rules or not expressed:
        raise other_moments_error(policy, built)
    record.write(spec, optimizer.param_groups, every, own)
    optimizer.spec = spec
    optimizer.defaults.update(record.arguments(spec))  # for groups that are still to come
    if isinstance(optimizer, BuiltOptimizer):
        if not spec.parameters:
            optimizer.assigned = dict.fromkeys(optimizer.assigned, plain)
        optimizer.find_multipliers()


def multipliers_of(optimizer: Any) -> list[Multipliers]:
    """The multipliers of each parameter group; none for an optimizer that the user built."""
    if not isinstance(optimizer, BuiltOptimizer):
        return [Multipliers()] * len(optimizer.param_groups)
    optimizer.find_multipliers()
    return optimizer.multipliers


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
