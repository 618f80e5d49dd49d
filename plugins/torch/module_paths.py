"""The paths of a torch module's parameters: those that the module has by itself, whatever was put around its parts."""

from __future__ import annotations

from torch import nn

# Classes that put a module inside another one. Fabric's is known by its name: Lightning need not be installed.
_WRAPPERS = {
    "AveragedModel",
    "CheckpointWrapper",
    "DataParallel",
    "DistributedDataParallel",
    "FullyShardedDataParallel",
    "OffloadWrapper",
    "OptimizedModule",
    "_FabricModule",
}
_PACKAGES = "torch.", "lightning.", "lightning_fabric."


def canonical_path(model: nn.Module, name: str) -> str:
    """The path of a parameter by its name in a module, such as "body/0/weight" for "body._orig_mod.0.weight"."""
    module, kept = model, []
    *modules, own = name.split(".")
    for part in modules:
        # Some leave themselves out of the names of their parameters.
        while _is_wrapper(module) and part not in dict(module.named_children()):
            module = next(module.children())
        if not _is_wrapper(module):
            kept.append(part)
        module = getattr(module, part)
    return "/".join([*kept, own])


def paths(model: nn.Module) -> dict[nn.Parameter, str]:
    """The path of each parameter; of a shared one at its first place."""
    return {parameter: canonical_path(model, name) for name, parameter in model.named_parameters()}


def _is_wrapper(module: nn.Module) -> bool:
    """Whether its only child is a module that could stand in its place."""
    return any(kind.__name__ in _WRAPPERS and kind.__module__.startswith(_PACKAGES) for kind in type(module).__mro__)
