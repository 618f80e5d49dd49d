"""The parameter groups of any torch optimizer: reading and writing the hyperparameters that they hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ..core.callbacks.optimizer_matching import log_name
from ..core.recipes.float32 import shortest_decimal

KEYS = {"learning_rate": "lr", "weight_decay": "weight_decay", "momentum": "momentum"}
"""Where a parameter group has the hyperparameters; the momentum of Adam's relatives is the first of its betas."""


def has(group: dict[str, Any], hyperparameter: str) -> bool:
    """Whether a parameter group has this hyperparameter at all."""
    return hyperparameter in values(group)


def base_value(group: dict[str, Any], hyperparameter: str) -> float:
    """The base value of a parameter group: what it held before any schedule, remembered in the group itself.

    torch saves a group's keys with the optimizer, so that a resumed run finds the base value and not a decayed one.
    `initial_lr` is the key that torch's own schedulers use.
    """
    key = f"initial_{KEYS[hyperparameter]}"
    return float(group.setdefault(key, number(values(group)[hyperparameter])))


def held(group: dict[str, Any], hyperparameter: str) -> float:
    """The value of a parameter group."""
    return number(values(group)[hyperparameter])


def holds(group: dict[str, Any], hyperparameter: str, value: float) -> bool:
    """Whether a parameter group has this value, as it was written, or as a tensor rounds it."""
    found = values(group)[hyperparameter]
    if isinstance(found, torch.Tensor):
        return bool(found == torch.tensor(value, dtype=found.dtype))
    return bool(found == value)


def write(group: dict[str, Any], hyperparameter: str, value: float) -> None:
    """Write a value into a parameter group; a tensor is filled in place, so that captured graphs see it."""
    held = values(group)[hyperparameter]
    if isinstance(held, torch.Tensor):
        held.fill_(value)
    elif hyperparameter == "momentum" and "betas" in group:
        group["betas"] = (value, *group["betas"][1:])
    else:
        group[KEYS[hyperparameter]] = value


def stored(
    optimizer: torch.optim.Optimizer, columns: Sequence[tuple[str, Sequence[Sequence[float]]]]
) -> list[tuple[int, str, Sequence[Any]]] | None:
    """Where values go and as what: the number of a parameter group, the key, and what to store under it for each value.

    columns: by hyperparameter, the values of each group. None where a group holds a tensor, which is to be filled.
    """
    found: list[tuple[int, str, Sequence[Any]]] = []
    for name, of_groups in columns:
        for index, (group, column) in enumerate(zip(optimizer.param_groups, of_groups, strict=True)):
            if isinstance(values(group)[name], torch.Tensor):
                return None
            if name == "momentum" and "betas" in group:
                found.append((index, "betas", [(value, *group["betas"][1:]) for value in column]))
            else:
                found.append((index, KEYS[name], column))
    return found


def read(optimizer: torch.optim.Optimizer) -> dict[str, float]:
    """The hyperparameters that the optimizer holds; those of parameter group i > 0 are named `name/i`."""
    return {
        log_name(name, group=index): float(value)
        for index, group in enumerate(optimizer.param_groups)
        for name, value in values(group).items()
    }


def skipped(optimizer: torch.optim.Optimizer) -> bool:
    """Whether the kernel of the step that is being made skips it, because a loss scaler found an infinite gradient.

    A scaler leaves that to an optimizer which says that it can, as torch's own do when `fused`: it calls `step`, which
    runs its hooks, and tells by `found_inf`, which it sets for this time alone. To know costs the wait for the device.
    """
    found = getattr(optimizer, "found_inf", None)
    return found is not None and bool(found.item())


def values(group: dict[str, Any]) -> dict[str, Any]:
    """The hyperparameters of a parameter group, as it holds them."""
    held = {name: group[key] for name, key in KEYS.items() if key in group}
    return {**held, "momentum": group["betas"][0]} if "betas" in group else held


def number(value: float | torch.Tensor) -> float:
    """A number that may be held in a tensor, as the decimal that it was written as."""
    if isinstance(value, torch.Tensor) and value.dtype == torch.float32:
        return shortest_decimal(float(value))
    return float(value) if not isinstance(value, bool) else value
