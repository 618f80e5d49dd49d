"""Policies give the value at a position: a recipe, a gated decay, the user's function, a plateau."""
