"""Keras and the backend that it is set to: whether they are installed, said before anything else is imported."""

from __future__ import annotations

import os
import sys

from ..core.requirements import Package, is_installed, require

_KERAS = Package("keras", "3.10")
_BACKENDS = {
    each.name: each for each in (Package("tensorflow", "2.18"), Package("jax", "0.4.38"), Package("torch", "2.4"))
}


def require_keras(room: str) -> None:
    """Refuse to import the room where Keras cannot be imported, or is on a backend that samestep does not know.

    Args:
        room: The room, by its name.

    Raises:
        ModuleNotFoundError: Keras or the backend that it is set to is not installed.
        ImportError: One of them is too old, or the backend is another one.
    """
    if "keras" not in sys.modules:  # which reads the variable once
        _check_known(room, os.environ.get("KERAS_BACKEND") or "tensorflow")
    try:
        require(room, _KERAS, f"'samestep[keras,{_installed() or 'tensorflow'}]'")
    except ModuleNotFoundError as error:
        missing = error.name
        if missing not in _BACKENDS or is_installed(missing):
            raise
        raise ModuleNotFoundError(f"{room}: {_says(missing)}.", name=missing) from None

    import keras

    backend = keras.backend.backend()
    _check_known(room, backend)
    require(room, _BACKENDS[backend], f"'samestep[keras,{backend}]'")


def _check_known(room: str, backend: str) -> None:
    if backend not in _BACKENDS:
        raise ImportError(
            f"{room}: found Keras on the backend {backend!r}, expected tensorflow, jax or torch; set the environment "
            f"variable KERAS_BACKEND to one of them."
        )


def _installed() -> str:
    """An installed backend, or ""."""
    return next(filter(is_installed, _BACKENDS), "")


def _says(missing: str) -> str:
    """What to do where Keras is set to a backend that is not installed."""
    install = f"run pip install 'samestep[keras,{missing}]'"
    if not _installed():
        return f"found Keras without a backend; {install}, or with jax or torch in place of tensorflow"
    where = "KERAS_BACKEND says" if os.environ.get("KERAS_BACKEND") else "Keras is set to"
    return (
        f"found {_installed()}, but {where} {missing!r}, which is not installed; set the environment variable "
        f"KERAS_BACKEND={_installed()}, or {install}"
    )
