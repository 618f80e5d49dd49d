"""Optimizers as values: their numbers, the moments they keep, and rules for parameters."""

from importlib import import_module
from pkgutil import iter_modules

# Every spec of this package is registered before one is read by name: an optimizer is a module here, and nothing else.
for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
