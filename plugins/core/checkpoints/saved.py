"""What a checkpoint carries: each optimizer's progress and what drove it, but no values of the plan.

It is plain data, so that it loads where nothing may be executed, and is sealed, so that damage is noticed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..arguments.depth import is_too_deep
from ..schedules.clock import Clock, Position
from ..specs.spec import HYPERPARAMETERS
from .sealing import canonical, seal, unseal

KEY = "samestep"
"""Its key in a checkpoint."""

VERSION = 3
_FIRST = 1  # only the position, and no digest
_SECOND = 2  # named drivers by the class of the callback

_DRIVER = (
    "policy",
    "hyperparameters",
    "settings",
    "updates_per_epoch",
    "epochs",
    "max_updates",
    "state",
    "reduces",
)
_BASES = "bases"  # only where the settings do not have them
_OF_SECOND = {"callback": "policy", "memory": "state"}
_KIND_OF_CALLBACK = {
    "HyperparameterScheduler": "recipe",
    "EpochGatedDecay": "gated decay",
    "LearningRateScheduler": "function",
    "ReduceOnPlateau": "plateau",
}
# For subclasses, by a field of their settings; `reduces` identifies a plateau.
_KIND_OF_SETTINGS = {"recipe": "recipe", "start_epoch": "gated decay"}


@dataclass(frozen=True)
class Driver:
    """What drove an optimizer: a policy, as plain data.

    Attributes:
        kind: The kind of the policy; "" if unknown.
        hyperparameters: The hyperparameters that it drove.
        settings: Its settings in canonical form; None if they cannot be written down.
        clock: The run length that its percentages refer to, and the number of updates in an epoch.
        state: What it observed during the run and cannot be derived from the position.
        reduces: Whether it reduces what another policy schedules instead of scheduling it.
        bases: The base values of the parameter groups, by hyperparameter, where they were the optimizer's own; None
            where the settings have them, or if unknown.
    """

    kind: str
    hyperparameters: tuple[str, ...]
    settings: Mapping[str, Any] | None
    clock: Clock
    state: tuple[Any, ...] = ()
    reduces: bool = False
    bases: Mapping[str, list[float]] | None = None

    def to_dict(self) -> dict[str, Any]:
        """This driver as JSON-ready data."""
        clock = self.clock
        return {
            "policy": self.kind,
            "hyperparameters": list(self.hyperparameters),
            "settings": self.settings,
            "updates_per_epoch": clock.updates_per_epoch,
            "epochs": clock.epochs,
            "max_updates": clock.max_updates,
            "state": list(self.state),
            "reduces": self.reduces,
            **({} if self.bases is None else {_BASES: dict(self.bases)}),
        }

    @classmethod
    def from_dict(cls, data: Any) -> Driver:
        """The driver that `to_dict` wrote.

        Raises:
            ValueError: It is not one.
        """
        has_bases = isinstance(data, Mapping) and _BASES in data
        fields = _fields(data, (*_DRIVER, _BASES)) if has_bases else [*_fields(data, _DRIVER), None]
        kind, hyperparameters, settings, updates, epochs, max_updates, state, reduces, bases = fields
        known = isinstance(hyperparameters, list) and all(name in HYPERPARAMETERS for name in hyperparameters)
        fitting = isinstance(kind, str) and isinstance(state, list) and isinstance(settings, (dict, type(None)))
        if not known or not fitting or not isinstance(reduces, bool) or not _are_bases(bases):
            raise ValueError(f"found the driver {_shown(data)}; expected one that samestep wrote.")
        clock = Clock(updates, epochs, max_updates)
        return cls(kind, tuple(hyperparameters), settings, clock, tuple(state), reduces, bases)

    @classmethod
    def from_second_version(cls, data: Any) -> Driver:
        """Read a driver of version 2, which named the callback's class; the settings identify subclasses."""
        if not isinstance(data, Mapping):
            return cls.from_dict(data)
        driver = cls.from_dict({_OF_SECOND.get(name, name): value for name, value in data.items()})
        kind = _KIND_OF_CALLBACK.get(driver.kind)
        if kind is None:
            by_settings = (kind for field, kind in _KIND_OF_SETTINGS.items() if field in (driver.settings or {}))
            kind = "plateau" if driver.reduces else next(by_settings, "")
        return replace(driver, kind=kind)


@dataclass(frozen=True)
class LaterGroup:
    """A parameter group that was added to an optimizer while it trained.

    Attributes:
        bases: By hyperparameter, the base values that are the group's own.
        parameters: The names of its parameters.
    """

    bases: Mapping[str, float]
    parameters: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """This group as JSON-ready data."""
        return {"bases": dict(self.bases), "parameters": list(self.parameters)}

    @classmethod
    def from_dict(cls, data: Any) -> LaterGroup:
        """The group that `to_dict` wrote; raises ValueError if it is not one."""
        bases, parameters = _fields(data, ("bases", "parameters"))
        known = isinstance(bases, dict) and set(bases) <= set(HYPERPARAMETERS) and isinstance(parameters, list)
        if not known or not {type(base) for base in bases.values()} <= {float}:
            raise ValueError(f"found the parameter group {_shown(data)}; expected one that samestep wrote")
        return cls(bases, tuple(parameters))


@dataclass(frozen=True)
class Progress:
    """An optimizer's number of updates in the epoch, what drove it, and the groups that it got while it trained."""

    update: int = 0
    drivers: tuple[Driver, ...] = ()
    later: Mapping[int, LaterGroup] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """This as JSON-ready data; the later groups are left out if there are none, as before they were known."""
        later = {str(number): group.to_dict() for number, group in self.later.items()}
        drivers = [driver.to_dict() for driver in self.drivers]
        return {"update": self.update, "drivers": drivers, **({"later": later} if later else {})}

    def driver(self, kind: str, hyperparameters: tuple[str, ...], reduces: bool = False) -> Driver | None:
        """What drove, or reduced, some of these hyperparameters; a policy of this kind comes before others."""
        alike = [each for each in self.drivers if each.reduces is reduces]
        driving = [each for each in alike if not set(hyperparameters).isdisjoint(each.hyperparameters)]
        return next((each for each in driving if each.kind == kind), driving[0] if driving else None)


@dataclass(frozen=True)
class Saved:
    """The epoch of a run, and the progress of each optimizer by its number.

    >>> saved = Saved(2, {0: Progress(7)})
    >>> Saved.from_dict(saved.to_dict()) == saved
    True
    >>> Saved.from_dict({**saved.to_dict(), "epoch": 3})
    Traceback (most recent call last):
    ValueError: found a damaged samestep state: it has changed since it was written; use another checkpoint.
    """

    epoch: int
    optimizers: Mapping[int, Progress] = field(default_factory=dict)

    def position(self, number: int) -> Position:
        """The position of an optimizer."""
        return Position(self.epoch, self.optimizers[number].update if number in self.optimizers else 0)

    def at_epoch(self, epoch: int) -> Saved:
        """The same at the beginning of an epoch."""
        return Saved(epoch, {number: replace(each, update=0) for number, each in self.optimizers.items()})

    def with_progress(self, number: int, update: int, *drivers: Driver) -> Saved:
        """A copy with an optimizer's progress, and with these drivers added, once each."""
        before = self.optimizers[number].drivers if number in self.optimizers else ()
        later = self.optimizers[number].later if number in self.optimizers else {}
        distinct = {(each.kind, each.hyperparameters): each for each in (*before, *drivers)}
        return replace(self, optimizers={**self.optimizers, number: Progress(update, tuple(distinct.values()), later)})

    def with_later(self, number: int, later: Mapping[int, LaterGroup]) -> Saved:
        """A copy with what one more callback knows of the groups that an optimizer got while it trained."""
        progress = self.optimizers[number]
        both = dict(progress.later)
        for index, group in later.items():
            known = both.get(index, LaterGroup({}))
            both[index] = LaterGroup({**known.bases, **group.bases}, group.parameters)
        return replace(self, optimizers={**self.optimizers, number: replace(progress, later=both)})

    def beside(self, others: Saved | None) -> Saved:
        """A copy with what others saved of the same run."""
        saved = self if others is None else replace(others, epoch=self.epoch)
        for number, progress in self.optimizers.items():
            saved = saved.with_progress(number, progress.update, *progress.drivers).with_later(number, progress.later)
        return saved

    def to_dict(self) -> dict[str, Any]:
        """This as JSON-ready data, with its version and its digest."""
        data = {
            "version": VERSION,
            "epoch": self.epoch,
            "optimizers": {str(number): progress.to_dict() for number, progress in self.optimizers.items()},
        }
        return seal(data)

    @classmethod
    def from_dict(cls, data: Any) -> Saved:
        """Read what `to_dict` wrote in this version of samestep or an older one.

        Raises:
            ValueError: A newer version wrote it, or it has changed since it was written.
        """
        if is_too_deep(data):
            raise _damaged(ValueError("it is nested too deeply"))
        version = data.get("version") if isinstance(data, Mapping) else None
        if version == _FIRST and not isinstance(version, bool):
            return cls._from_first_version(data)
        if isinstance(version, int) and version > VERSION:
            raise ValueError(
                f"found a samestep state of version {_shown(version)}; this samestep reads versions up to "
                f"{VERSION}: upgrade samestep."
            )
        try:
            if version not in (_SECOND, VERSION) or isinstance(version, bool):
                raise ValueError("it has no version")
            read = Driver.from_dict if version == VERSION else Driver.from_second_version
            _, epoch, optimizers = _fields(unseal(data), ("version", "epoch", "optimizers"))
            progress = {}
            for number, each in optimizers.items():
                groups = each.get("later", {})
                update, drivers, _ = _fields({"later": groups, **each}, ("update", "drivers", "later"))
                later = {_count(int(index)): LaterGroup.from_dict(group) for index, group in groups.items()}
                progress[_count(int(number))] = Progress(_count(update), tuple(map(read, drivers)), later)
            return cls(_count(epoch), progress)
        except (AttributeError, TypeError, ValueError) as error:
            raise _damaged(error) from None

    @classmethod
    def _from_first_version(cls, data: Mapping[str, Any]) -> Saved:
        try:
            _, epoch, updates = _fields(data, ("version", "epoch", "updates"))
            return cls(_count(epoch), {_count(number): Progress(_count(made)) for number, made in updates.items()})
        except (AttributeError, ValueError) as error:
            raise _damaged(error) from None

    def to_text(self) -> str:
        """This as one line of JSON."""
        return canonical(self.to_dict())

    @classmethod
    def from_text(cls, text: str | bytes) -> Saved:
        """What `to_text` wrote; errors as for `from_dict`."""
        try:
            data = json.loads(text)
        except (RecursionError, ValueError):
            raise _damaged(ValueError("it is not JSON")) from None
        return cls.from_dict(data)


def _damaged(error: Exception) -> ValueError:
    reason = str(error).rstrip(".") if isinstance(error, ValueError) else "it has changed since it was written"
    return ValueError(f"found a damaged samestep state: {reason}; use another checkpoint.")


def _fields(data: Any, names: tuple[str, ...]) -> list[Any]:
    if not isinstance(data, Mapping) or set(data) != set(names):
        raise ValueError(f"found {_shown(data)} where there should be {', '.join(names)}")
    return [data[name] for name in names]


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"found {_shown(value)} where there should be a number of at least 0")
    return value


def _are_bases(value: Any) -> bool:
    """Whether it is None, or a list of numbers for some hyperparameters."""
    return value is None or (
        isinstance(value, dict)
        and set(value) <= set(HYPERPARAMETERS)
        and all(isinstance(each, list) and {type(number) for number in each} <= {float} for each in value.values())
    )


def _shown(value: Any) -> str:
    text = repr(list(value) if isinstance(value, Mapping) else value)
    return text if len(text) <= 100 else f"{text[:97]}..."
