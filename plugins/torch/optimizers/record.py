"""What torch's room knows of a kind of optimizer."""

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
    """How torch makes the optimizer of a spec.

    Attributes:
        kind: The class of the specs.
        torch_class: torch's class of the same state, whose checkpoints the optimizer loads.
        native: What is made where torch's class expresses the spec, to make the same updates; None where it never does.
        own: What is made otherwise.
        fields: By the argument of torch's class, the field of the spec.
        constants: Arguments that are always the same.
        options: Those of torch's options that choose a kernel.
        own_options: Those of them that `own` takes.
        moments: By torch's name in the state of a parameter, the one that files of a run have.
        counts: Whether the state of a parameter has the number of its updates, as "step".
        product: What the state calls the product of the momenta, if it has one.
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
        """The numbers of a spec as torch's class takes them."""
        return {**{key: getattr(spec, name) for key, name in self.fields.items()}, **self.constants}

    def expresses(self, spec: Spec, every: Sequence[Multipliers]) -> bool:
        """Whether an optimizer of torch's own class makes the updates of a spec with these groups."""
        return (
            self.native is not None
            and spec.weight_decay_basis == "learning_rate"
            and spec.clip is None
            and not any(multipliers.l1_ratio for multipliers in every)
            and getattr(spec, "epsilon_mode", "torch") == "torch"
        )
