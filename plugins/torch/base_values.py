"""The base values of a torch optimizer: what its parameter groups hold as configured, before any schedule.

A checkpoint brings the decayed values of another run into the groups. What a run configured is therefore read before
one is loaded. samestep also leaves the base values in the groups: whoever hands an optimizer that it has driven to
another training, in this process or by a state dict of their own, starts from them and not from a decayed value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch.utils.hooks import RemovableHandle

from ..core.callbacks.errors import other_spec_error
from ..core.checkpoints.resuming import Bases
from ..core.policies.policy import Policy
from . import param_groups
from .build import multipliers_of, spec_difference
from .optimizers.built_optimizer import BuiltOptimizer
from .param_groups import base_key

_WRITTEN: WeakKeyDictionary[torch.optim.Optimizer, list[dict[str, float]]] = WeakKeyDictionary()
"""What the groups held when samestep's last training of an optimizer ended."""


class Value(NamedTuple):
    """A hyperparameter of a parameter group.

    Attributes:
        held: The value that it holds.
        base: The base value that samestep left in the group; None if there is none.
        initial: The one that a scheduler of torch, or an older version of samestep, left in it; None likewise.
    """

    held: float
    base: float | None
    initial: float | None


Snapshot = Sequence[dict[str, Value]]
"""The hyperparameters of each parameter group."""


def snapshot(optimizer: torch.optim.Optimizer) -> Snapshot:
    """What an optimizer's groups hold now."""
    written = _WRITTEN.get(optimizer, [])
    found = []
    for number, group in enumerate(optimizer.param_groups):
        before = written[number] if number < len(written) else {}
        found.append(
            {
                name: Value(
                    held := param_groups.number(value),
                    # Whoever has set another value since has set another base value.
                    group.get(base_key(name)) if before.get(name, held) == held else None,
                    group.get(f"initial_{param_groups.KEYS[name]}"),
                )
                for name, value in param_groups.values(group).items()
                if value is not None
            }
        )
    return found


def bases_of(
    policy: Policy, optimizer: torch.optim.Optimizer, groups: Snapshot, later: Mapping[int, Mapping[str, float]]
) -> Bases:
    """The base values of what a policy drives.

    Args:
        policy: The policy.
        optimizer: The optimizer that it drives.
        groups: What the optimizer's groups held as configured.
        later: By number, the groups that the run had added before, with the base values of their own.

    Raises:
        ValueError: The optimizer is not that of the policy's spec; or a group lacks the hyperparameter, or its base
            value is unknown.
    """
    if policy.spec is not None:
        own = [{name: value.held if value.base is None else value.base for name, value in g.items()} for g in groups]
        difference = spec_difference(policy.spec, optimizer, own, later)
        if difference is not None:
            raise other_spec_error(policy, difference)
    for name in policy.driven:
        if not all(name in group for group in groups):
            kind = type(optimizer).__name__
            raise policy.error(
                f"the optimizer {kind}, which has no {name}", "leave its schedule out, or use another optimizer"
            )
    found = {}
    for name in policy.driven:
        configured = [number for number in range(len(groups)) if number not in later]
        resolved = policy.resolve_bases([_base(policy, name, groups[number][name]) for number in configured])
        bases = dict(zip(configured, resolved, strict=True))
        found[name] = [
            bases[n] if n in bases else later[n].get(name, _default(policy, optimizer, n, name, groups[n][name]))
            for n in range(len(groups))
        ]
    return found


def saved_bases(optimizer: torch.optim.Optimizer, names: Sequence[str]) -> dict[str, list[float]] | None:
    """The base values that older versions left in the groups of a checkpoint; None if it has none."""
    groups = snapshot(optimizer)
    found = {name: [group[name].initial for group in groups if name in group] for name in names}
    return None if any(None in values for values in found.values()) else found  # type: ignore[return-value]


def keep(optimizer: torch.optim.Optimizer, bases: Bases) -> None:
    """Leave the base values in the groups, for a later training; those of a new group are still to come."""
    for name, values in bases.items():
        for group, value in zip(optimizer.param_groups, values, strict=False):
            group[base_key(name)] = value


def remember_written(optimizer: torch.optim.Optimizer) -> None:
    """A training ends: note what it leaves in the groups."""
    _WRITTEN[optimizer] = [{name: value.held for name, value in group.items()} for group in snapshot(optimizer)]


class Configured:
    """What an optimizer's groups hold as configured, even if a checkpoint is loaded before training starts.

    Args:
        optimizer: The optimizer, before a checkpoint is loaded.
        resumes: Whether a checkpoint is loaded to resume the run.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, resumes: Callable[[], bool]) -> None:
        self._optimizer, self._resumes = optimizer, resumes
        self._before: Snapshot = snapshot(optimizer)
        self._loaded: Snapshot = []
        self._hooks = list[RemovableHandle]()
        with suppress(AttributeError):  # a wrapper that has not called Optimizer.__init__
            self._hooks.append(optimizer.register_load_state_dict_pre_hook(self._loads))
            self._hooks.append(optimizer.register_load_state_dict_post_hook(self._has_loaded))

    def _loads(self, *_: object) -> None:
        if self._resumes():
            self._before = snapshot(self._optimizer)

    def _has_loaded(self, _: object) -> None:
        self._loaded = snapshot(self._optimizer)

    def groups(self) -> Snapshot:
        """What they hold as configured: what a checkpoint brought does not count, what was written since does."""
        now = snapshot(self._optimizer)
        if not self._loaded and self._resumes():
            return self._before  # a wrapper has loaded it, without torch's hooks
        return [
            {name: self._value(number, name, value) for name, value in group.items()}
            for number, group in enumerate(now)
        ]

    def remove(self) -> None:
        """Watch no longer."""
        for hook in self._hooks:
            hook.remove()

    def _value(self, number: int, name: str, now: Value) -> Value:
        known = number < len(self._before) and number < len(self._loaded)
        if known and self._loaded[number].get(name) == now:
            return self._before[number].get(name, now)
        return now


def _base(policy: Policy, name: str, found: Value) -> float:
    if found.base is not None:
        return found.base
    if policy.base is None and found.initial is not None and found.initial != found.held:
        raise policy.error(
            f"a parameter group with the {name} {found.held!r}, which began at {found.initial!r} as "
            f"'initial_{param_groups.KEYS[name]}' says",
            "configure the optimizer with the base value, and without a scheduler or the state of another run",
        )
    return found.held


def _default(policy: Policy, optimizer: torch.optim.Optimizer, number: int, name: str, found: Value) -> float:
    """The base value of a group that was added without one: its spec's, or as the optimizer has made it."""
    if not isinstance(optimizer, BuiltOptimizer):
        return _base(policy, name, found)
    base: float = getattr(optimizer.spec, name) * getattr(multipliers_of(optimizer)[number], name, 1.0)
    return base
