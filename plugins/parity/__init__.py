"""Trains the same network from the same weights on the same batches in every framework: is the step the same?

`check(recipe)` answers this for your own recipe; `python -m samestep.parity` is the demonstration.
"""

from ..core.requirements import Package, importing

with importing(
    __name__,
    Package("numpy", "1.26"),
    Package("matplotlib"),
    Package("rich"),
    Package("scikit-learn", modules=("sklearn",)),
    install="'samestep[parity]'",
):
    from .harness import check, installed_frameworks
    from .picture import draw
    from .problem import Problem
    from .result import ParityResult, Row

__all__ = ["ParityResult", "Problem", "Row", "check", "draw", "installed_frameworks"]
