"""Functions for schedules that are a user's own, by the names that a recipe's data has for them."""

from __future__ import annotations


def by_table(epoch: int) -> float:
    return (1.0, 0.5, 2.0)[epoch % 3]


def by_fold(epoch: int, eta: float) -> float:
    return eta * 0.75 if epoch % 2 else eta


FUNCTIONS = {f"{f.__module__}:{f.__qualname__}": f for f in (by_table, by_fold)}
