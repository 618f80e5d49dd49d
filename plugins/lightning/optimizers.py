"""torch optimizers that a spec decides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch

from .. import kernels
from ..core import optimizers as specs
from ..core.callbacks import ScheduleMixin
from ..core.optimizers import Spec, check_buildable
from ..core.parameters import Multipliers, assign, by_multipliers
from ..core.refusals import refuse_other_moments
from .groups import number, values
from .parameters import is_sharded, parameters, refuse_flattened


def build_optimizer(spec: Spec, model: torch.nn.Module, **options: Any) -> torch.optim.Optimizer:
    """The torch optimizer that `spec` describes, over the parameters of `model` that require a gradient.

    options: torch's own `foreach`; of AdamW and SGDW also `fused`; and, where the optimizer is torch's own class, those
        of AdamW and NAdam that are called `capturable` and `differentiable`. They choose which kernel runs, not what it
        computes. AdamW and SGDW are fused unless an option or the model says otherwise; parameters that are not dense,
        or whose gradient has another memory layout, are updated by torch's default kernel in any case.
    It is torch's own class wherever that expresses the spec, of AdamW a subclass that looks at memory layouts. Every
    number of the spec is written into the optimizer, and parameters of different multipliers are groups of it; those
    without multipliers come first.
    Raises TypeError for another option or for what is not a spec, and ValueError for a model without trainable
    parameters and for a rule that matches none.
    """
    check_buildable(spec, options, {kind: made.options for kind, made in _KINDS.items()})
    kind = _KINDS[type(spec)]
    found = parameters(model)
    if not found:
        raise ValueError("build_optimizer: found a model without trainable parameters; build the model first.")
    refuse_flattened(spec, [parameter for _, parameter in found], "build_optimizer")
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
    native = _torch_expresses(spec, list(by))
    if not native:
        known = tuple(name for name in ("foreach", "fused") if name in kind.options)
        check_buildable(spec, options, {type(spec): known})
    made = (kind.native or kind.optimizer) if native else kind.ours
    optimizer: Any = made(params, **_torch_arguments(spec), **_kernel(kind, model, options))
    # A fused kernel under fp16 loss scaling would skip an update by itself, and nobody could count the others.
    optimizer._step_supports_amp_scaling = False
    optimizer.spec, optimizer.multipliers = spec, list(by)
    return optimizer


class _Ours(torch.optim.Optimizer):
    """An optimizer of torch whose update is that of a spec which torch's own class does not express.

    spec, multipliers: what it was built from, and the multipliers of each parameter group. The state is that of torch's
    class, whose checkpoints it loads.
    """

    spec: Any
    multipliers: list[Multipliers]
    kernel: Callable[..., Any]

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Make an update."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        if self.spec.clip is not None:
            every = [p.grad for group in self.param_groups for p in group["params"] if p.grad is not None]
            kernels.clip_gradients(self.spec, every)
        for group, multipliers in zip(self.param_groups, self.multipliers, strict=True):
            momentum = values(group)["momentum"]
            kernel = group["foreach"], group.get("fused")
            self._update(group, kernels.Settings(group["lr"], group["weight_decay"], momentum, multipliers, *kernel))
        return loss

    def _update(self, group: dict[str, Any], settings: kernels.Settings) -> None:
        """Update the parameters of one group that have a gradient."""
        lists: tuple[list[Any], ...] = ([], [], [], [], [], [])
        self._init_group(group, *lists)  # type: ignore[attr-defined]  # of torch's class
        self.kernel(self.spec, settings, *lists)

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        return {**state, "spec": self.spec, "multipliers": self.multipliers}


class AdamW(_Ours, torch.optim.AdamW):
    """torch's AdamW, with what else `samestep.AdamW` has."""

    kernel = staticmethod(kernels.adamw)


class NAdamW(_Ours, torch.optim.NAdam):
    """torch's NAdam with decoupled weight decay, with what else `samestep.NAdamW` has."""

    kernel = staticmethod(kernels.nadamw)


class SGDW(_Ours, torch.optim.SGD):
    """torch's SGD with a weight decay beside the gradient and not in it, as `samestep.SGDW` defines it."""

    def _update(self, group: dict[str, Any], settings: kernels.Settings) -> None:
        params = [p for p in group["params"] if p.grad is not None]
        gradients = [p.grad for p in params]
        buffers = [self.state[p].get("momentum_buffer") for p in params] if self.spec.momentum else []
        made = kernels.sgdw(self.spec, settings, params, gradients, buffers)
        for p, former, buffer in zip(params, buffers, made):  # noqa: B905
            if buffer is not former:
                self.state[p]["momentum_buffer"] = buffer


def spec_difference(spec: Spec, optimizer: Any) -> str | None:
    """The first number in which the optimizer is not the spec's, in words, or None.

    Base values are compared with those that the groups started from, so that a resumed optimizer is recognised.
    """
    kind = _KINDS[type(spec)]
    built = getattr(optimizer, "spec", None)
    if built is not None:
        difference = spec.difference(built)
        if difference is not None:
            return difference
        every = optimizer.multipliers
    elif type(optimizer) is kind.optimizer and _torch_expresses(spec, [Multipliers()]) and not spec.parameters:
        every = [Multipliers()] * len(optimizer.param_groups)  # the user made it of the same numbers
    else:
        return f"the optimizer is {type(optimizer).__name__} and not {type(spec).__name__}"
    for group, multipliers in zip(optimizer.param_groups, every, strict=True):
        for key, base in _torch_arguments(spec).items():
            field = kind.fields.get(key, key)
            expected = base * getattr(multipliers, field) if field in ("learning_rate", "weight_decay") else base
            found = group.get(f"initial_{key}", group[key])
            if key == "betas":
                momentum, beta_2 = map(number, found)
                found = (group.get("initial_momentum", momentum), beta_2)
            else:
                found = number(found)
            if found != expected:
                return f"{field} is {found!r} and not {expected!r}"
    return None


def rewrite(part: ScheduleMixin, optimizer: Any) -> None:
    """Write the numbers of a callback's spec into an optimizer, which keeps its moments.

    Raises ValueError for an optimizer that cannot become one of the spec: of another kind, or with other groups.
    """
    spec: Any = part.spec
    built = getattr(optimizer, "spec", spec)
    rules = built.parameters == spec.parameters and (built.l1_ratio == spec.l1_ratio or not spec.parameters)
    every = optimizer.multipliers if spec.parameters else [Multipliers(l1_ratio=spec.l1_ratio)]
    expressed = isinstance(optimizer, _Ours) or _torch_expresses(spec, every)
    if type(spec) is not type(built) or not rules or not expressed or len(every) != len(optimizer.param_groups):
        raise refuse_other_moments(part, built)
    kind = _KINDS[type(spec)]
    for group, multipliers in zip(optimizer.param_groups, every, strict=True):
        for key, base in _torch_arguments(spec).items():
            field = kind.fields.get(key, key)
            value = base * getattr(multipliers, field) if field in ("learning_rate", "weight_decay") else base
            if isinstance(group[key], torch.Tensor):
                group[key].fill_(value)
            else:
                group[key] = value
            group.pop(f"initial_{key}", None)
        group.pop("initial_momentum", None)
    optimizer.spec, optimizer.multipliers = spec, every


def _torch_arguments(spec: Spec) -> dict[str, Any]:
    kind = _KINDS[type(spec)]
    return {**{key: getattr(spec, field) for key, field in kind.fields.items()}, **kind.constants}


def _torch_expresses(spec: Any, every: Sequence[Multipliers]) -> bool:
    """Whether an optimizer of torch's own class makes the update of the spec."""
    return (
        not isinstance(spec, specs.SGDW)
        and spec.weight_decay_basis == "learning_rate"
        and spec.clip is None
        and not any(multipliers.l1_ratio for multipliers in every)
        and getattr(spec, "epsilon_mode", "torch") == "torch"
    )


def _kernel(kind: _Kind, model: torch.nn.Module, options: dict[str, Any]) -> dict[str, Any]:
    """torch's choice of kernel: fused where there is one, the options leave it open and the model has what it needs."""
    open_ = not any(options.get(name) is not None for name in ("fused", "foreach", "differentiable"))
    if not open_ or "fused" not in kind.options:
        return options
    sparse = any(getattr(module, "sparse", False) for module in model.modules())
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    # torch 2.13 can shard its fused AdamW over devices, and not its fused SGD.
    cannot = sparse or (kind.optimizer is torch.optim.SGD and any(map(is_sharded, trained)))
    return {**options, "fused": (not cannot and kernels.can_fuse(trained)) or None}


class _Kind(NamedTuple):
    """How torch makes the optimizer of a spec: its class and ours, where the spec's fields go, what is always so.

    native: what is made instead of torch's class, to make the same updates.
    """

    optimizer: type[torch.optim.Optimizer]
    ours: type[_Ours]
    fields: dict[str, str]
    constants: dict[str, Any]
    options: tuple[str, ...]
    native: type[torch.optim.Optimizer] | None = None


_KINDS: dict[type[Spec], _Kind] = {
    specs.AdamW: _Kind(
        torch.optim.AdamW,
        AdamW,
        {
            "lr": "learning_rate",
            "betas": "betas",
            "eps": "epsilon",
            "weight_decay": "weight_decay",
            "amsgrad": "amsgrad",
            "maximize": "maximize",
        },
        {},
        ("foreach", "fused", "capturable", "differentiable"),
        kernels.AdamW,
    ),
    specs.NAdamW: _Kind(
        torch.optim.NAdam,
        NAdamW,
        {
            "lr": "learning_rate",
            "betas": "betas",
            "eps": "epsilon",
            "weight_decay": "weight_decay",
            "momentum_decay": "momentum_decay",
            "maximize": "maximize",
        },
        {"decoupled_weight_decay": True},
        ("foreach", "capturable", "differentiable"),
    ),
    specs.SGDW: _Kind(
        torch.optim.SGD,
        SGDW,
        {
            "lr": "learning_rate",
            "weight_decay": "weight_decay",
            "momentum": "momentum",
            "nesterov": "nesterov",
            "maximize": "maximize",
        },
        {"dampening": 0.0},
        ("foreach", "fused"),
    ),
}
