"""The base of the optimizers that `build_optimizer` makes: they know their spec and the model's parameters."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch

from ...core.specs.parameter_rules import Multipliers, by_multipliers
from ...core.specs.spec import HYPERPARAMETERS
from ..kernels import can_fuse
from ..layouts import refuse_other_shapes
from ..param_groups import base_key, keep_given, number, write

_OPTIONS = {"foreach", "fused", "capturable", "differentiable"}  # they choose a kernel
_OWN = {"lr", "weight_decay", "momentum", "betas"}  # of betas the first


class BuiltOptimizer(torch.optim.Optimizer):
    """A torch optimizer that `build_optimizer` makes. Its copies and pickles keep the spec.

    Attributes:
        spec: The spec it was built from.
        assigned: The multipliers of each parameter of its model, frozen ones included.
        multipliers: The multipliers of each parameter group.
        built: The number of groups that it was built with; those after them were added later.
        after_reset: Called after `reset`, by what drives the optimizer.
    """

    record: ClassVar[Any]  # of its kind
    spec: Any
    assigned: Mapping[Any, Multipliers]
    multipliers: list[Multipliers]
    built: int
    after_reset: tuple[Callable[[], None], ...] = ()

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters, with the numbers of the spec and what its rules say of them.

        Parameters for which the rules give different multipliers become a group each.

        Args:
            param_group: As for torch: "params", and the group's own numbers if they are not the spec's. `lr`,
                `weight_decay` and `momentum` (or `betas`) given here are the group's base values, and no rule
                multiplies them.

        Raises:
            TypeError: As for torch.
            ValueError: As for torch; another number differs from the spec's; or the spec has rules, and a parameter
                is not of the model that the optimizer was built for.
        """
        given = set(param_group)
        super().add_param_group(param_group)
        assigned = getattr(self, "assigned", None)
        if assigned is None:  # torch's constructor adds the groups that build_optimizer has made
            return
        whole = self.param_groups.pop()
        self._refuse_other_numbers(whole, given)
        if self.spec.parameters:
            unknown = sum(parameter not in assigned for parameter in whole["params"])
            if unknown:
                raise self._error(
                    f"{unknown} parameters that the model did not have when the optimizer was built, so that its rules "
                    f"cannot name them",
                    "build the optimizer when the model is complete; parameters may be frozen then",
                )
        if self.spec.clipvalue is not None and any(map(torch.is_complex, whole["params"])):
            raise self._error(
                f"complex parameters and clipvalue={self.spec.clipvalue!r}", "write clipnorm= or global_clipnorm="
            )
        plain = Multipliers(l1_ratio=self.spec.l1_ratio)
        by = by_multipliers([assigned.get(parameter, plain) for parameter in whole["params"]]) or {plain: []}
        if "lr" in given and any(multipliers.learning_rate != 1 for multipliers in by):
            factors = ", ".join(f"{multipliers.learning_rate:g}" for multipliers in by)
            warnings.warn(
                f"{type(self).__name__}.add_param_group: found lr={number(whole['lr'])!r} for parameters whose "
                f"learning rate rules multiply by {factors}; the group's own lr is used: leave lr= out for "
                f"{self.spec.learning_rate!r} times the rules' multipliers.",
                stacklevel=2,
            )
        for multipliers, members in by.items():
            group = whole if len(by) == 1 else {**whole}
            for key in {"params", "param_names"} & set(whole):
                group[key] = [whole[key][member] for member in members]
            self._complete(group, multipliers, given)
            self.param_groups.append(group)
            self.multipliers.append(multipliers)

    def _complete(self, group: dict[str, Any], multipliers: Multipliers, given: set[str]) -> None:
        """Write into a new group the numbers that it was not given, and choose its kernel."""
        keep_given(group, given)
        if "lr" not in given:
            group["lr"] = self.spec.learning_rate * multipliers.learning_rate
        if "weight_decay" not in given:
            group["weight_decay"] = self.spec.weight_decay * multipliers.weight_decay
        if "fused" not in given and group.get("fused") and not can_fuse(group["params"]):
            group["fused"] = None

    def _refuse_other_numbers(self, group: dict[str, Any], given: set[str]) -> None:
        """Raise ValueError for a number that all parameters of a spec share."""
        for key, value in self.defaults.items():
            if key not in given or key in _OPTIONS:
                continue
            found = group[key]
            same = found[1:] == value[1:] if key == "betas" else key in _OWN or found == value
            if not same:
                raise self._error(
                    f"{key}={found!r} in a parameter group where the spec has {value!r}",
                    "give a group only lr, weight_decay and momentum of its own",
                )

    def _error(self, found: str, remedy: str) -> ValueError:
        return ValueError(f"{type(self).__name__}.add_param_group: found {found}; {remedy}.")

    def find_multipliers(self) -> None:
        """Find the multipliers of each group, after its groups were replaced."""
        plain = Multipliers(l1_ratio=self.spec.l1_ratio)
        first = (next(iter(group["params"]), None) for group in self.param_groups)
        self.multipliers[:] = [self.assigned.get(parameter, plain) for parameter in first]

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a state as torch does; raises ValueError for moments whose shape differs from their weights'."""
        super().load_state_dict(state_dict)
        refuse_other_shapes(self)
        self.find_multipliers()
        # torch gives the product of momenta the dtype and the device of its weight.
        keys = [key for group in state_dict["param_groups"] for key in group["params"]]
        weights = [weight for group in self.param_groups for weight in group["params"]]
        for key, weight in zip(keys, weights, strict=True):
            product = state_dict["state"].get(key, {}).get(self.record.product)
            if isinstance(product, torch.Tensor):
                self.state[weight][self.record.product] = product.clone()

    def reset(self) -> None:
        """Put the optimizer into the state that it had when it was built, as for another fold of a cross-validation.

        It has no moments and has made no updates, and the parameter groups have the spec's base values; a group that
        was added later has its own. The weights stay as they are. During training the schedule continues.
        """
        self.state.clear()
        self.find_multipliers()
        own = {}
        for index, group in enumerate(self.param_groups[self.built :], start=self.built):
            own[index] = [name for name in HYPERPARAMETERS if base_key(name) in group]
            for name in own[index]:
                write(group, name, group[base_key(name)])
        self.record.write(self.spec, self.param_groups, self.multipliers, own)
        for write_again in self.after_reset:
            write_again()

    def __setstate__(self, state: dict[str, Any]) -> None:
        # torch ends here when it loads a state. For what an older one lacks, it would take its class's first meaning.
        for loaded, own in zip(state.get("param_groups", ()), vars(self).get("param_groups", ()), strict=False):
            for key in self.record.numbers:
                loaded.setdefault(key, own[key])
        super().__setstate__(state)

    def __getstate__(self) -> dict[str, Any]:
        # torch keeps only defaults, state and groups.
        kept = {name: getattr(self, name) for name in ("spec", "assigned", "multipliers", "built")}
        return {**super().__getstate__(), **kept}
