"""What the specs of Adam's relatives have in common."""

from __future__ import annotations

from dataclasses import dataclass

from ..schedules.serializable import is_listing, real
from .spec import Spec


@dataclass(frozen=True, repr=False)
class AdamFamily(Spec):
    """What AdamW and NAdamW have in common."""

    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require(
            is_listing(self.betas) and len(self.betas) == 2,
            "betas",
            "two numbers, such as (0.9, 0.999)",
        )
        betas = tuple(real(beta, f"{type(self).__name__}.betas") for beta in self.betas)
        object.__setattr__(self, "betas", betas)
        self._require(all(0 <= beta < 1 for beta in betas), "betas", "two numbers in [0, 1)")
        self._require(self.epsilon > 0, "epsilon", "a number greater than 0")

    @property
    def momentum(self) -> float:
        """beta_1, the momentum of Adam."""
        return self.betas[0]
