"""A spec with its schedules, the plan that they resolve to, and words about it."""
