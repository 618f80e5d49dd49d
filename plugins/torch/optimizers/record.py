"""The record of one kind of optimizer in torch."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import torch

from ...core.specs.parameter_rules import Multipliers
from ...core.specs.spec import HYPERPARAMETERS, Spec
from ..param_groups import base_key
from .built_optimizer import BuiltOptimizer
from .spec_optimizer import SpecOptimizer


@dataclass(frozen=True)
class TorchRecord:
    """How to build a spec's optimizer in torch.

    Attributes:
        kind: The class of the specs.
        torch_class: torch's class with the same state, whose checkpoints the optimizer loads.
        native: The class to build if torch can express the spec; None if it never can.
        own: The class to build otherwise.
        fields: The spec's field for each argument of torch's class.
        constants: Arguments that are always the same.
        options: torch's options that choose a kernel.
        own_options: Those options that `own` accepts.
        moments: For each moment in torch's state of a parameter, its name in files.
        counts: Whether a parameter's state has its number of updates, as "step".
        product: The state's name for the product of the momenta, if it has one.
    """

    kind: type[Spec]
    torch_class: type[torch.optim.Optimizer]
    native: type[BuiltOptimizer] | None
    own: type[SpecOptimizer]
    fields: Mapping[str, str]
    options: tuple[str, ...]
    own_options: tuple[str, ...]
    moments: Mapping[str, str]
    constants: Mapping[str, Any] = field(default_factory=dict)
    counts: bool = True
    product: str | None = None

    def __post_init__(self) -> None:
        for built in (self.native, self.own):
            if built is not None:
                built.record = self

    @property
    def numbers(self) -> tuple[str, ...]:
        """The arguments of torch's class that the spec decides."""
        return (*self.fields, *self.constants)

    def arguments(self, spec: Spec) -> dict[str, Any]:
        """The numbers of a spec as arguments of torch's class."""
        return {**{key: getattr(spec, name) for key, name in self.fields.items()}, **self.constants}

    def write(
        self,
        spec: Spec,
        groups: Sequence[dict[str, Any]],
        every: Sequence[Multipliers],
        own: Mapping[int, Collection[str]] = MappingProxyType({}),
    ) -> None:
        """Write the numbers of a spec into parameter groups, as base values.

        Args:
            spec: The spec.
            groups: The parameter groups.
            every: The multipliers of each.
            own: By the number of a group, the hyperparameters whose values are its own and stay.
        """
        for index, (group, multipliers) in enumerate(zip(groups, every, strict=True)):
            kept = own.get(index, ())
            for key, base in self.arguments(spec).items():
                field = self.fields.get(key, key)
                if field in kept:
                    continue
                value = base * getattr(multipliers, field) if field in ("learning_rate", "weight_decay") else base
                if key == "betas" and "momentum" in kept:
                    value = (group[key][0], *base[1:])
                if isinstance(group[key], torch.Tensor):
                    group[key].fill_(value)
                else:
                    group[key] = value
            for name in HYPERPARAMETERS:
                if name not in kept:
                    group.pop(base_key(name), None)

    def expresses(self, spec: Spec, every: Sequence[Multipliers]) -> bool:
        """Whether torch's own class can make the updates of a spec with these groups' multipliers."""
        return (
            self.native is not None
            and spec.weight_decay_basis == "learning_rate"
            and spec.clip is None
            and not any(multipliers.l1_ratio for multipliers in every)
            and getattr(spec, "epsilon_mode", "torch") == "torch"
        )
