"""Recipes that a run was trained with, and others that it continues with, for the tests of both frameworks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from samestep import AdamW, CosineDecay, EpochFunction, LinearDecay, Plan, Recipe, Schedule, StepDecay, epochs, percent

UPDATES, EPOCHS = 4, 3
SPEC = AdamW(0.5, 0.25)
STEPS = StepDecay(0.5, every=epochs(1))
START = np.array([0.5, -1.0])
GRADIENTS = np.array([[1.0, -2.0], [0.5, 1.0], [-1.0, 0.25], [2.0, 1.0]])
"""The gradient at each update of an epoch, whatever the two weights are."""


@dataclass(frozen=True, repr=False)
class Halved(Schedule):
    """eta(t) = part: a schedule of the user's own."""

    part: float

    def curve(self, ticks: Any) -> Callable[[int], float]:
        return lambda t: self.part


def halving(epoch: int) -> float:
    return 0.5**epoch


def slower(epoch: int) -> float:
    return 0.75**epoch


@dataclass(frozen=True)
class Change:
    """A run that was trained with one recipe for two of three epochs, and is to continue with another.

    Attributes:
        saved: The recipe that it was trained with.
        new: The other one.
        told: The differences, in the words of the message.
        resolutions: Those of the saved and of the new callback.
        readable: Whether the saved recipe can be read when only the new one is at hand.
    """

    saved: Recipe
    new: Recipe
    told: str
    resolutions: tuple[str, str] = ("update", "update")
    readable: bool = True

    @property
    def message(self) -> str:
        return f"{FOUND}: {self.told}{REMEDY}"

    @property
    def unreadable(self) -> str:
        return f"{FOUND}: {self.told}, and those of the checkpoint cannot be read here{UNREADABLE}"

    def specs(self) -> tuple[AdamW, AdamW]:
        """The specs that the optimizers are built from: saved, new."""
        found: Any = [each.optimizer or SPEC for each in (self.saved, self.new)]
        return found[0], found[1]

    def rows(self, use: str, length: int = EPOCHS) -> list[tuple[AdamW, float, float, float]]:
        """For each update the spec that holds, and learning rate, weight decay and momentum."""
        rows = []
        for epoch in range(length):
            new = use == "use_new" and epoch >= 2
            recipe, spec = (self.saved, self.new)[new], self.specs()[new]
            plan = Plan(Recipe(spec, recipe.learning_rate), recipe.plan(UPDATES, length if new else EPOCHS).clock)
            for update in range(UPDATES):
                at = update if self.resolutions[new] == "update" else 0
                rows.append((spec, *(plan.value(name, epoch, at) for name in plan.recipe.driven)))
        return rows  # type: ignore[return-value]


FOUND = "HyperparameterScheduler: found a checkpoint (epoch 2, update 0) that was trained with different settings"
REMEDY = "; pass the settings it was trained with, or write on_change='use_new' or 'use_saved'."
UNREADABLE = (
    "; import the classes of its schedules, pass a recipe that has the functions it names, or write "
    "on_change='use_new'."
)
GIVE = "; there the saved and the new give learning_rate"
SAME = ", weight_decay 0.25 and 0.25, momentum 0.9 and 0.9"

CHANGES = {
    "factor": Change(
        Recipe(SPEC, STEPS),
        Recipe(SPEC, StepDecay(0.1, every=epochs(1))),
        f"recipe.learning_rate.factor was 0.5 and is 0.1{GIVE} 0.125 and 0.005000000000000001{SAME}",
    ),
    "shape": Change(
        Recipe(SPEC, CosineDecay(over=percent(100))),
        Recipe(SPEC, LinearDecay(over=percent(100))),
        f"recipe.learning_rate was CosineDecay(over=percent(100)) and is "
        f"LinearDecay(over=percent(100)){GIVE} 0.12499999999999997 and 0.16666666666666666{SAME}",
    ),
    "numbers": Change(
        Recipe(SPEC, STEPS),
        Recipe(AdamW(0.25, 0.5, betas=(0.5, 0.75), epsilon=0.5), STEPS),
        f"recipe.optimizer.learning_rate was 0.5 and is 0.25, recipe.optimizer.weight_decay was 0.25 and is 0.5, "
        f"recipe.optimizer.betas was [0.9, 0.999] and is [0.5, 0.75], recipe.optimizer.epsilon was 1e-08 and is 0.5"
        f"{GIVE} 0.125 and 0.0625, weight_decay 0.25 and 0.5, momentum 0.9 and 0.5",
    ),
    "without a spec": Change(
        Recipe(learning_rate=STEPS),
        Recipe(learning_rate=StepDecay(0.1, every=epochs(1))),
        f"recipe.learning_rate.factor was 0.5 and is 0.1{GIVE} 0.25 times its base value and 0.010000000000000002 "
        f"times its base value",
    ),
    "function": Change(
        Recipe(SPEC, EpochFunction(halving)),
        Recipe(SPEC, EpochFunction(slower)),
        f"recipe.learning_rate.function was '{__name__}:halving' and is '{__name__}:slower'",
        readable=False,
    ),
    "function of the same name": Change(
        Recipe(SPEC, EpochFunction(halving)),
        Recipe(SPEC, 0.5 * EpochFunction(halving)),
        f"recipe.learning_rate was EpochFunction(function='{__name__}:halving') and is Product(left=Constant("
        f"value=0.5), right=EpochFunction(function='{__name__}:halving')){GIVE} 0.125 and 0.0625{SAME}",
    ),
    "own schedule": Change(
        Recipe(SPEC, Halved(0.5)),
        Recipe(SPEC, Halved(0.25)),
        f"recipe.learning_rate.part was 0.5 and is 0.25{GIVE} 0.25 and 0.125{SAME}",
    ),
    "resolution": Change(
        Recipe(SPEC, LinearDecay(over=epochs(3), end=0.25)),
        Recipe(SPEC, LinearDecay(over=epochs(3), end=0.25)),
        f"resolution was 'update' and is 'epoch'{GIVE} 0.25 and 0.25{SAME}",
        resolutions=("update", "epoch"),
    ),
}


def stepped(rows: Iterable[tuple[AdamW, float, float, float]], begin: int = 0) -> np.ndarray:
    """The weights after updates by torch's AdamW, in float64 and never interrupted, each by its own numbers.

    begin: the update from which on the gradients are those of an epoch from its first one, whatever they were before.
    """
    import torch

    weights = torch.nn.Parameter(torch.tensor(START))
    optimizer = torch.optim.AdamW([weights])
    (group,) = optimizer.param_groups
    for update, (spec, rate, decay, momentum) in enumerate(rows):
        group.update(lr=rate, weight_decay=decay, betas=(momentum, spec.betas[1]), eps=spec.epsilon)
        index = update if update < begin else update - begin
        weights.grad = torch.tensor(GRADIENTS[index % UPDATES])
        optimizer.step()
    return weights.detach().numpy()
