"""Matches the keys of a callback to optimizers: by the submodel that an optimizer trains, or by its number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..policies.policy import Policy
from .errors import second_driver_error
from .schedule_callback import OptimizerKey, ScheduleCallback


class Followed(NamedTuple):
    """An optimizer that follows a policy of a callback.

    Attributes:
        number: The optimizer's number.
        callback: The callback whose policy it follows.
        key: The callback's key for that policy.
        label: The optimizer's name in logs; "" if it is the only one.
    """

    number: int
    callback: ScheduleCallback
    key: OptimizerKey | None
    label: str

    @property
    def policy(self) -> Policy:
        """The policy it follows."""
        return self.callback._policies[self.key]

    @property
    def updates_per_epoch(self) -> int | None:
        """The user's updates_per_epoch= for it."""
        return self.callback._updates[self.key]


class Matching:
    """Which policy drives which optimizer in a training, resolved once for all callbacks.

    Args:
        callbacks: samestep's callbacks in this training.
        paths: For each optimizer, the paths of its parameters, as in `describe_parameters`.

    Raises:
        ValueError: It is unclear which optimizer is meant, or two callbacks drive the same hyperparameter of one.
    """

    def __init__(self, callbacks: Sequence[ScheduleCallback], paths: Sequence[Sequence[str]]) -> None:
        self._followed = {id(callback): followed(callback, paths) for callback in callbacks}
        self._scheduled: set[tuple[int, str]] = set()
        driving: dict[tuple[bool, int, str], ScheduleCallback] = {}
        for callback in callbacks:
            for each in self._followed[id(callback)]:
                for name in each.policy.driven:
                    other = driving.setdefault((each.policy.reduces, each.number, name), callback)
                    if other is not callback:
                        raise second_driver_error(repr(other), repr(callback), name)
                    if not each.policy.reduces:
                        self._scheduled.add((each.number, name))

    def meant_by(self, callback: ScheduleCallback) -> list[Followed]:
        """The optimizers that a callback means."""
        return self._followed[id(callback)]

    def driven_by(self, callback: ScheduleCallback) -> list[Followed]:
        """The optimizers that a callback drives: not those where it only reduces what another callback schedules."""
        own = self.meant_by(callback)
        rest = [
            each
            for each in own
            if not each.policy.reduces or not any((each.number, name) in self._scheduled for name in each.policy.driven)
        ]
        for each in own:
            if each not in rest and each.policy.base is not None:
                raise each.policy.error(
                    f"base={each.policy.base!r} next to a callback that schedules the {each.policy.driven[0]}",
                    "leave base= out and set the base value there",
                )
        return rest


def log_name(hyperparameter: str, label: str = "", group: int = 0) -> str:
    """The name of a hyperparameter in logs and traces, with the optimizer and the parameter group.

    >>> log_name("learning_rate"), log_name("weight_decay", group=1), log_name("learning_rate", "generator", 1)
    ('learning_rate', 'weight_decay/1', 'learning_rate/generator/1')
    """
    return "/".join([hyperparameter, *([label] if label else []), *([str(group)] if group else [])])


def labels(paths: Sequence[Sequence[str]]) -> list[str]:
    """Each optimizer's name in logs and traces; "" for a single one."""
    return names(paths) if len(paths) > 1 else [""]


def names(paths: Sequence[Sequence[str]]) -> list[str]:
    """Each optimizer's name: the shortest path that has all of its parameters and none of another's, or its number.

    Args:
        paths: For each optimizer, the paths of its parameters.

    >>> names([["generator/net/weight", "generator/net/bias"], ["discriminator/weight"], ["generator/a", "x"]])
    ['generator/net', 'discriminator', '2']
    """
    return [next(iter(_folders(paths, number)), str(number)) for number in range(len(paths))]


def followed(callback: ScheduleCallback, paths: Sequence[Sequence[str]]) -> list[Followed]:
    """Which optimizer follows which policy of a callback; raises ValueError if that is unclear."""
    called = names(paths)
    policy = callback._policies.get(None)
    if policy is not None:
        if len(paths) > 1 and not callback._options.shared:
            example = ", ".join(f"{name!r}: Recipe(...)" for name in called)
            raise policy.error(
                f"{len(paths)} optimizers and one recipe", f"give one per optimizer, as in {{{example}}}"
            )
        return [Followed(number, callback, None, label) for number, label in enumerate(labels(paths))]
    found: dict[int, Followed] = {}
    for key in callback._policies:
        assert key is not None  # for the type checker: it is the key of a policy for any optimizer
        number = _number(callback, key, paths, called)
        if number in found:
            raise ValueError(
                f"{callback._who}: found two recipes for the optimizer of {called[number]!r}, under the keys "
                f"{found[number].key!r} and {key!r}; keep one of them."
            )
        found[number] = Followed(number, callback, key, str(key))
    return list(found.values())


def _number(
    callback: ScheduleCallback, key: OptimizerKey, paths: Sequence[Sequence[str]], called: Sequence[str]
) -> int:
    if isinstance(key, int):
        if 0 <= key < len(paths):
            return key
    else:
        for number in range(len(paths)):
            if key.replace(".", "/") in _folders(paths, number):
                return number
        if key in called:
            return called.index(key)  # an optimizer without its own path goes by its number
    raise ValueError(
        f"{callback._who}: found a recipe for {key!r}, which matches no optimizer; write one of {called}, or a number "
        f"below {len(paths)}."
    )


def _folders(paths: Sequence[Sequence[str]], number: int) -> list[str]:
    """The paths, shortest first, that contain all of an optimizer's parameters and none of another's."""
    own = paths[number]
    parts = own[0].split("/") if own else []
    others = [path for other, its in enumerate(paths) if other != number for path in its]
    candidates = ["/".join(parts[:length]) for length in range(1, len(parts) + 1)]
    return [
        folder
        for folder in candidates
        if all(_within(path, folder) for path in own) and not any(_within(path, folder) for path in others)
    ]


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")
