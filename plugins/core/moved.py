"""Modules of version 0.1 that have moved: pickles and YAML files that name them still load."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

MOVED: dict[str, tuple[str, ...]] = {
    "compositions": ("schedules.compositions",),
    "durations": ("schedules.durations", "schedules.clock"),
    "functions": ("schedules.epoch_function",),
    "migration": ("recipes.from_keras_adamw",),
    "optimizers": ("specs.spec", "specs.adamw", "specs.nadamw", "specs.sgdw"),
    "parameters": ("specs.parameter_rules", "specs.parameter_table"),
    "plan": ("recipes.plan",),
    "plateau": ("policies.plateau",),
    "ramps": ("schedules.ramps",),
    "recipe": ("recipes.recipe",),
    "repeat": ("schedules.schedule",),
    "saved": ("checkpoints.saved",),
    "schedule": ("schedules.schedule",),
    "shapes": ("schedules.shapes", "schedules.staircases"),
    "ticks": ("schedules.ticks",),
    "trace": ("checkpoints.trace", "recipes.float32"),
    "values": ("schedules.serializable",),
}
"""For each old name of a module in this package, the modules that have its contents now."""


class _Moved(MetaPathFinder, Loader):
    """Imports a module by its old name, with its old contents."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, name = fullname.rpartition(".")
        return ModuleSpec(fullname, self) if package == __package__ and name in MOVED else None

    def exec_module(self, module: ModuleType) -> None:
        places = [f"{__package__}.{place}" for place in MOVED[module.__name__.rpartition(".")[2]]]
        warnings.warn(
            f"{module.__name__} has moved to {' and '.join(places)}; the old name will be removed in samestep 0.3: "
            f"for public names write from {(__package__ or '').partition('.')[0]} import ...",
            FutureWarning,
            stacklevel=2,
        )
        for place in places:
            found = vars(import_module(place))
            vars(module).update({name: value for name, value in found.items() if not name.startswith("__")})


sys.meta_path.append(_Moved())
