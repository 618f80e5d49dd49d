"""Maps the optimizers and parameters of a file to those of a model, and the axes of their arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ..core.callbacks.errors import hand_over_error
from ..core.specs.spec import Spec
from .files import Exchange, ParameterState, kinds_of

Names = Mapping[str, str | tuple[str, Sequence[int]]]
"""For the path of a parameter in the model, its path in the file, or a pair of that path and the axes with which
`numpy.transpose` turns the file's arrays into the model's."""


def mapped(exchange: Exchange, shapes: Mapping[str, tuple[int, ...]], names: Names | None) -> dict[str, ParameterState]:
    """The file's state of each parameter of a model, in the model's own shapes.

    Args:
        exchange: The contents of the file.
        shapes: The shapes of the model's parameters, by path.
        names: Paths and axes of parameters that differ in the file; see `Names`.

    Returns:
        The state of each parameter, by its path in the model.

    Raises:
        ValueError: A parameter is missing on one side, or its shape differs.
    """
    names = dict(names or {})
    unknown = sorted(names.keys() - shapes.keys())
    if unknown:
        raise ValueError(
            f"found names for {unknown}, which are not parameters of the model; expected some of {sorted(shapes)}."
        )
    found = {path: _theirs(names.get(path, path)) for path in shapes}
    taken = [path for path, _ in found.values()]
    missing, left = sorted(set(taken) - exchange.parameters.keys()), sorted(exchange.parameters.keys() - set(taken))
    if missing or left or len(set(taken)) < len(taken):
        raise ValueError(
            f"found parameters {sorted(exchange.parameters)} in the file and {sorted(shapes)} in the model; give "
            f"names={{'path in the model': 'path in the file', ...}} to match them one to one."
        )
    return {path: _laid(path, exchange.parameters[its], axes, shapes[path]) for path, (its, axes) in found.items()}


def check_kinds(exchange: Exchange, specs: Iterable[Spec]) -> None:
    """Raise ValueError if a model's optimizers, built from these specs, are of other kinds than the file's."""
    kinds = kinds_of(specs)
    if kinds != exchange.kinds:
        raise hand_over_error(
            "import_state",
            f"the optimizers {list(kinds.values())} in the model and {list(exchange.kinds.values())} in the file",
            "build those of the file",
        )


def _theirs(name: str | tuple[str, Sequence[int]]) -> tuple[str, Sequence[int] | None]:
    return (name, None) if isinstance(name, str) else (name[0], tuple(name[1]))


def _laid(path: str, parameter: ParameterState, axes: Sequence[int] | None, shape: tuple[int, ...]) -> ParameterState:
    moments = {}
    for name, array in parameter.moments.items():
        try:
            moments[name] = array if axes is None else np.transpose(array, axes).copy()
        except ValueError:
            raise ValueError(
                f"found the axes {axes} for {path!r}, whose arrays have the shape {array.shape}; give each axis once."
            ) from None
        if moments[name].shape != shape:
            turned = tuple(reversed(range(len(shape))))
            raise ValueError(
                f"found the shape {moments[name].shape} for {path!r}, which has {shape} in the model; give its axes, "
                f"such as names={{{path!r}: ('path in the file', {turned})}} to transpose a kernel."
            )
    return parameter._replace(moments=moments)
