"""A plan: the values of a recipe at every position of a run, in numbers and in words."""

from __future__ import annotations

from . import explain, lint
from .plan_values import PlanValues


class Plan(PlanValues):
    """The values of a recipe's hyperparameters at every position of a run.

    A value depends on the position alone: the same position gives the same bits in any order of asking, in another
    process and after a resume. With another C library, the last bits of a float64 may be others. Positions past the end
    of the run are allowed and follow the same schedules.

    Raises:
        TypeError: `clock` is not a `Clock`.
        ValueError: A schedule needs a length that the clock does not know.

    >>> plan = Recipe(AdamW(0.5), StepDecay(0.5, every=epochs("1.5"))).plan(updates_per_epoch=3, epochs=3)
    >>> [plan.value("learning_rate", *position) for position in [(0, 0), (1, 1), (1, 2), (2, 2), (3, 0)]]
    [0.5, 0.5, 0.25, 0.25, 0.125]
    >>> plan.values("learning_rate", epoch=1)
    [0.5, 0.5, 0.25]
    """

    def table(self) -> str:
        """One row per epoch: its first update, counted over the run, and each value there and at the epoch's end.

        Raises:
            ValueError: The number of epochs is unknown.
        """
        return explain.table(self)

    def explain(self) -> str:
        """The plan in words: what each hyperparameter starts from, when it changes, and to which value.

        A stretch ends where a part of the schedule begins, ends, drops or restarts, and a jump is told alone. A part
        with more than 20 drops is told as one stretch; of each hyperparameter, 50 changes at most. Without a spec,
        values are multiples of the base value.

        Of a run of more than 100,000 updates whose values change within epochs, not every update is looked at, but
        those around which parts of the schedule begin, end, drop or restart, up to 20,000, and 10,000 others. What is
        said is true of these; an update that is named is searched for between them.

        Raises:
            ValueError: The number of epochs is unknown.
        """
        return explain.explain(self)

    def diff(self, other: Plan) -> str:
        """Where two plans differ: one line per hyperparameter and per number of the spec that does, empty if none does.

        The line of a hyperparameter has the first update at which its values differ, and the one at which they are
        furthest apart. A long run is looked at as by `explain`.

        Raises:
            TypeError: `other` is not a plan.
            ValueError: The plans have different or unknown numbers of updates in an epoch, or an unknown length.
        """
        if not isinstance(other, Plan):
            raise TypeError(
                f"diff: found {other!r} ({type(other).__name__}); expected a Plan, as recipe.plan(...) makes."
            )
        lines = explain.diff(self, other).splitlines()
        ours, theirs = self.recipe.optimizer, other.recipe.optimizer
        if ours is None:
            return "\n".join(lines)
        told = [line.partition(":")[0] for line in lines]
        kinds = [f"optimizer: {type(ours).__name__} and {type(theirs).__name__}"] * (type(ours) is not type(theirs))
        numbers = [
            f"optimizer.{name}: {a or 'none'} and {b or 'none'}"
            for name, a, b in ours._differences(theirs)
            if name not in told
        ]
        return "\n".join([*kinds, *lines, *numbers])

    def lint(self) -> list[str]:
        """Possible mistakes, a sentence each.

        A learning rate of 0 (but for a first update alone, with which a warmup begins), a gate that the run never
        reaches, a warmup longer than the run, an end that comes early or never, changes that float32 cannot hold, a
        percentage below 1. A long run is looked at as by `explain`.

        Raises:
            ValueError: The number of epochs is unknown.
        """
        return lint.lint(self)
