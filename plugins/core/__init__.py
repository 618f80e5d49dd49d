"""The pure-Python half: time, schedules, specs, recipes, plans, traces. Imports no framework and no NumPy."""
