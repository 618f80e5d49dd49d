"""The file format of a hand-over: NumPy arrays and sealed plain data.

Reading it executes nothing: no pickle is loaded.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from ..core.checkpoints.saved import Saved
from ..core.checkpoints.sealing import seal, unseal
from ..core.specs.shared_layout import Layout
from ..core.specs.spec import Spec
from .layouts import from_plain, to_plain

_STATE = "state"


class ParameterState(NamedTuple):
    """The state that an optimizer keeps of a parameter.

    Attributes:
        updates: The number of updates of the parameter so far.
        moments: Arrays of the parameter's shape, by name.
        product: For NAdamW, the product of the momenta so far.
    """

    updates: int
    moments: Mapping[str, np.ndarray]
    product: float | None = None


@dataclass(frozen=True)
class Exchange:
    """A run to hand over, at the end of an epoch.

    Attributes:
        saved: Its position, and what drove its optimizers.
        kinds: The class name of each optimizer's spec, by the optimizer's number.
        parameters: The state of each parameter, by path.
        layouts: How the arrays of the parameters lie, where that is known; files of older versions do not say.
    """

    saved: Saved
    kinds: Mapping[int, str]
    parameters: Mapping[str, ParameterState] = field(default_factory=dict)
    layouts: Mapping[str, Layout] = field(default_factory=dict)


def kinds_of(specs: Iterable[Spec]) -> dict[int, str]:
    """The class name of each optimizer's spec, by the optimizer's number."""
    return {number: type(spec).__name__ for number, spec in enumerate(specs)}


def write(path: str | os.PathLike[str], exchange: Exchange) -> None:
    """Write a file or replace it atomically: there is always either the old file or the new one."""
    arrays: dict[str, Any] = {
        f"{name}:{moment}": array
        for name, each in exchange.parameters.items()
        for moment, array in each.moments.items()
    }
    state = seal(
        {
            "saved": exchange.saved.to_dict(),
            "kinds": {str(number): kind for number, kind in exchange.kinds.items()},
            "parameters": {
                name: {"updates": each.updates, "product": each.product, "moments": list(each.moments)}
                for name, each in exchange.parameters.items()
            },
            "layouts": {name: to_plain(layout) for name, layout in exchange.layouts.items()},
            "arrays": {name: _digest(array) for name, array in arrays.items()},
        }
    )
    with replaced(path) as file:
        np.savez(file, **{_STATE: np.frombuffer(json.dumps(state).encode(), "uint8"), **arrays})


def read(path: str | os.PathLike[str]) -> Exchange:
    """Read what `write` wrote.

    Raises:
        ValueError: The file is something else, or damaged.
        OSError: There is no such file.
    """
    with open(path, "rb") as file:
        try:
            with np.load(file, allow_pickle=False) as found:
                arrays = {name: found[name] for name in found.files}
            state = unseal(json.loads(arrays.pop(_STATE).tobytes()))
            if {name: _digest(array) for name, array in arrays.items()} != state["arrays"]:
                raise ValueError("its arrays have changed since they were written")
            parameters = {
                name: ParameterState(
                    each["updates"],
                    {moment: arrays[f"{name}:{moment}"] for moment in each["moments"]},
                    each["product"],
                )
                for name, each in state["parameters"].items()
            }
            kinds = {int(number): kind for number, kind in state["kinds"].items()}
            layouts = {name: from_plain(plain) for name, plain in state.get("layouts", {}).items()}
            return Exchange(Saved.from_dict(state["saved"]), kinds, parameters, layouts)
        except Exception as error:  # whatever NumPy, zip and JSON raise for other files
            raise ValueError(
                f"found {os.fspath(path)!r}, which is damaged or was not written by export_state "
                f"({type(error).__name__}); use another file."
            ) from None


@contextmanager
def replaced(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file to write to, which replaces `path` once all of it is on disk."""
    target = Path(path)
    beside = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        with open(beside, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    if os.name == "posix":
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # so that the new name is on disk too
        finally:
            os.close(folder)


def _digest(array: np.ndarray) -> str:
    described = f"{array.dtype.str}{array.shape}".encode()
    return hashlib.sha256(described + np.ascontiguousarray(array).tobytes()).hexdigest()
