"""A plan: the values of a recipe at every position of a run, and what there is to say about them."""

from __future__ import annotations

from . import explain, lint
from .plan_values import PlanValues


class Plan(PlanValues):
    """The values of a recipe's hyperparameters at every position of a run.

    A value depends on the position alone: the same position gives the same bits in any order of asking, in another
    process and after a resume. Positions past the end of the run are allowed and follow the same schedules.

    Raises ValueError where a schedule needs a length that the clock does not know, and TypeError for what is no clock.

    >>> plan = Recipe(AdamW(0.5), StepDecay(0.5, every=epochs("1.5"))).plan(updates_per_epoch=3, epochs=3)
    >>> [plan.value("learning_rate", *position) for position in [(0, 0), (1, 1), (1, 2), (2, 2), (3, 0)]]
    [0.5, 0.5, 0.25, 0.25, 0.125]
    >>> plan.values("learning_rate", epoch=1)
    [0.5, 0.5, 0.25]
    """

    def table(self) -> str:
        """One row per epoch: its first update, counted over the run, and each value there and at the epoch's end.

        Raises ValueError where the number of epochs is unknown.
        """
        return explain.table(self)

    def explain(self) -> str:
        """The plan in words: what each hyperparameter starts from, when it changes, and to which value.

        A stretch ends where a part of the schedule begins, ends, drops or restarts, and a jump is told alone; of a part
        with more than 20 drops the stretch as a whole, and of each hyperparameter 50 changes at most.

        The values of a recipe without a spec are shown as multiples of the base value. Raises ValueError where the
        number of epochs is unknown.
        """
        return explain.explain(self)

    def diff(self, other: Plan) -> str:
        """Where two plans part: a line for each hyperparameter that differs, empty where none does.

        Each line has the first update at which the values differ, and the one at which they are furthest apart. Raises
        ValueError for plans of different or unknown numbers of updates in an epoch, or of unknown length, and TypeError
        for what is no plan.
        """
        if not isinstance(other, Plan):
            raise TypeError(
                f"diff: found {other!r} ({type(other).__name__}); expected a Plan, as recipe.plan(...) makes."
            )
        return explain.diff(self, other)

    def lint(self) -> list[str]:
        """What is probably not meant, a sentence each: a first or last update at 0, a gate that the run never reaches,
        a warmup longer than the run, an end that comes early or never, changes that float32 cannot hold.

        Raises ValueError where the number of epochs is unknown.
        """
        return lint.lint(self)
