"""Assigns an optimizer's variables to groups, by the rules of its spec."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras

from ...core.specs.parameter_rules import Multipliers, Parameter, assign
from ...core.specs.spec import Spec

Parameters = Callable[[], list[tuple[Parameter, keras.Variable]]]
"""Returns the parameters of the model that an optimizer is made for."""


class Grouping:
    """The multipliers that a spec's rules give to variables.

    Args:
        who: The optimizer's name in messages.
        parameters: Returns the parameters of its model; None if it was loaded without a model.
        saved: The saved multipliers of each variable, if any.
    """

    def __init__(self, who: str, parameters: Parameters | None, saved: Sequence[Sequence[float]] | None = None) -> None:
        self._who = who
        self.parameters: Parameters | None = parameters
        self.saved: Sequence[Sequence[float]] | None = saved
        self._unfit: str | None = None  # why the saved multipliers cannot be used

    def variables(self) -> list[keras.Variable]:
        """The trainable variables, so far, of the model that the optimizer was made for."""
        return [] if self.parameters is None else [variable for _, variable in self.parameters()]

    @property
    def known(self) -> bool:
        """Whether the multipliers are known: not if the optimizer was saved with those of other variables."""
        return self._unfit is None

    def check(self) -> None:
        """Refuse an update of variables whose multipliers are unknown.

        Raises:
            ValueError: The optimizer was saved with multipliers of other variables.
        """
        if self._unfit is not None:
            raise ValueError(self._unfit)

    def multipliers(self, spec: Spec, variables: Sequence[Any]) -> list[Multipliers]:
        """The multipliers of each variable; none where the saved ones are of other variables, which `check` refuses.

        Raises:
            ValueError: The multipliers are unknown, or a rule matches nothing.
        """
        if not spec.parameters:
            return [Multipliers(l1_ratio=spec.l1_ratio)] * len(variables)
        if self.saved is not None:
            self._unfit = None
            if len(self.saved) != len(variables):
                self._unfit = (
                    f"{self._who}: found {len(self.saved)} saved multipliers and {len(variables)} trainable variables; "
                    f"expected one per variable: compile the model with a new build_optimizer(spec, model)."
                )
                return []
            return [Multipliers(*saved) for saved in self.saved]
        if self.parameters is None:
            raise ValueError(
                f"{self._who}: found parameter rules and no model to apply them to; make the optimizer with "
                f"build_optimizer(spec, model)."
            )
        found = self.parameters()
        assigned = assign(spec.parameters, spec.l1_ratio, [parameter for parameter, _ in found])
        by_variable = {id(variable): each.multipliers for (_, variable), each in zip(found, assigned, strict=True)}
        missing = [variable.path for variable in variables if id(variable) not in by_variable]
        if missing:
            raise ValueError(
                f"{self._who}: found the variables {missing}, which are not trainable parameters of the model that "
                f"the optimizer was made for; make it with build_optimizer(spec, model) of their model."
            )
        return [by_variable[id(variable)] for variable in variables]
