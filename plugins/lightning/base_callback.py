"""Lightning's `Callback`, whichever of its two packages is installed.

`pytorch_lightning` and `lightning` each have a `Callback` of their own, and their Trainers and LightningCLI ask for
theirs. A class that derives from both where both are installed is accepted by either.
"""

from importlib import import_module
from types import ModuleType

modules: list[ModuleType] = []
for _name in ("pytorch_lightning", "lightning.pytorch"):
    try:
        modules.append(import_module(_name))
    except ModuleNotFoundError as error:
        # A package that is installed and lacks one of its own requirements is not ours to hide.
        if error.name not in ("pytorch_lightning", "lightning", "lightning.pytorch"):
            raise
if not modules:
    raise ModuleNotFoundError(
        "samestep.lightning: found neither pytorch_lightning nor lightning; run pip install 'samestep[lightning]'.",
        name="pytorch_lightning",
    )


class Callback(*(module.Callback for module in modules)):  # type: ignore[misc]
    """The base class of the callbacks."""
