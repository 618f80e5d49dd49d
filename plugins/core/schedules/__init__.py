"""A value that becomes a function of time: durations, shapes and their combinations."""

from importlib import import_module
from pkgutil import iter_modules

# Every shape of this package is registered before one is read by name.
for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
