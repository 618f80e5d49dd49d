"""Reads and writes the hyperparameters in the parameter groups of any torch optimizer."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import torch

from ..core.callbacks.optimizer_matching import log_name
from ..core.recipes.float32 import shortest_decimal

KEYS = {"learning_rate": "lr", "weight_decay": "weight_decay", "momentum": "momentum"}
"""The keys of the hyperparameters in a parameter group; for Adam's relatives the momentum is the first beta."""


def has(group: dict[str, Any], hyperparameter: str) -> bool:
    """Whether a parameter group has this hyperparameter."""
    return hyperparameter in values(group)


def base_key(hyperparameter: str) -> str:
    """The key under which samestep leaves the base value in a parameter group."""
    return f"base_{hyperparameter}"


def own_base(group: dict[str, Any], hyperparameter: str) -> float | None:
    """The base value that was left in a parameter group, or None."""
    found: float | None = group.get(base_key(hyperparameter))
    return found


def keep_given(group: dict[str, Any], given: Collection[str]) -> None:
    """Leave as base values in a new group those of its numbers that the user gave, by their keys."""
    for name, value in values(group).items():
        if value is not None and (KEYS[name] in given or (name == "momentum" and "betas" in given)):
            group.setdefault(base_key(name), number(value))


def held(group: dict[str, Any], hyperparameter: str) -> float:
    """The value that a parameter group holds."""
    return number(values(group)[hyperparameter])


def holds(group: dict[str, Any], hyperparameter: str, value: float) -> bool:
    """Whether a parameter group holds this value, exactly or as its tensor rounds it."""
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
    """What to store where: the number of a parameter group, the key, and what to store there for each value.

    Args:
        optimizer: The optimizer whose groups are written.
        columns: By hyperparameter, the values of each group.

    Returns:
        The places, or None if a group holds a tensor, which must be filled in place.
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
    """The hyperparameters that the optimizer holds; parameter group i > 0 adds `/i` to the names."""
    return {
        log_name(name, group=index): float(value)
        for index, group in enumerate(optimizer.param_groups)
        for name, value in values(group).items()
    }


def skipped(optimizer: torch.optim.Optimizer) -> bool:
    """Whether the kernel skips the current step because a loss scaler found an infinite gradient.

    A scaler leaves skipping to optimizers that support it, such as torch's own when `fused`: it calls `step`, which
    runs its hooks, and sets `found_inf` for that one call. Reading it waits for the device.
    """
    found = getattr(optimizer, "found_inf", None)
    return found is not None and bool(found.item())


def values(group: dict[str, Any]) -> dict[str, Any]:
    """The hyperparameters of a parameter group, as it holds them."""
    # Some optimizers have None for a learning rate that they compute themselves.
    held = {name: group[key] for name, key in KEYS.items() if group.get(key) is not None}
    return {**held, "momentum": group["betas"][0]} if "betas" in group else held


def number(value: float | torch.Tensor) -> float:
    """A number, possibly in a tensor, as the decimal it was written as."""
    if isinstance(value, torch.Tensor) and value.dtype == torch.float32:
        return shortest_decimal(float(value))
    return float(value) if not isinstance(value, bool) else value
