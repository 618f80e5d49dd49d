"""What a checkpoint carries of a run: how far each optimizer was, and what drove it; never a value of the plan.

It is plain data, so that it loads where nothing may be executed, and it is sealed: a digest tells what was written from
what a damaged file has.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..schedules.durations import Clock, Position
from ..specs.spec import HYPERPARAMETERS

KEY = "samestep"
"""What a checkpoint has it under."""

VERSION = 3
_FIRST = 1  # had the position alone, and no digest
_SECOND = 2  # named what drove an optimizer by the class of the callback

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
_OF_SECOND = {"callback": "policy", "memory": "state"}
_KIND_OF_CALLBACK = {
    "HyperparameterScheduler": "recipe",
    "EpochGatedDecay": "gated decay",
    "LearningRateScheduler": "function",
    "ReduceOnPlateau": "plateau",
}
# Of a subclass, by a field of its settings; a plateau is told by `reduces`.
_KIND_OF_SETTINGS = {"recipe": "recipe", "start_epoch": "gated decay"}


@dataclass(frozen=True)
class Driver:
    """What drove an optimizer: a policy, as plain data.

    Attributes:
        kind: The kind of the policy; "" where it is unknown.
        hyperparameters: Which ones it drove.
        settings: Its own, in canonical form; None for a policy that has none which can be written down.
        clock: The run that its percentages were resolved against, and the number of updates in an epoch.
        state: What it has seen of the run and cannot be had from the position.
        reduces: Whether it reduces what another policy schedules, which is another thing than to schedule.
    """

    kind: str
    hyperparameters: tuple[str, ...]
    settings: Mapping[str, Any] | None
    clock: Clock
    state: tuple[Any, ...] = ()
    reduces: bool = False

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
        }

    @classmethod
    def from_dict(cls, data: Any) -> Driver:
        """The driver that `to_dict` wrote.

        Raises:
            ValueError: It is not one.
        """
        kind, hyperparameters, settings, updates, epochs, max_updates, state, reduces = _fields(data, _DRIVER)
        known = isinstance(hyperparameters, list) and all(name in HYPERPARAMETERS for name in hyperparameters)
        fitting = isinstance(kind, str) and isinstance(state, list) and isinstance(settings, (dict, type(None)))
        if not known or not fitting or not isinstance(reduces, bool):
            raise ValueError(f"found the driver {_shown(data)}; expected one that samestep wrote.")
        clock = Clock(updates, epochs, max_updates)
        return cls(kind, tuple(hyperparameters), settings, clock, tuple(state), reduces)

    @classmethod
    def from_second_version(cls, data: Any) -> Driver:
        """The driver that version 2 wrote, which named the callback's class; a subclass tells by its settings."""
        if not isinstance(data, Mapping):
            return cls.from_dict(data)
        driver = cls.from_dict({_OF_SECOND.get(name, name): value for name, value in data.items()})
        kind = _KIND_OF_CALLBACK.get(driver.kind)
        if kind is None:
            by_settings = (kind for field, kind in _KIND_OF_SETTINGS.items() if field in (driver.settings or {}))
            kind = "plateau" if driver.reduces else next(by_settings, "")
        return replace(driver, kind=kind)


@dataclass(frozen=True)
class Progress:
    """How far an optimizer was within the epoch, and what drove it."""

    update: int = 0
    drivers: tuple[Driver, ...] = ()

    def driver(self, kind: str, hyperparameters: tuple[str, ...], reduces: bool = False) -> Driver | None:
        """What drove, or reduced, some of these hyperparameters: a policy of this kind before one of another."""
        alike = [each for each in self.drivers if each.reduces is reduces]
        driving = [each for each in alike if not set(hyperparameters).isdisjoint(each.hyperparameters)]
        return next((each for each in driving if each.kind == kind), driving[0] if driving else None)


@dataclass(frozen=True)
class Saved:
    """Where a run was, and the progress of each of its optimizers by its number.

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
        """Where an optimizer was."""
        return Position(self.epoch, self.optimizers[number].update if number in self.optimizers else 0)

    def at_epoch(self, epoch: int) -> Saved:
        """This at the beginning of an epoch."""
        return Saved(epoch, {number: replace(each, update=0) for number, each in self.optimizers.items()})

    def with_progress(self, number: int, update: int, *drivers: Driver) -> Saved:
        """This, with how far an optimizer was, and with these among what drove it, once each."""
        before = self.optimizers[number].drivers if number in self.optimizers else ()
        distinct = {(each.kind, each.hyperparameters): each for each in (*before, *drivers)}
        return replace(self, optimizers={**self.optimizers, number: Progress(update, tuple(distinct.values()))})

    def beside(self, others: Saved | None) -> Saved:
        """This, with what others have of the same run."""
        saved = self if others is None else replace(others, epoch=self.epoch)
        for number, progress in self.optimizers.items():
            saved = saved.with_progress(number, progress.update, *progress.drivers)
        return saved

    def to_dict(self) -> dict[str, Any]:
        """This as JSON-ready data, with its version and its digest."""
        data = {
            "version": VERSION,
            "epoch": self.epoch,
            "optimizers": {
                str(number): {"update": progress.update, "drivers": [each.to_dict() for each in progress.drivers]}
                for number, progress in self.optimizers.items()
            },
        }
        return seal(data)

    @classmethod
    def from_dict(cls, data: Any) -> Saved:
        """What `to_dict` wrote, by this version of samestep or an older one.

        Raises:
            ValueError: In one sentence: it was written by a newer version, or is not as it was written.
        """
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
                update, drivers = _fields(each, ("update", "drivers"))
                progress[_count(int(number))] = Progress(_count(update), tuple(map(read, drivers)))
            return cls(_count(epoch), progress)
        except (AttributeError, RecursionError, TypeError, ValueError) as error:
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
        return _canonical(self.to_dict())

    @classmethod
    def from_text(cls, text: str | bytes) -> Saved:
        """What `to_text` wrote; errors as for `from_dict`."""
        try:
            data = json.loads(text)
        except (RecursionError, ValueError):
            raise _damaged(ValueError("it is not JSON")) from None
        return cls.from_dict(data)


def seal(data: Mapping[str, Any]) -> dict[str, Any]:
    """JSON-ready data with its digest."""
    return {**data, "digest": _digest(data)}


def unseal(data: Any) -> dict[str, Any]:
    """The data that `seal` was given.

    Raises:
        ValueError: It is not the same any more.
    """
    inner = {key: value for key, value in data.items() if key != "digest"}
    if data.get("digest") != _digest(inner):
        raise ValueError("it has changed since it was written")
    return inner


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


def _shown(value: Any) -> str:
    text = repr(list(value) if isinstance(value, Mapping) else value)
    return text if len(text) <= 100 else f"{text[:97]}..."


def _canonical(data: Any) -> str:
    return json.dumps(data, sort_keys=True, separators=(",", ":"))


def _digest(data: Any) -> str:
    return hashlib.sha256(_canonical(data).encode()).hexdigest()
