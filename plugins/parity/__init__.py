"""The same network, weights and batches in every framework, each in its own process: is the training step the same?

`check(recipe)` answers for a recipe of your own; `python -m samestep.parity` is the demonstration.
"""

from .harness import check, installed_frameworks
from .picture import draw
from .problem import Problem
from .result import ParityResult, Row

__all__ = ["ParityResult", "Problem", "Row", "check", "draw", "installed_frameworks"]
