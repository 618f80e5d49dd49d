"""The policy of the user's own function: a learning rate per epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from ..schedules.clock import Clock, Position
from ..schedules.epoch_function import EpochCallable, EpochValues, function_error, takes_previous
from .policy import Policy

_CHECKED = 10_000
"""The most epochs for which the function is called before training; enough, and soon done."""


class FunctionPolicy(Policy):
    """Gives function(epoch), or function(epoch, learning rate of the epoch before) starting from the base value.

    Args:
        function: f(epoch) or f(epoch, learning_rate), without side effects, returning a learning rate.
        base: The learning rate before any decay, or None for each group's own.
        who: Its name in messages.
    """

    kind: ClassVar[str] = "function"
    driven: tuple[str, ...] = ("learning_rate",)

    def __init__(self, function: EpochCallable, *, base: float | None = None, who: str) -> None:
        super().__init__(who)
        try:
            self._folded = takes_previous(function)
        except TypeError as error:
            raise TypeError(f"{who}: {error}") from None
        self.function = function
        self.base: float | None = self._checked_base(base)
        self._epochs = 0
        self._by_base: dict[float, EpochValues] = {}

    def prepare(self, clock: Clock) -> None:
        """Note how many epochs are to come."""
        self._epochs = clock.epochs or 0

    def value(self, hyperparameter: str, base: float, position: Position) -> float:
        if base not in self._by_base:
            self._by_base[base] = EpochValues(self.function, base)
        return self._by_base[base](position.epoch)

    def check_bases(self, bases: Mapping[str, Sequence[float]]) -> None:
        rates = sorted(set(bases["learning_rate"]))
        if not self._folded and len(rates) > 1:
            raise self.error(
                f"parameter groups with the learning rates {rates} and a function of the epoch alone, "
                f"which would make them the same",
                "write the function as f(epoch, learning_rate)",
            )
        for epoch in range(self.first_epoch, min(self._epochs, self.first_epoch + _CHECKED)):
            for base in rates:
                try:
                    self.value("learning_rate", base, Position(epoch))
                except Exception as error:
                    raise function_error(self.who, error) from error
