"""The file that hands a run over from one framework to the other."""

from ..core.requirements import Package, importing

with importing(__name__, Package("numpy", "1.26"), install="numpy"):
    from .files import Exchange, ParameterState, kinds_of, read, replaced, write
    from .names import Names, check_kinds, mapped

__all__ = ["Exchange", "Names", "ParameterState", "check_kinds", "kinds_of", "mapped", "read", "replaced", "write"]
