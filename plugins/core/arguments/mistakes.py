"""The errors of arguments that a function or a constructor does not take."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping, Sequence
from reprlib import Repr
from typing import Any

from .aliases import ALIASES, MULTIPLIER, SHARES, Alias

_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = 60
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def argument_error(who: str, signature: inspect.Signature, args: Sequence[Any], kwargs: Mapping[str, Any]) -> TypeError:
    """The error of a call with arguments that do not fit: what was found, and what to write.

    Args:
        who: The function or the class that was called.
        signature: Its parameters.
        args: The arguments by position.
        kwargs: The arguments by name.
    """
    parameters = signature.parameters
    places = [each.name for each in parameters.values() if each.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    free = [each.name for each in parameters.values() if each.kind is inspect.Parameter.KEYWORD_ONLY]
    placed, surplus = places[: len(args)], args[len(places) :]
    unknown = {name: value for name, value in kwargs.items() if name not in parameters}
    if unknown:
        return unknown_error(who, parameters, unknown, [*placed, *kwargs])
    if surplus and len(surplus) <= len(free):
        named = ", ".join(f"{name}={_shown(value)}" for name, value in zip(free, surplus, strict=False))
        return TypeError(f"{who}: found {len(args)} arguments by position; write the last by name: {named}.")
    if surplus:
        expected = ", ".join([*places, *free])
        return TypeError(f"{who}: found {len(args)} arguments; expected {expected or 'none'}.")
    twice = [name for name in placed if name in kwargs]
    if twice:
        return TypeError(f"{who}: found {twice[0]} by position and by name; write {twice[0]}= once.")
    needed = [name for name in (*places, *free) if parameters[name].default is inspect.Parameter.empty]
    missing = [name for name in needed if name not in kwargs and name not in placed]
    return TypeError(f"{who}: found no {' and no '.join(missing)}; give {' and '.join(f'{m}=' for m in missing)}.")


def unknown_error(
    who: str, parameters: Mapping[str, Any], unknown: Mapping[str, Any], given: Collection[str] = ()
) -> TypeError:
    """The error of arguments whose names are unknown.

    Args:
        who: The function or the class that was called.
        parameters: What it takes: inspect's parameters, or anything, by name.
        unknown: The arguments that it does not take.
        given: The names of all arguments that were given.
    """
    known = [name for name, each in parameters.items() if getattr(each, "kind", _NAMED[0]) in _NAMED]
    writes, hints = list[str](), list[str]()
    for name, value in unknown.items():
        alias = ALIASES.get(f"{who}.{name}", ALIASES.get(name, Alias((name,))))
        names = [each.removeprefix(f"{who}.") for each in alias.names]
        meant = [each for each in names if each in known] or ([] if alias.elsewhere else nearest(name, known))
        free = [each for each in meant if each not in given]
        if free and alias.elsewhere and _is_number(value) and _wants(parameters[free[0]], "Schedule"):
            hints.append(alias.elsewhere.format(name))
        elif free == ["betas"]:
            writes.append(f"betas={_betas(unknown)}")
        elif free:
            writes.append(_written(name, value, parameters[free[0]], free[0], alias))
        elif meant:
            hints.append(f"leave {_name(name)}= out beside {meant[0]}=")
        elif alias.elsewhere:
            hints.append(alias.elsewhere.format(name))
        else:
            hints.append(f"expected {'some of ' + ', '.join(known) if known else 'no argument'}")
    found = ", ".join(f"{_name(name)}={_shown(value)}" for name, value in unknown.items())
    remedies = [*(["write " + ", ".join(dict.fromkeys(writes))] if writes else []), *dict.fromkeys(hints)]
    return TypeError(f"{who}: found {found}; {', and '.join(remedies)}.")


def _shown(value: Any) -> str:
    """A short repr in one line."""
    return " ".join(_SHORT.repr(value).split())


def _name(name: str) -> str:
    """A name as a message shows it; in data it can be any text."""
    return name if name.isidentifier() and len(name) <= 60 else _shown(name)


def nearest(name: str, known: Collection[str]) -> list[str]:
    """The known name that a misspelt one is nearest to, if one is near."""
    from difflib import get_close_matches  # not needed by whoever writes the right names

    simple = {each.lower().replace("_", ""): each for each in known}
    return [simple[each] for each in get_close_matches(name.lower().replace("_", ""), simple, 1, 0.7)]


def meant_by(name: str, known: Collection[str]) -> str | None:
    """Which of the known names another library's name, or a misspelt one, means; None if that is unknown."""
    names = ALIASES[name].names if name in ALIASES else nearest(name, known)
    return next((each for each in names if each in known), None)


def _written(name: str, value: Any, parameter: Any, target: str, alias: Alias) -> str:
    """An argument as it should be written."""
    if _wants(parameter, "Duration"):
        durations = _durations(name, value)
        if durations:
            return f"{target}={' or '.join(map(repr, durations))}"
    if target in ("start", "end") and alias.value == "{0}":
        alias = Alias(alias.names, MULTIPLIER, value="")
    note = f" ({alias.note})" if alias.note else ""
    return f"{target}={alias.value.format(_shown(value))}{note}"


def _wants(parameter: Any, kind: str) -> bool:
    """Whether a parameter is annotated as one of this kind."""
    return kind in str(getattr(parameter, "annotation", ""))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _betas(unknown: Mapping[str, Any]) -> str:
    """Both betas, of which some were given each by a name of its own."""
    given = {name[-1]: value for name, value in unknown.items() if ALIASES.get(name, Alias(())).names == ("betas",)}
    first, second = given.get("1", given.get("m", 0.9)), given.get("2", 0.999)
    return f"({_shown(first)}, {_shown(second)})"


def _durations(name: str, value: Any) -> list[str]:
    """The texts of the durations that a number can mean."""
    if not _is_number(value):
        return []
    if (0 < value < 1 and isinstance(value, float)) or any(part in name for part in SHARES):
        return [f"{100 * value if value < 1 else value:.10g}%"]
    by_epochs, by_updates = f"{value} epochs", f"{value} updates"
    if "epoch" in name:
        return [by_epochs]
    return [by_updates] if any(part in name for part in ("steps", "iters", "updates")) else [by_epochs, by_updates]
