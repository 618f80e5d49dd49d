"""Lightning's `Callback`, from whichever of its two packages is installed.

`pytorch_lightning` and `lightning` each have their own `Callback`, the only one that their Trainer and LightningCLI
accept. If both are installed, samestep's base class derives from both, and either accepts it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from importlib import import_module
from types import ModuleType
from typing import Any

from ..core.arguments.given import on_instances

modules: list[ModuleType] = []
for _name in ("pytorch_lightning", "lightning.pytorch"):
    try:
        modules.append(import_module(_name))
    except ModuleNotFoundError as error:
        # If an installed package lacks one of its own requirements, let the error show.
        if error.name not in ("pytorch_lightning", "lightning", "lightning.pytorch"):
            raise
_TRAINERS = tuple(module.Trainer for module in modules)


class Callback(*(module.Callback for module in modules)):  # type: ignore[misc]
    """The base class of the callbacks; their hooks, and those of samestep's subclasses, demand a Trainer."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = cls.__module__.startswith(f"{__package__}.")
        for name, hook in list(vars(cls).items()) if own else ():
            if name.startswith("on_") and name not in _EACH_BATCH:
                checked = _of_trainer(name, hook)
                # A Trainer that was given the class calls this last, whatever went wrong before.
                setattr(cls, name, on_instances(checked) if name == "on_exception" else checked)

    @on_instances
    def setup(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: a Trainer that was given the class calls this first."""

    def on_after_optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Refuse Fabric, which calls this by itself; a Trainer never does."""
        raise trainer_error(type(self).__name__, "on_after_optimizer_step")


_EACH_BATCH = "on_train_batch_start", "on_train_batch_end"  # they are quicker to check it themselves


def _of_trainer(name: str, hook: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(hook)
    def checked(self: Callback, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(args[0] if args else kwargs.get("trainer"), _TRAINERS):
            raise trainer_error(type(self).__name__, name)
        return hook(self, *args, **kwargs)

    return checked


def trainer_error(who: str, hook: str) -> TypeError:
    """A hook was called by something else than a Trainer."""
    return TypeError(
        f"{who}: found a call of {hook} without a Trainer, as by Fabric; give it to Trainer(callbacks=[...]), or "
        f"write plan.value('learning_rate', epoch, update) of plan = recipe.plan(...) into optimizer.param_groups "
        f"before each update."
    )
