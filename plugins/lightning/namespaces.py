"""Lightning's `Callback`, whichever of its two packages is installed.

`pytorch_lightning` and `lightning` each have a `Callback` of their own, and their Trainers and LightningCLI ask for
theirs. A class that derives from both where both are installed is accepted by either.
"""

from typing import Any

_bases: list[Any] = []
try:
    from pytorch_lightning import Callback as _Callback

    _bases.append(_Callback)
except ModuleNotFoundError as error:
    if error.name != "pytorch_lightning":
        raise
try:
    from lightning.pytorch import Callback as _OtherCallback

    _bases.append(_OtherCallback)
except ModuleNotFoundError as error:
    if error.name not in ("lightning", "lightning.pytorch"):
        raise
if not _bases:
    raise ModuleNotFoundError(
        "samestep.lightning: found neither pytorch_lightning nor lightning; write pip install 'samestep[lightning]'.",
        name="pytorch_lightning",
    )


class Callback(*_bases):  # type: ignore[misc]
    """The base class of the callbacks."""
