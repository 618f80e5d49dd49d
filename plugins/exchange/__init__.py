"""The file in which a run is handed over from one framework to the other."""

from .files import Exchange, Parameter, read, replaced, write
from .names import Names, mapped

__all__ = ["Exchange", "Names", "Parameter", "mapped", "read", "replaced", "write"]
