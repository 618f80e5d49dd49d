"""torch optimizers that a spec decides, and reading and writing the hyperparameters of any torch optimizer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch.optim.sgd import sgd

from ..core import optimizers as specs
from ..core.optimizers import Spec, check_buildable
from ..core.trace import shortest_decimal

"""Where a parameter group has the hyperparameters; the momentum of Adam's relatives is the first of its betas."""
KEYS = {"learning_rate": "lr", "weight_decay": "weight_decay", "momentum": "momentum"}


def build_optimizer(spec: Spec, model: torch.nn.Module, **options: Any) -> torch.optim.Optimizer:
    """The torch optimizer that `spec` describes, over the parameters of `model` that require a gradient.

    options: torch's own `foreach`, and of AdamW `fused`, `capturable` and `differentiable`: which kernel runs, not what
        it computes.
    Every number of the spec is written into the optimizer. Raises TypeError for another option or for what is not a
    spec, and ValueError for a model without trainable parameters.
    """
    check_buildable(spec, options, {kind: made.options for kind, made in _KINDS.items()})
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not parameters:
        raise ValueError("build_optimizer: found a model without trainable parameters; build the model first.")
    return _KINDS[type(spec)].optimizer(parameters, **_torch_arguments(spec), **options)


class SGDW(torch.optim.SGD):
    """torch's SGD with a weight decay beside the gradient and not in it, as `samestep.SGDW` defines it."""

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Make an update; torch's own kernels make it of weights that have been shrunk before."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            params: list[torch.Tensor] = []
            grads: list[torch.Tensor] = []
            buffers: list[torch.Tensor | None] = []
            sparse = self._init_group(group, params, grads, buffers)
            if not params:
                continue
            rate, momentum = group["lr"], group["momentum"]
            torch._foreach_mul_(params, 1 - rate * group["weight_decay"])
            sgd(
                params,
                grads,
                buffers,
                has_sparse_grad=sparse,
                foreach=group["foreach"],
                weight_decay=0.0,
                momentum=momentum,
                lr=rate,
                dampening=0.0,
                nesterov=group["nesterov"] and momentum != 0,
                maximize=False,
            )
            if self.defaults["momentum"] != 0:
                # torch leaves the buffer alone where the momentum is 0; by the formula it is the gradient.
                for param, grad, buffer in zip(params, grads, buffers if momentum else grads, strict=True):
                    self.state[param]["momentum_buffer"] = buffer if momentum else grad.clone()
        return loss


def has(group: dict[str, Any], hyperparameter: str) -> bool:
    """Whether a parameter group has this hyperparameter at all."""
    return hyperparameter in _held(group)


def base_value(group: dict[str, Any], hyperparameter: str) -> float:
    """The base value of a parameter group: what it held before any schedule, remembered in the group itself.

    torch saves a group's keys with the optimizer, so that a resumed run finds the base value and not a decayed one.
    `initial_lr` is the key that torch's own schedulers use.
    """
    key = f"initial_{KEYS[hyperparameter]}"
    return float(group.setdefault(key, _number(_held(group)[hyperparameter])))


def write(group: dict[str, Any], hyperparameter: str, value: float) -> None:
    """Write a value into a parameter group; a tensor is filled in place, so that captured graphs see it."""
    held = _held(group)[hyperparameter]
    if isinstance(held, torch.Tensor):
        held.fill_(value)
    elif hyperparameter == "momentum" and "betas" in group:
        group["betas"] = (value, *group["betas"][1:])
    else:
        group[KEYS[hyperparameter]] = value


def is_plain(optimizer: torch.optim.Optimizer, hyperparameters: Sequence[str]) -> bool:
    """Whether these hyperparameters are plain numbers under their `KEYS` in every parameter group."""
    held = [group.get(KEYS[name]) for group in optimizer.param_groups for name in hyperparameters]
    return all(isinstance(value, (int, float)) for value in held)


def read(optimizer: torch.optim.Optimizer) -> dict[str, float]:
    """The hyperparameters that the optimizer holds; those of parameter group i > 0 are named `name/i`."""
    return {
        name if index == 0 else f"{name}/{index}": float(value)
        for index, group in enumerate(optimizer.param_groups)
        for name, value in _held(group).items()
    }


def _held(group: dict[str, Any]) -> dict[str, Any]:
    """The hyperparameters of a parameter group, as it holds them."""
    held = {name: group[key] for name, key in KEYS.items() if key in group}
    return {**held, "momentum": group["betas"][0]} if "betas" in group else held


def spec_difference(spec: Spec, optimizer: torch.optim.Optimizer) -> str | None:
    """The first number in which the optimizer is not the spec's, in words, or None.

    Base values are compared with those that the groups started from, so that a resumed optimizer is recognised.
    """
    if type(optimizer) is not _KINDS[type(spec)].optimizer:
        return f"the optimizer is {type(optimizer).__name__} and not {type(spec).__name__}"
    names = _KINDS[type(spec)].fields
    for group in optimizer.param_groups:
        for key, expected in _torch_arguments(spec).items():
            found = group.get(f"initial_{key}", group[key])
            if key == "betas":
                momentum, beta_2 = map(_number, found)
                found = (group.get("initial_momentum", momentum), beta_2)
            else:
                found = _number(found)
            if found != expected:
                return f"{names.get(key, key)} is {found!r} and not {expected!r}"
    return None


def _torch_arguments(spec: Spec) -> dict[str, Any]:
    kind = _KINDS[type(spec)]
    return {**{key: getattr(spec, field) for key, field in kind.fields.items()}, **kind.constants}


class _Kind(NamedTuple):
    """How torch makes the optimizer of a spec: its class, where the spec's fields go, and what is always so."""

    optimizer: type[torch.optim.Optimizer]
    fields: dict[str, str]
    constants: dict[str, Any]
    options: tuple[str, ...]


_KINDS: dict[type[Spec], _Kind] = {
    specs.AdamW: _Kind(
        torch.optim.AdamW,
        {"lr": "learning_rate", "betas": "betas", "eps": "epsilon", "weight_decay": "weight_decay"},
        {"amsgrad": False, "maximize": False},
        ("foreach", "fused", "capturable", "differentiable"),
    ),
    specs.SGDW: _Kind(
        SGDW,
        {"lr": "learning_rate", "weight_decay": "weight_decay", "momentum": "momentum", "nesterov": "nesterov"},
        {"dampening": 0.0, "maximize": False},
        ("foreach",),
    ),
}


def _number(value: float | torch.Tensor) -> float:
    """A number that may be held in a tensor, as the decimal that it was written as."""
    if isinstance(value, torch.Tensor) and value.dtype == torch.float32:
        return shortest_decimal(float(value))
    return float(value) if not isinstance(value, bool) else value
