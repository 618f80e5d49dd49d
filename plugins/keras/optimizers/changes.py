"""The error for variables that became trainable, or were frozen, after an optimizer was built."""

from __future__ import annotations

from collections.abc import Sequence

_NAMED = 3  # in a message


def changed_error(who: str, remedy: str, found: str) -> ValueError:
    """Other variables are trainable than those that an optimizer was built for.

    Args:
        who: Who found them.
        remedy: How to make the new optimizer.
        found: What has changed, in words.
    """
    return ValueError(
        f"{who}: found {found} since the optimizer was built; expected the variables that it was built for: after such "
        f"a change, compile the model with {remedy}, and continue with fit(initial_epoch=...)."
    )


def became(what: str, paths: Sequence[str]) -> str:
    """What variables of these paths became: "trainable" or "frozen"."""
    return f"{listed(paths)} {what}"


def listed(paths: Sequence[str]) -> str:
    """The first few of these paths, and how many there are besides."""
    names = ", ".join(map(repr, paths[:_NAMED]))
    return f"{names} and {len(paths) - _NAMED} more" if len(paths) > _NAMED else names
