"""The pure-Python half: schedules, specs, recipes, policies, checkpoints, callbacks. Imports no framework, no NumPy."""

from . import moved as moved
