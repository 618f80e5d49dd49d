"""Decides how a run continues: with the saved recipe or the new one, and with which run length."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ..policies.policy import Policy
from ..schedules.clock import Clock, Position
from ..schedules.schedule import Schedule
from ..specs.parameter_rules import Rule
from ..specs.spec import Spec
from .saved import Driver, Progress

Bases = Mapping[str, Sequence[float]]
"""By hyperparameter, the base value of each parameter group."""


class ResumedPolicy(NamedTuple):
    """What a run continues with: the given policy or, with on_change="use_saved", the saved one; and a clock."""

    policy: Policy
    clock: Clock


def driver_of(policy: Policy, clock: Clock, bases: Bases | None = None) -> Driver:
    """The record, for a checkpoint, of a policy that drives an optimizer in a run of this clock.

    Args:
        policy: The policy.
        clock: The clock of the run.
        bases: The base values of the parameter groups; not saved where the policy's settings have them.
    """
    own = None if bases is None or _has_bases(policy) else {name: list(values) for name, values in bases.items()}
    return Driver(policy.kind, policy.driven, policy.settings(), clock, tuple(policy.state()), policy.reduces, own)


def driver_before(policy: Policy, drivers: Sequence[Driver]) -> Driver | None:
    """The driver that did what the policy does now, or None."""
    return Progress(drivers=tuple(drivers)).driver(policy.kind, policy.driven, policy.reduces)


def resumed(policy: Policy, saved: Driver, clock: Clock, where: Position, on_change: str | None) -> ResumedPolicy:
    """Decide what a run continues with.

    With on_change="use_new" the new run's clock applies. Otherwise percentages still refer to the length that the run
    had at its start, whatever has been added since.

    Args:
        policy: The new policy.
        saved: What drove the run so far.
        clock: The clock of the new run.
        where: The position from which it continues.
        on_change: "raise", "use_new" or "use_saved"; None warns of changes and continues with the new settings.

    Returns:
        The policy and the clock to continue with.

    Raises:
        ValueError: The settings differ and on_change is "raise"; the saved ones cannot be read and it is "use_saved";
            or, unless it is "use_new", a schedule counts updates and an epoch has another number of them.
    """
    if on_change == "use_new":
        return ResumedPolicy(policy, clock)
    policy, is_new = _chosen(policy, saved, clock, where, on_change)
    return ResumedPolicy(policy, clock if is_new else _clock(policy, saved.clock, clock, where))


def check_loaded(
    policy: Policy, saved: Driver, where: Position, on_change: str | None, names: Sequence[str] = ()
) -> None:
    """Check, before a framework loads an optimizer, that `resumed` would continue with it.

    Args:
        policy: The policy that will drive the optimizer.
        saved: What drove it so far.
        where: The position in the checkpoint.
        on_change: As for `resumed`.
        names: The spec's fields, besides type and amsgrad, that determine the optimizer's moments and their parameters.

    Raises:
        ValueError: The settings differ and on_change is "raise", or the optimizer keeps other moments.
    """
    where = _normal(where, saved.clock)
    if on_change == "raise":
        _chosen(policy, saved, saved.clock, where, on_change)
    recipe = (saved.settings or {}).get("recipe")
    before = recipe.get("optimizer") if isinstance(recipe, Mapping) else None
    if not isinstance(before, Mapping) or policy.spec is None:
        return
    now = policy.spec.to_dict()
    for name in ("type", "amsgrad", *names):
        if before.get(name) != now.get(name):
            raise policy.error(
                f"an optimizer that cannot continue with the moments of the run up to {where}: {name} was "
                f"{_shown(before.get(name))} and is {_shown(now.get(name))}",
                "build the one that it was trained with, or start a new run",
            )


def resumed_bases(policy: Policy, saved: Driver, bases: Bases, where: Position, on_change: str | None) -> Bases:
    """Decide from which base values a run continues.

    Args:
        policy: The policy to continue with.
        saved: What drove the run so far.
        bases: The base values that this run configured.
        where: The position from which it continues.
        on_change: As for `resumed`.

    Returns:
        Those of this run or, with on_change="use_saved", those of the checkpoint.

    Raises:
        ValueError: They differ, and on_change is "raise"; or it is "use_saved" and the parameter groups are others.
    """
    if saved.bases is None or _has_bases(policy) or on_change == "use_new":
        return bases
    # The groups of a hand-over may come in another order, and later groups may have been added.
    changed = [name for name in bases if name in saved.bases and set(bases[name]) != set(saved.bases[name])]
    if not changed:
        return bases
    changes = [f"{name} was {_few(saved.bases[name])} and is {_few(bases[name])}" for name in changed]
    message = f"a checkpoint ({where}) that was trained from different base values: {', '.join(changes)}"
    if on_change == "use_saved":
        return {**bases, **{name: _fitting(policy, saved.bases[name], bases[name], message) for name in changed}}
    if on_change == "raise":
        raise policy.error(
            message, "give the optimizer those it was trained from, or write on_change='use_new' or 'use_saved'"
        )
    warnings.warn(f"{policy.who}: found {message}; the new ones are used.", stacklevel=2)
    return bases


def _has_bases(policy: Policy) -> bool:
    """Whether the settings of a policy have its base values."""
    return policy.spec is not None or policy.base is not None


def _few(values: Sequence[float]) -> str:
    """The base values of all parameter groups: a single number if they are the same."""
    return repr(values[0]) if len(set(values)) == 1 else repr(list(values))


def _fitting(policy: Policy, saved: Sequence[float], own: Sequence[float], message: str) -> list[float]:
    """The saved base values of the parameter groups that a run has."""
    if len(set(saved)) == 1:
        return [saved[0]] * len(own)
    if len(saved) != len(own):
        raise policy.error(f"{message}, of {len(saved)} and {len(own)} parameter groups", "write on_change='use_new'")
    return list(saved)


def _chosen(policy: Policy, saved: Driver, clock: Clock, where: Position, on_change: str | None) -> tuple[Policy, bool]:
    """The policy to continue with, and whether its settings are new."""
    before = _read(policy, saved)
    settings, found = policy.settings(), saved.settings if before is None else before.settings()
    if saved.kind not in ("", policy.kind):
        changes = [f"it followed a {saved.kind} and now follows a {policy.kind}"]
    else:
        changes = [] if settings is None or found is None else list(differences(found, settings))
    if not changes:
        return policy, False
    message = f"a checkpoint ({where}) that was trained with different settings: {', '.join(changes)}"
    if on_change == "use_saved":
        if before is None:
            raise policy.error(
                f"{message}, and those of the checkpoint cannot be read here",
                "import the classes of its schedules, pass a recipe that has the functions it names, or write "
                "on_change='use_new'",
            )
        return before, False
    values = [] if before is None else list(_values(before, saved.clock, _with(policy, settings, saved), clock, where))
    message += f"; there the saved and the new give {', '.join(values)}" if values else ""
    if on_change == "raise":
        raise policy.error(
            message, "pass the settings it was trained with, or write on_change='use_new' or 'use_saved'"
        )
    warnings.warn(f"{policy.who}: found {message}; the new settings are used.", stacklevel=2)
    return policy, True


def _normal(where: Position, clock: Clock) -> Position:
    """The position, where after an epoch's last update it is the start of the next epoch."""
    updates = clock.updates_per_epoch
    return Position(where.epoch + 1) if updates is not None and where.update >= updates else where


def _read(policy: Policy, saved: Driver) -> Policy | None:
    """A policy with the saved settings, or None if they cannot be read here."""
    try:
        return None if saved.settings is None else _with(policy, saved.settings, saved)
    except (KeyError, TypeError, ValueError):
        return None


def _with(policy: Policy, settings: Mapping[str, Any] | None, saved: Driver) -> Policy:
    """A policy with these settings and the saved state."""
    made = policy.from_settings(settings or {})
    made.load_state(saved.state)
    return made


def _values(before: Policy, its: Clock, policy: Policy, clock: Clock, where: Position) -> Iterator[str]:
    """Each hyperparameter's value at a position under both policies, in words."""
    for name in policy.driven:
        found = [_value(each, name, time, where) for each, time in ((before, its), (policy, clock))]
        if None not in found:
            yield f"{name} {found[0]} and {found[1]}"


def _value(policy: Policy, name: str, clock: Clock, where: Position) -> str | None:
    try:
        policy.prepare(clock)
        if policy.streams:  # the loaded number of updates includes those of the epoch
            where = Position(where.epoch)
        if policy.spec is None:
            return f"{policy.value(name, 1.0, where)!r} times its base value"
        return repr(policy.value(name, float(getattr(policy.spec, name)), where))
    except ValueError:  # it needs a length that is unknown
        return None


def _clock(policy: Policy, its: Clock, clock: Clock, where: Position) -> Clock:
    """The clock of a continued run, from its clock at its start and the clock of the new run."""
    units = policy.units()
    counts_updates = "updates" in units or ("percent" in units and its.max_updates is not None)
    began, now = its.updates_per_epoch, clock.updates_per_epoch
    if None not in (began, now) and began != now and counts_updates and where > Position(0):
        raise policy.error(
            f"{now} updates in an epoch, but the run up to {where} had {began}, and a schedule that counts updates",
            "keep the batch size and the number of devices, write the schedule in epochs, or write on_change='use_new'",
        )
    if "percent" not in units or (its.epochs, its.max_updates) in ((clock.epochs, clock.max_updates), (None, None)):
        return clock
    warnings.warn(
        f"{policy.who}: found a run of {_length(clock)} that began as one of {_length(its)}; percentages still refer "
        f"to {_length(its)}: write on_change='use_new' to make them refer to {_length(clock)}.",
        stacklevel=2,
    )
    return Clock(now, its.epochs, its.max_updates)


def _length(clock: Clock) -> str:
    if clock.max_updates is not None:
        return f"{clock.max_updates} updates"
    return "unknown length" if clock.epochs is None else f"{clock.epochs} epochs"


def differences(saved: Any, new: Any, name: str = "") -> Iterator[str]:
    """Where two canonical forms differ, field by field, in words.

    >>> list(differences({"type": "AdamW", "epsilon": 1e-8}, {"type": "AdamW", "epsilon": 1e-6}, "optimizer"))
    ['optimizer.epsilon was 1e-08 and is 1e-06']
    """
    both = isinstance(saved, Mapping) and isinstance(new, Mapping)
    if both and saved.get("type") == new.get("type") and saved.keys() == new.keys():
        for key in saved:
            yield from differences(saved[key], new[key], f"{name}.{key}" if name else str(key))
    elif saved != new and not (saved != saved and new != new):
        yield f"{name} was {_shown(saved)} and is {_shown(new)}"


def _shown(value: Any) -> str:
    """A canonical form as source code, such as StepDecay(factor=0.1, every=epochs(5)), if it can be read here."""
    if isinstance(value, Mapping) and "type" in value:
        for family in (Schedule, Spec, Rule):
            try:
                return repr(family.from_dict(value))
            except ValueError:
                continue
        fields = ", ".join(f"{key}={_shown(each)}" for key, each in value.items() if key != "type")
        return f"{value['type']}({fields})"
    if isinstance(value, list):
        return f"[{', '.join(map(_shown, value))}]"
    return repr(value)
