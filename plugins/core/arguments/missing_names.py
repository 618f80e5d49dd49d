"""What to write instead of `from samestep import name` where there is no such name."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType

from .counterparts import CALLBACKS, COUNTERPARTS
from .mistakes import nearest

IN_BOTH = (
    "EpochGatedDecay",
    "HyperparameterScheduler",
    "LearningRateScheduler",
    "ReduceOnPlateau",
    "TraceRecorder",
    "build_optimizer",
    "describe_parameters",
    "export_state",
    "extract_weight_decay",
    "import_state",
)
"""The public names of `samestep.lightning` and of `samestep.keras`."""

_PACKAGE = __name__.partition(".")[0]
_ROOMS = [f"{_PACKAGE}.lightning", f"{_PACKAGE}.keras"]


class _MissingNames(MetaPathFinder):
    """Says what to write where `from samestep import name` finds no such name.

    Python looks for a module of that name before it says that there is none; a finder that stands last is asked then.
    Attributes stay attributes: `hasattr(samestep, name)` is False.
    """

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        module, _, name = fullname.rpartition(".")
        if module in (_PACKAGE, *_ROOMS) and not name.startswith("_"):
            says = missing_name(module, name, sys.modules[module].__all__)
            if says:
                raise ImportError(f"{module}: found no {name}; {says}.", name=fullname)


def missing_name(module: str, name: str, here: Collection[str]) -> str:
    """What to write for a name that a module does not have: samestep, or one of a framework; "" if that is unknown.

    Args:
        module: The module that was asked.
        name: The name that it does not have.
        here: The names that it has.
    """
    meant = CALLBACKS.get(name, name)
    homes = [module] if meant in here else _ROOMS if meant in IN_BOTH else []
    near = nearest(name, [each for each in here if each[0].isupper() is name[0].isupper()])
    if homes:
        return "write " + ", or ".join(f"from {home} import {meant}" for home in homes)
    if name in COUNTERPARTS and module == _PACKAGE:
        return f"write samestep's {COUNTERPARTS[name]}"
    if near:
        return f"write from {module} import {near[0]}"
    if module != _PACKAGE and (name in COUNTERPARTS or name in sys.modules[_PACKAGE].__all__):
        return f"import schedules, specs and recipes from {_PACKAGE}"
    return ""


sys.meta_path.append(_MissingNames())
