"""The table of what a spec sets for each parameter of a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from .parameter_rules import Parameter, Role, assign
from .spec import Spec


class ParameterRow(NamedTuple):
    """One parameter in the table of `describe_parameters`: base values, and the numbers of the rules that set them."""

    path: str
    shape: tuple[int, ...]
    role: Role
    rules: tuple[int, ...]
    learning_rate: float
    weight_decay: float
    l1_ratio: float


class ParameterTable(tuple[ParameterRow, ...]):
    """A row per trainable parameter of a model; prints, and shows in a notebook, as a table."""

    spec: Spec

    @classmethod
    def of(cls, spec: Spec, parameters: Sequence[Parameter], trained: Sequence[bool] | None = None) -> ParameterTable:
        """The table of a spec for these parameters.

        Args:
            spec: The spec.
            parameters: Those of a model, in its order.
            trained: Of each parameter whether it has a row: rules may also name frozen ones; all of them by default.

        Raises:
            ValueError: A rule matches none of them.
        """
        table = cls(
            ParameterRow(
                *assignment.parameter,
                assignment.rules,
                spec.learning_rate * assignment.multipliers.learning_rate,
                spec.weight_decay * assignment.multipliers.weight_decay,
                assignment.multipliers.l1_ratio,
            )
            for assignment, shown in zip(
                assign(spec.parameters, spec.l1_ratio, parameters), trained or [True] * len(parameters), strict=True
            )
            if shown
        )
        table.spec = spec
        return table

    def __reduce__(self) -> Any:
        return _restored, (tuple(self), self.spec)

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        mixed = any(row.l1_ratio for row in self)
        rows = [("path", "shape", "role", "rule", "learning rate", "weight decay", *(["L1 ratio"] if mixed else []))]
        for row in self:
            numbers = [row.learning_rate, row.weight_decay, *([row.l1_ratio] if mixed else [])]
            shape = " x ".join(map(str, row.shape)) or "scalar"
            rows.append(
                (row.path, shape, row.role, ", ".join(map(str, row.rules)), *(f"{number:.6g}" for number in numbers))
            )
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        legend = [f"rule {number}: {rule!r}" for number, rule in enumerate(self.spec.parameters)]
        return "\n".join([*lines, *legend])


def extraction_error(found: str, remedy: str) -> ValueError:
    """The error of `extract_weight_decay`."""
    return ValueError(f"extract_weight_decay: found {found}; {remedy}.")


def _restored(rows: tuple[ParameterRow, ...], spec: Spec) -> ParameterTable:
    table = ParameterTable(rows)
    table.spec = spec
    return table
