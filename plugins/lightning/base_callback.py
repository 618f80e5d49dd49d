"""Lightning's `Callback`, from whichever of its two packages is installed.

`pytorch_lightning` and `lightning` each have their own `Callback`, the only one that their Trainer and LightningCLI
accept. If both are installed, samestep's base class derives from both, and either accepts it.
"""

from importlib import import_module
from types import ModuleType

modules: list[ModuleType] = []
for _name in ("pytorch_lightning", "lightning.pytorch"):
    try:
        modules.append(import_module(_name))
    except ModuleNotFoundError as error:
        # If an installed package lacks one of its own requirements, let the error show.
        if error.name not in ("pytorch_lightning", "lightning", "lightning.pytorch"):
            raise
if not modules:
    raise ModuleNotFoundError(
        "samestep.lightning: found neither pytorch_lightning nor lightning; run pip install 'samestep[lightning]'.",
        name="pytorch_lightning",
    )


class Callback(*(module.Callback for module in modules)):  # type: ignore[misc]
    """The base class of the callbacks."""
