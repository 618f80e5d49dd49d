"""Maps the optimizers and parameters of a file to those of a model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ..core.callbacks.errors import hand_over_error
from ..core.specs.shared_layout import SECOND_BIAS, Layout, Part
from ..core.specs.spec import Spec
from .files import Exchange, ParameterState, kinds_of
from .layouts import part_of, put_together

Names = Mapping[str, str | tuple[str, Sequence[int]]]
"""For the path of a layer or a parameter in the model, its path in the file; for a parameter also a pair of that path
and the axes with which `numpy.transpose` turns the file's arrays into the model's."""


class _Source(NamedTuple):
    """A parameter of the file, and which of its parts; none if all of it is taken as it lies, or by `axes`."""

    path: str
    part: Part | None = None
    axes: tuple[int, ...] | None = None


def mapped(
    exchange: Exchange,
    shapes: Mapping[str, tuple[int, ...]],
    names: Names | None,
    layouts: Mapping[str, Layout] | None = None,
) -> dict[str, ParameterState]:
    """The file's state of each parameter of a model, in the model's own shapes.

    Args:
        exchange: The contents of the file.
        shapes: The shapes of the model's parameters, by path.
        names: Paths and axes of layers and parameters that differ in the file; see `Names`.
        layouts: How the model's parameters lie, where that is known.

    Returns:
        The state of each parameter, by its path in the model.

    Raises:
        ValueError: A parameter is missing on one side, its shape differs, or how it lies is unknown.
    """
    layouts = layouts or {}
    search = _Search(exchange, shapes, layouts, dict(names or {}))
    found = {path: search.sources(path) for path in shapes}
    search.refuse_unmatched(found)
    return {path: _state(path, shapes[path], layouts.get(path, ()), found[path], exchange) for path in shapes}


def check_kinds(exchange: Exchange, specs: Iterable[Spec]) -> None:
    """Raise ValueError if a model's optimizers, built from these specs, are of other kinds than the file's."""
    kinds = kinds_of(specs)
    if kinds != exchange.kinds:
        raise hand_over_error(
            "import_state",
            f"the optimizers {list(kinds.values())} in the model and {list(exchange.kinds.values())} in the file",
            "build those of the file",
        )


class _Search:
    """Looks for the parameters of a model in a file: by their own paths, and by the shared names of their parts."""

    def __init__(
        self,
        exchange: Exchange,
        shapes: Mapping[str, tuple[int, ...]],
        layouts: Mapping[str, Layout],
        names: Names,
    ) -> None:
        self.shapes, self.layouts, self.names = shapes, layouts, names
        self.theirs = {path: exchange.layouts.get(path, ()) for path in exchange.parameters}
        self.shared = {part.name: _Source(path, part) for path, layout in self.theirs.items() for part in layout}
        own = [*shapes, *(part.name for layout in layouts.values() for part in layout)]
        unknown = [each for each in names if not any(f"{path}/".startswith(f"{each}/") for path in own)]
        if unknown:
            raise ValueError(
                f"found names for {sorted(unknown)}, which are not parameters of the model nor layers with some; "
                f"expected some of {sorted(shapes)}."
            )

    def sources(self, path: str) -> list[_Source | None]:
        """Where a parameter comes from: the whole of one, or a source for each of its parts; None for a missing one."""
        name, own = self.names.get(path), self.layouts.get(path, ())
        if name is not None and not isinstance(name, str):
            return [_Source(name[0], axes=tuple(name[1])) if name[0] in self.theirs else None]
        given = name or self._renamed(path)
        theirs = self.theirs.get(given, ())
        if given in self.theirs and not _both_known(own, theirs):
            self._refuse_unknown_layout(path, given)
            return [_Source(given)]
        if name is None:
            return [self.shared.get(self._renamed(part.name)) for part in own] or [None]
        if len(own) == len(theirs):
            return [_Source(name, part) for part in theirs]
        return [self.shared.get(name) if len(own) == 1 else None]

    def _refuse_unknown_layout(self, path: str, given: str) -> None:
        """Raise ValueError if a parameter may lie otherwise in the file, and no one can know."""
        axes = tuple(range(len(self.shapes[path])))
        either = self.layouts.get(path) or self.theirs[given]
        # Files of older versions know no layouts; the same path in them is one of the same framework.
        if either and len(axes) > 1 and not (path == given and not self.shared):
            raise ValueError(
                f"found {path!r} in the model and {given!r} in the file, and how one of them lies is unknown; give the "
                f"axes, such as names={{{path!r}: ({given!r}, {axes})}} for the same ones."
            )

    def _renamed(self, path: str) -> str:
        """A path in the model as `names` has it or, of the layers that it lies in, the innermost."""
        parts = path.split("/")
        for length in range(len(parts), 0, -1):
            name = self.names.get("/".join(parts[:length]))
            if isinstance(name, str):
                return "/".join([name, *parts[length:]])
        return path

    def refuse_unmatched(self, found: Mapping[str, list[_Source | None]]) -> None:
        """Raise ValueError if not each part of a parameter on either side has its counterpart on the other."""
        missing = []
        for path, sources in found.items():
            own = self.layouts.get(path, ())
            names = [part.name for part in own] if len(sources) == len(own) > 1 else [path]
            missing += [name for name, source in zip(names, sources, strict=True) if source is None]
        used = Counter(
            (source.path, part.name)
            for sources in found.values()
            for source in sources
            if source
            for part in ([source.part] if source.part else self.theirs[source.path] or [Part("", ())])
        )
        left = [
            part.name if len(layout) > 1 else path
            for path, layout in self.theirs.items()
            for part in layout or [Part("", ())]
            if (path, part.name) not in used
        ]
        if not (missing or left or any(count > 1 for count in used.values())):
            return
        second = [
            path
            for layouts in (self.layouts, self.theirs)
            for path in (*missing, *left)
            if any(part.name.endswith(f"/{SECOND_BIAS}") for part in layouts.get(path, ()))
        ]
        if second:
            raise ValueError(
                f"found {second[0]!r}, a second trained bias, which Keras' layer does not have; freeze it with "
                f"requires_grad_(False) before training, or continue in the framework that wrote the file."
            )
        raise ValueError(
            f"found parameters {sorted(left)} in the file and {sorted(missing)} in the model; give "
            f"names={{'layer or parameter of the model': 'its path in the file', ...}} to match them one to one, or "
            f"continue in the framework that wrote the file."
        )


def _both_known(own: Layout, theirs: Layout) -> bool:
    """Whether two layouts can be compared: a table that is also an output lies as one of the two in each model."""
    return bool(own and theirs) and _is_table(own) == _is_table(theirs)


def _is_table(layout: Layout) -> bool:
    return layout[0].name.rpartition("/")[2] == "embeddings"


def _state(
    path: str, shape: tuple[int, ...], layout: Layout, sources: Sequence[_Source | None], exchange: Exchange
) -> ParameterState:
    found = [(source, exchange.parameters[source.path]) for source in sources if source]
    source, first = found[0]
    if len({(each.updates, each.product, tuple(each.moments)) for _, each in found}) > 1:
        raise ValueError(
            f"found different numbers of updates in the file for the parts of {path!r}, which has one; continue in the "
            f"framework that wrote the file."
        )
    moments = {}
    for name in first.moments:
        if source.part is None:
            moments[name] = _laid(path, shape, first.moments[name], source)
            continue
        parts = {}
        for part, (its, state) in zip(layout, found, strict=True):
            assert its.part
            parts[part.name] = part_of(state.moments[name], its.part)
            if its.part.shape != part.shape:
                raise _shape_error(path, part.shape, its.path, its.part.shape)
        moments[name] = put_together(parts, layout, shape)
    return first._replace(moments=moments)


def _laid(path: str, shape: tuple[int, ...], array: np.ndarray, source: _Source) -> np.ndarray:
    if source.axes is not None:
        try:
            array = np.transpose(array, source.axes).copy()
        except ValueError:
            raise ValueError(
                f"found the axes {source.axes} for {path!r}, whose arrays have the shape {array.shape}; give each axis "
                f"once."
            ) from None
    if array.shape != shape:
        raise _shape_error(path, shape, source.path, array.shape)
    return array


def _shape_error(path: str, shape: tuple[int, ...], given: str, found: tuple[int, ...]) -> ValueError:
    turned = tuple(reversed(range(len(found))))
    return ValueError(
        f"found the shape {found} for {path!r}, which has {shape} in the model; give its axes, such as "
        f"names={{{path!r}: ({given!r}, {turned})}} to transpose a kernel, or the path of another parameter."
    )
