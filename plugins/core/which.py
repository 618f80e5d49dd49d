"""Which optimizer a callback means: by the part of the model whose parameters the optimizer has, or by its number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from .callbacks import Key, ScheduleMixin
from .durations import Position
from .refusals import refuse_second_driver


class Followed(NamedTuple):
    """An optimizer, by its number, that follows a part of a callback; `label` tells it from others in a log."""

    number: int
    part: ScheduleMixin
    label: str


def log_name(hyperparameter: str, label: str = "", group: int = 0) -> str:
    """The name of a hyperparameter in logs and traces: of which optimizer, and of which of its groups of parameters.

    >>> log_name("learning_rate"), log_name("weight_decay", group=1), log_name("learning_rate", "generator", 1)
    ('learning_rate', 'weight_decay/1', 'learning_rate/generator/1')
    """
    return "/".join([hyperparameter, *([label] if label else []), *([str(group)] if group else [])])


def logged(
    part: ScheduleMixin, label: str, bases: Mapping[str, Sequence[float]], epoch: int, made: int
) -> dict[str, float]:
    """What the last update used of the `made` ones of an epoch so far, by the name that a log has it under.

    bases: by hyperparameter, the base value of each group of parameters.
    """
    # An epoch may be longer than the first where its values are the same throughout.
    last = Position(epoch, max(made - 1, 0) if part.varies_within_epochs() else 0)
    return {
        log_name(name, label, group): part.used(name, base, last)
        for name, of_groups in bases.items()
        for group, base in enumerate(of_groups)
    }


def labels(paths: Sequence[Sequence[str]]) -> list[str]:
    """What tells each optimizer from the others, in a log or among traces: its name, or "" for an only one."""
    return names(paths) if len(paths) > 1 else [""]


def names(paths: Sequence[Sequence[str]]) -> list[str]:
    """What each optimizer is called: the shortest path that has all of its parameters and none of another's.

    paths: of each optimizer those of its parameters. Where there is no such path it is called by its number.

    >>> names([["generator/net/weight", "generator/net/bias"], ["discriminator/weight"], ["generator/a", "x"]])
    ['generator/net', 'discriminator', '2']
    """
    return [next(iter(_folders(paths, number)), str(number)) for number in range(len(paths))]


def followed(callback: ScheduleMixin, paths: Sequence[Sequence[str]]) -> list[Followed]:
    """Which optimizers follow which part of a callback; raises ValueError where that is not clear.

    paths: of each optimizer those of its parameters, as `describe_parameters` has them.
    """
    called = names(paths)
    if callback.parts is None:
        if len(paths) > 1 and not callback.drives_each:
            example = ", ".join(f"{name!r}: Recipe(...)" for name in called)
            raise callback.refuse(f"{len(paths)} optimizers and one recipe", f"give one for each, as {{{example}}}")
        return [Followed(number, callback, label) for number, label in enumerate(labels(paths))]
    found: dict[int, Followed] = {}
    for key, part in callback.parts.items():
        number = _number(callback, key, paths, called)
        if number in found:
            raise callback.refuse(
                f"two recipes for the optimizer of {called[number]!r}, those of {found[number].part.of!r} and {key!r}",
                "keep one of them",
            )
        found[number] = Followed(number, part, str(key))
    return list(found.values())


def driven_by(
    callback: ScheduleMixin, beside: Sequence[ScheduleMixin], paths: Sequence[Sequence[str]]
) -> list[Followed]:
    """As `followed`, without the optimizers of which another callback schedules what this one only reduces.

    beside: all callbacks of ours in this training.
    """
    own = followed(callback, paths)
    if not callback.reduces:
        return own
    scheduled = {
        (each.number, name)
        for other in beside
        if not other.reduces
        for each in followed(other, paths)
        for name in each.part.driven
    }
    rest = [each for each in own if not any((each.number, name) in scheduled for name in each.part.driven)]
    if len(rest) < len(own) and callback.base is not None:
        raise callback.refuse(
            f"base={callback.base!r} beside a callback that schedules the {callback.driven[0]}",
            "leave base= out, and have the base value in the other one",
        )
    return rest


def refuse_second_drivers(beside: Sequence[ScheduleMixin], paths: Sequence[Sequence[str]]) -> None:
    """Refuse two callbacks of ours that schedule, or reduce, the same hyperparameter of the same optimizer."""
    driving: dict[tuple[bool, int, str], ScheduleMixin] = {}
    for callback in beside:
        for number, part, _ in followed(callback, paths):
            for name in part.driven:
                other = driving.setdefault((callback.reduces, number, name), callback)
                if other is not callback:
                    raise refuse_second_driver(other, callback, name)


def _number(callback: ScheduleMixin, key: Key, paths: Sequence[Sequence[str]], called: Sequence[str]) -> int:
    if isinstance(key, int):
        if 0 <= key < len(paths):
            return key
    else:
        for number in range(len(paths)):
            if key.replace(".", "/") in _folders(paths, number):
                return number
        if key in called:
            return called.index(key)  # it has no path of its own, and is called by its number
    raise callback.refuse(
        f"a recipe for {key!r}, which is no optimizer's", f"write one of {called}, or a number below {len(paths)}"
    )


def _folders(paths: Sequence[Sequence[str]], number: int) -> list[str]:
    """The paths, the shortest first, under which lie all parameters of an optimizer, and none of another's."""
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
