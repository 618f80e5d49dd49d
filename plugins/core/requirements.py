"""What a room needs of other packages, and the sentence that says what is missing, too old or gone."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import NamedTuple

from .private_names import missing
from .version_numbers import is_older


class Package(NamedTuple):
    """A package that a room needs.

    Attributes:
        name: Its name on the package index.
        floor: The oldest version that will do; "" for any, and then the package is looked for and not imported.
        modules: Its module, or several of which any will do; by default the module of the package's name.
    """

    name: str
    floor: str = ""
    modules: tuple[str, ...] = ()


@contextmanager
def importing(room: str, *packages: Package, install: str = "") -> Iterator[None]:
    """Import the modules of a room, for which some packages must be installed.

    Args:
        room: The room, by its name.
        packages: What it needs; imported before anything else.
        install: What `pip install` is to be given if one is missing.

    Raises:
        ModuleNotFoundError: A package is not installed.
        ImportError: A package is too old, or it lacks a private name that the room's `private_names.py` lists.
    """
    for package in packages:
        require(room, package, install)
    try:
        yield
    except (AttributeError, ImportError) as error:
        gone = _gone(room, str(error))
        if not gone:
            raise
        raise ImportError(f"{room}: {gone}") from error


def require(room: str, package: Package, install: str) -> None:
    """Refuse to import a room without this package, or with one that is too old.

    Raises:
        ModuleNotFoundError: The package is not installed.
        ImportError: It is older than its floor.
    """
    names = package.modules or (package.name,)
    installed = [name for name in names if is_installed(name)]
    if not installed:
        found = f"found no {package.name}" if len(names) == 1 else f"found neither {' nor '.join(names)}"
        raise ModuleNotFoundError(f"{room}: {found}; run pip install {install}.", name=names[0])
    for name in installed if package.floor else ():
        version = import_module(name).__version__  # what fails inside an installed package shows itself
        if is_older(version, package.floor):
            name = name.replace("_", "-")
            raise ImportError(
                f"{room}: found {name} {version}, expected at least {package.floor}; run pip install --upgrade "
                f"'{name}>={package.floor}'."
            )


def is_installed(module: str) -> bool:
    """Whether there is a top-level module of this name; a folder that is no package does not count."""
    try:
        spec = find_spec(module)
    except ModuleNotFoundError:  # by a finder that hides it
        return False
    return spec is not None and spec.origin is not None


def _gone(room: str, says: str) -> str:
    """A sentence for the listed private names that an import error is about, if they are gone; "" if none is."""
    try:
        names = import_module(f"{room}.private_names").PRIVATE_NAMES
    except ImportError:
        return ""
    meant = [each for each in names if each.name in says or each.owner in says]
    sentences = [
        f"{sentence}; install {each.seen} instead of {_version(each.owner)}, or upgrade samestep."
        for each in meant
        for sentence in missing([each])
    ]
    return " ".join(sentences)


def _version(owner: str) -> str:
    return str(getattr(sys.modules.get(owner.partition(".")[0]), "__version__", "this one"))
