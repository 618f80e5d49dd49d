"""The schedules that an optimizer is due: it was built for a recipe, and a callback has to drive them."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence

from ..checkpoints.saved import Driver
from ..recipes.recipe import UNCHANGED, Recipe
from ..specs.spec import HYPERPARAMETERS, Spec


def spec_of(found: Spec | Recipe, who: str) -> Spec:
    """The spec of what `build_optimizer` was given; anything that is no recipe passes through.

    Raises:
        ValueError: A recipe without an optimizer.
    """
    if not isinstance(found, Recipe):
        return found
    if found.optimizer is None:
        raise ValueError(
            f"{who}: found a recipe without an optimizer; give it one, as in Recipe({Spec._example}, ...), or build "
            f"the optimizer yourself: the recipe's schedules drive any."
        )
    return found.optimizer


class Due:
    """What nothing drives yet of the schedules that an optimizer was built for.

    Args:
        names: The hyperparameters that have a schedule.

    Attributes:
        names: Those of them that nothing has driven.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.names: tuple[str, ...] = tuple(names)

    @classmethod
    def of(cls, found: Spec | Recipe) -> Due:
        """What is due to an optimizer built from a spec or a recipe."""
        if not isinstance(found, Recipe):
            return cls()
        return cls(name for name in HYPERPARAMETERS if found.schedule(name) != UNCHANGED)

    @classmethod
    def after(cls, drivers: Sequence[Driver]) -> Due:
        """What is due to an optimizer whose checkpoint says that these drove it."""
        constant = UNCHANGED.to_dict()
        return cls(
            name
            for name in HYPERPARAMETERS
            if any(name in each.hyperparameters and _schedule(each, name) != constant for each in drivers)
        )

    def driven(self, names: Sequence[str]) -> None:
        """Something drives these from now on."""
        self.names = tuple(name for name in self.names if name not in names)

    def warn(self) -> None:
        """Warn, once, of an update that nothing drives."""
        names = " and ".join(self.names)
        self.names = ()
        warnings.warn(
            f"found an update with an optimizer of build_optimizer whose {names} should follow a schedule, but no "
            f"callback of samestep drives it; give HyperparameterScheduler(recipe) to the trainer, or, if your own "
            f"loop writes the values, write build_optimizer(recipe.optimizer, model).",
            stacklevel=3,
        )


def _schedule(driver: Driver, name: str) -> object:
    """The canonical form of a hyperparameter's schedule in a saved recipe; None if something else drove it."""
    recipe = (driver.settings or {}).get("recipe")
    found = recipe.get(name) if isinstance(recipe, dict) else None
    return found if isinstance(found, dict) else None
