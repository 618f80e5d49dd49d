"""The file in which a run is handed over from one framework to the other."""

from .files import Exchange, Parameter, kinds_of, read, replaced, write
from .names import Names, check_kinds, mapped

__all__ = ["Exchange", "Names", "Parameter", "check_kinds", "kinds_of", "mapped", "read", "replaced", "write"]
