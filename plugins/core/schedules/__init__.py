"""A value that becomes a function of time: durations, shapes and their combinations."""

# Every shape of this package is registered before anything of it is read or written by name.
from . import compositions, epoch_function

__all__ = ["compositions", "epoch_function"]
