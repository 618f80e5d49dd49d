"""The base values of a torch optimizer's parameter groups, also of those that are added while it trains."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence

import torch

from ..core.policies.policy import Policy
from . import param_groups

Columns = list[list[float]]
_DENOMINATOR = 10.0  # by which Lightning's BaseFinetuning divides the learning rate for a new group


class LaterGroups:
    """The base values of an optimizer's groups, of which some may come later.

    A group that comes later starts from its own numbers: those given to `add_param_group`, otherwise the optimizer's.

    Lightning's BackboneFinetuning drives the learning rate of the backbone's group itself, and writes it once per epoch
    into the last group. Where the rules of a spec have split that group, its parts get the same.

    Args:
        policy: The policy that the optimizer follows.
        optimizer: The optimizer.
        bases: By hyperparameter, the base value of each group.
        later: By number, the groups that the run had added before, with their own base values.
        elsewhere: The ids of the parameters whose learning rate something else drives.

    Attributes:
        bases: By hyperparameter, the base value of each group.
        count: The number of groups.
        elsewhere: The groups whose learning rate something else drives.
        later: By number, the groups that came later, with the base values that are their own and not the spec's.

    Raises:
        ValueError: All parameters whose learning rate something else is to drive are in the optimizer already.
    """

    def __init__(
        self,
        policy: Policy,
        optimizer: torch.optim.Optimizer,
        bases: Mapping[str, Sequence[float]],
        later: Mapping[int, Mapping[str, float]],
        elsewhere: Collection[int],
    ) -> None:
        self._policy, self._optimizer, self._ids = policy, optimizer, elsewhere
        every = optimizer.param_groups
        self.later: dict[int, dict[str, float]] = {
            number: dict(own) for number, own in later.items() if number < len(every)
        }
        self.count: int = len(every)
        self.elsewhere: list[int] = []
        self._held = 0.0
        self.bases: dict[str, list[float]] = {name: list(values) for name, values in bases.items()}
        own = {id(p) for group in every for p in group["params"]}
        if elsewhere and not self.later and own.issuperset(elsewhere) and "learning_rate" in policy.driven:
            raise policy.error(
                "BackboneFinetuning and an optimizer that has all parameters of the backbone already, so that it would "
                "write into another group",
                "give the optimizer only the parameters that require a gradient",
            )
        self._find_elsewhere()

    def take_new(self, reached: float | None) -> None:
        """Take the groups that were added since.

        Args:
            reached: The first value that was written last into the first group; None if none was.
        """
        every = self._optimizer.param_groups
        if len(every) < self.count:
            raise self._policy.error(
                f"{len(every)} parameter groups, but training started with {self.count}",
                "leave the groups in the optimizer, and freeze their parameters to stop training them",
            )
        for number in range(self.count, len(every)):
            self.later[number] = {}
            # build_optimizer's optimizers keep the numbers that a group was given; those of others are all its own.
            built = hasattr(self._optimizer, "built")
            for name in self._policy.driven:
                own = not built or param_groups.own_base(every[number], name) is not None
                base = self._base(number, name)
                if own:
                    self.later[number][name] = base
                self.bases[name].append(base)
        first, self.count = self.count, len(every)
        self._find_elsewhere()
        self._policy.check_bases(self.driven_bases)
        self._warn_of_reached(first, reached)

    def take_elsewhere(self) -> bool:
        """Take the learning rate that something else has written for this epoch; returns whether there is any."""
        if not self.elsewhere:
            return False
        every = self._optimizer.param_groups
        if self.count - 1 not in self.elsewhere:
            raise self._policy.error(
                "BackboneFinetuning, which writes into the last parameter group, and a group after the backbone's",
                "add the other group before the backbone is unfrozen",
            )
        self._held = param_groups.held(every[self.count - 1], "learning_rate")
        for number in self.elsewhere:
            param_groups.write(every[number], "learning_rate", self._held)
        return True

    def elsewhere_too(self, name: str, columns: Columns) -> Columns:
        """The columns of all groups, with those learning rates that something else drives as it wrote them."""
        if name != "learning_rate" or not self.elsewhere:
            return columns
        held = [self._held] * len(columns[0])
        return [held if number in self.elsewhere else column for number, column in enumerate(columns)]

    def _base(self, number: int, name: str) -> float:
        group = self._optimizer.param_groups[number]
        if not param_groups.has(group, name):
            kind = type(self._optimizer).__name__
            raise self._policy.error(
                f"a group of {kind} without {name}", "leave its schedule out, or give the group a value of its own"
            )
        own = param_groups.own_base(group, name)
        return param_groups.held(group, name) if own is None else own

    def _find_elsewhere(self) -> None:
        """Find the groups whose learning rate something else drives."""
        if "learning_rate" in self._policy.driven:
            groups = self._optimizer.param_groups
            self.elsewhere = [n for n in sorted(self.later) if all(id(p) in self._ids for p in groups[n]["params"])]
            if self.elsewhere:
                self._held = param_groups.held(groups[self.elsewhere[-1]], "learning_rate")

    @property
    def driven_bases(self) -> dict[str, list[float]]:
        """The base values from which the policy starts: without those of learning rates that something else drives."""
        ours = {
            name: [base for n, base in enumerate(bases) if name != "learning_rate" or n not in self.elsewhere]
            for name, bases in self.bases.items()
        }
        return {name: bases for name, bases in ours.items() if bases}

    def _warn_of_reached(self, first: int, reached: float | None) -> None:
        """Warn of a base value that is a tenth of what a schedule has reached: it would be multiplied twice."""
        if self._policy.driven[0] != "learning_rate" or reached in (None, self.bases["learning_rate"][0]):
            return
        assert reached is not None  # for the type checker
        new = enumerate(self.bases["learning_rate"][first:], first)
        if any(number not in self.elsewhere and base == reached / _DENOMINATOR for number, base in new):
            warnings.warn(
                f"{self._policy.who}: found a parameter group added with a tenth of {reached!r}, the learning rate "
                f"that the schedule has reached, as its base value, which the schedule multiplies again; give "
                f"unfreeze_and_add_param_group(..., lr=) a learning rate before any decay.",
                stacklevel=2,
            )
