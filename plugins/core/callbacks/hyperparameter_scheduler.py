"""The callback that makes optimizers follow recipes."""

from __future__ import annotations

from collections.abc import Mapping
from reprlib import repr as shortened
from typing import Any

from ..policies.recipe_policy import RecipePolicy, Resolution
from ..recipes.plan_values import PlanValues
from ..recipes.recipe import Recipe
from ..schedules.clock import Clock
from ..schedules.schedule import Schedule
from ..specs.spec import Spec
from .schedule_callback import Argument, OnChange, OptimizerKey, Options, ScheduleCallback, checked_on_change


class HyperparameterScheduler(ScheduleCallback):
    """Make an optimizer follow a recipe, or several optimizers one recipe each.

    Args:
        recipe: The recipe to follow. With a spec it drives every hyperparameter of an optimizer that `build_optimizer`
            made from that spec; without one, its schedules drive any optimizer. With several optimizers, give
            one recipe per optimizer, keyed by the path of the submodel it trains or by its number. Each counts its
            own updates.
        resolution: "update" evaluates the plan at every update; "epoch" holds the value of the epoch's first update.
        updates_per_epoch: The number of updates in an epoch, where the trainer cannot know it: for training data of
            unknown length and under manual optimization. With several optimizers one number, or a mapping with the
            same keys.
        on_change: What happens if the run continues from a checkpoint that was trained with another recipe. "raise"
            is an error that lists the differences. "use_new" continues with this recipe and the length of this run,
            from the position of the checkpoint; "use_saved" with the recipe of the checkpoint. With the same recipe,
            and with "use_saved", percentages are of the length that the run had at its start, so that adding epochs
            does not stretch the schedule already trained.
        verify: Check that the optimizer holds the planned values, at every update (Lightning) or epoch (Keras), and
            stop with an error that says what was written last, and by whom, if it does not. Without it, Lightning
            checks before the first two updates of an epoch and at its end.

    Raises:
        TypeError: `recipe` is not a recipe or a mapping of recipes.
        ValueError: An argument is out of range; at the start of training, before the first batch, for anything that
            cannot be done exactly.

    >>> from samestep import Recipe, StepDecay, Warmup
    >>> HyperparameterScheduler(
    ...     {
    ...         "generator": Recipe(learning_rate=Warmup("4 updates")),
    ...         "discriminator": Recipe(weight_decay=StepDecay(0.1, "1 epoch")),
    ...     }
    ... ).resolution
    'update'
    """

    recipe: Argument[Recipe | Mapping[OptimizerKey, Recipe]] = Argument()
    resolution: Argument[Resolution] = Argument()
    updates_per_epoch: Argument[int | Mapping[OptimizerKey, int] | None] = Argument()
    on_change: Argument[OnChange] = Argument()
    verify: Argument[bool] = Argument()

    def __init__(
        self,
        recipe: Recipe | Mapping[OptimizerKey, Recipe],
        *,
        resolution: Resolution = "update",
        updates_per_epoch: int | Mapping[OptimizerKey, int] | None = None,
        on_change: OnChange = "raise",
        verify: bool = False,
    ) -> None:
        who = self._who
        if not isinstance(verify, bool):
            raise ValueError(f"{who}: found verify={verify!r}; write verify=True or verify=False.")
        self._options = Options(checked_on_change(who, on_change), verify, shared=False)
        policies: RecipePolicy | dict[OptimizerKey, RecipePolicy]
        if isinstance(recipe, Recipe):
            policies = RecipePolicy(recipe, resolution=resolution, who=who)
        else:
            policies = _by_optimizer(recipe, resolution, who)
        arguments = {
            "recipe": recipe,
            "resolution": resolution,
            "updates_per_epoch": updates_per_epoch,
            "on_change": on_change,
            "verify": verify,
        }
        super().__init__(policies, arguments)
        self._updates = _updates_of(list(self._policies), updates_per_epoch, who)


def _by_optimizer(recipes: Any, resolution: Resolution, who: str) -> dict[OptimizerKey, RecipePolicy]:
    """A policy for each recipe of a mapping."""
    remedy = _what_to_write(recipes)
    if remedy:
        raise TypeError(f"{who}: found {_shown(recipes)}; expected a Recipe: write {who}({remedy}).")
    if not isinstance(recipes, Mapping) or not recipes:
        raise TypeError(
            f"{who}: found {recipes!r} ({type(recipes).__name__}); expected a Recipe, such as "
            f"Recipe(learning_rate=StepDecay(0.1, every=epochs(5))), or one per optimizer, such as "
            f"{{'generator': Recipe(...), 'discriminator': Recipe(...)}}."
        )
    for key, recipe in recipes.items():
        if isinstance(key, bool) or not isinstance(key, (str, int)) or not isinstance(recipe, Recipe):
            raise TypeError(
                f"{who}: found {key!r}: {recipe!r}; expected a Recipe keyed by the path of a submodel, such as "
                f"'generator', or by the number of an optimizer, such as 0."
            )
    return {
        key: RecipePolicy(recipe, resolution=resolution, who=f"{who} of {key!r}") for key, recipe in recipes.items()
    }


def _shown(found: Any) -> str:
    return f"the class {found.__name__}" if isinstance(found, type) else f"{shortened(found)} ({type(found).__name__})"


def _what_to_write(found: Any) -> str:
    """The recipe that was meant by something else; "" if that is unknown."""
    if isinstance(found, Spec):
        return f"Recipe(optimizer={found!r})"
    if isinstance(found, Schedule):
        return f"Recipe(learning_rate={found!r})"
    if isinstance(found, PlanValues):
        return "plan.recipe"
    if isinstance(found, type) and issubclass(found, Recipe):
        return "Recipe(...)"
    if isinstance(found, Mapping) and "optimizer" in found and not isinstance(found["optimizer"], Recipe):
        return "Recipe.from_dict(...)"
    return ""


def _updates_of(keys: list[OptimizerKey | None], given: Any, who: str) -> dict[OptimizerKey | None, int | None]:
    """updates_per_epoch= of each optimizer; raises TypeError or ValueError if one is not a number of updates."""
    unknown = [key for key in given if key not in keys] if isinstance(given, Mapping) and keys != [None] else []
    if unknown:
        raise ValueError(f"{who}: found updates_per_epoch for {unknown}; use the keys of the recipes, {keys}.")
    several = isinstance(given, Mapping) and keys != [None]
    found = {key: given.get(key) if several else given for key in keys}
    for updates in found.values():
        Clock(updates)  # raises if it is not a number of updates
    return found
