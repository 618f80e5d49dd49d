"""The record of one kind of optimizer in torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from ...core.specs.parameter_rules import Multipliers
from ...core.specs.spec import Spec
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
    native: type[torch.optim.Optimizer] | None
    own: type[SpecOptimizer]
    fields: Mapping[str, str]
    options: tuple[str, ...]
    own_options: tuple[str, ...]
    moments: Mapping[str, str]
    constants: Mapping[str, Any] = field(default_factory=dict)
    counts: bool = True
    product: str | None = None

    def arguments(self, spec: Spec) -> dict[str, Any]:
        """The numbers of a spec as arguments of torch's class."""
        return {**{key: getattr(spec, name) for key, name in self.fields.items()}, **self.constants}

    def expresses(self, spec: Spec, every: Sequence[Multipliers]) -> bool:
        """Whether torch's own class can make the updates of a spec with these groups' multipliers."""
        return (
            self.native is not None
            and spec.weight_decay_basis == "learning_rate"
            and spec.clip is None
            and not any(multipliers.l1_ratio for multipliers in every)
            and getattr(spec, "epsilon_mode", "torch") == "torch"
        )
