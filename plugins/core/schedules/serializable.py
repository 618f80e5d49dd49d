"""What schedules and specs have in common: values, checked when made, that turn into plain data and back."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from inspect import isabstract
from types import NoneType
from typing import Any, ClassVar, Literal, Self, TypeGuard, get_origin, get_type_hints

from ..arguments.check import ChecksArguments, check, parameters_of
from ..arguments.counterparts import mistaken
from ..arguments.depth import is_too_deep
from ..arguments.mistakes import nearest
from .durations import Duration, as_duration

Functions = Mapping[str, Callable[..., float]]


@dataclass(frozen=True, repr=False)
class Value(ChecksArguments):
    """Base of a family of frozen dataclasses whose fields are numbers, durations, other values or tuples of them.

    A field annotated `float` accepts any real number and holds a finite float; one annotated `DurationLike` accepts a
    Duration or its text; `bool`, `Literal[...]`, a schedule, and tuples of any number of these are checked too.
    Subclasses register themselves within their family, so that `from_dict` finds them by name.
    """

    _example: ClassVar[str]  # of a family: what the message about a wrong type shows
    _family: ClassVar[type[Value]]
    _registry: ClassVar[dict[str, type[Value]]]  # of a family: its classes by qualified name
    _field_hints: ClassVar[dict[str, Any]]

    def __init_subclass__(cls, family: bool = False, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if family:
            cls._family, cls._registry = cls, {}
        elif not cls.__name__.startswith("_"):
            # A class that is defined again, as by running a notebook's cell again, takes the place of the former one.
            cls._registry[_qualified(cls)] = cls

    def __post_init__(self) -> None:
        for name, hint in _hints(type(self)).items():
            object.__setattr__(self, name, _checked(getattr(self, name), hint, f"{type(self).__name__}.{name}"))

    def _require(self, condition: bool, name: str, expected: str) -> None:
        if not condition:
            raise ValueError(f"{type(self).__name__}.{name}: found {getattr(self, name)!r}; expected {expected}.")

    def __repr__(self) -> str:
        """The expression that makes this value, without the arguments that have their default."""
        shown = (f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if self._is_shown(f.name, f.default))
        return f"{type(self).__name__}({', '.join(shown)})"

    def _is_shown(self, name: str, default: Any) -> bool:
        """Whether the repr shows a field."""
        return bool(getattr(self, name) != default)

    @classmethod
    def _mistaken(cls, found: object) -> str:
        """What was found where one of this family is expected, and what to write."""
        known = {kind.__name__ for kind in cls._registry.values()}
        return mistaken(found, cls._family.__name__.lower(), cls._example, known)

    def to_dict(self) -> dict[str, Any]:
        """This value as JSON-ready data: its class name under "type", and its fields, with durations as text.

        A class of your own that shares its name with another one is written as "module:name".
        """
        return {
            "type": self._type_name(),
            **{f.name: _encode(getattr(self, f.name)) for f in fields(self)},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], functions: Functions | None = None) -> Self:
        """The value that `to_dict` wrote. Only classes of this family are made; nothing is imported or executed.

        Args:
            data: What `to_dict` wrote.
            functions: Your functions by the names that `to_dict` wrote for them; needed for `EpochFunction` only.

        Raises:
            ValueError: The type is unknown or ambiguous; a field is unknown, invalid or, unless it has a default,
                missing; or the data is nested too deeply.
        """
        if is_too_deep(data):
            raise _depth_error()
        try:
            return cls._from_dict(data, functions or {})
        except RecursionError:
            raise _depth_error() from None

    @classmethod
    def _from_dict(cls, data: Mapping[str, Any], functions: Functions) -> Self:
        if not isinstance(data, Mapping) or not isinstance(data.get("type"), str):
            raise ValueError(f"found {data!r}; expected a dictionary with a 'type', as written by to_dict().")
        found = cls._named(data["type"])
        return found._from_fields({k: v for k, v in data.items() if k != "type"}, functions)

    @classmethod
    def _named(cls, name: str) -> type[Self]:
        """The class that `to_dict` wrote as `name`; a plain name that one of samestep's classes has is samestep's."""
        known = {each: kind for each, kind in cls._registry.items() if issubclass(kind, cls) and not isabstract(kind)}
        if name in known:
            return known[name]
        alike = [kind for kind in known.values() if kind.__name__ == name]
        found = [kind for kind in alike if _is_own(kind)] or alike
        if len(found) == 1:
            return found[0]
        if found:
            where = " or ".join(repr(_qualified(kind)) for kind in found)
            raise ValueError(f"found the {cls.__name__.lower()} type {name!r}, which is ambiguous; write {where}.")
        expected = ", ".join(sorted({kind.__name__ for kind in known.values()}))
        near = nearest(name, sorted({kind.__name__ for kind in known.values()}))
        if near:
            raise ValueError(f"found the {cls.__name__.lower()} type {name!r}; write {near[0]!r}.")
        raise ValueError(
            f"found the {cls.__name__.lower()} type {name!r}; expected one of {expected}; import the module that "
            f"defines it if it is your own."
        )

    def _type_name(self) -> str:
        kind = type(self)
        alike = [each for each in kind._registry.values() if each.__name__ == kind.__name__]
        return kind.__name__ if len(alike) <= 1 or _is_own(kind) else _qualified(kind)

    @classmethod
    def _from_fields(cls, data: dict[str, Any], functions: Functions) -> Self:
        given = {str(name): cls._decode(value, functions) for name, value in data.items()}
        try:
            check(cls.__name__, parameters_of(cls), (), given)
            return cls(**given)
        except TypeError as error:
            raise ValueError(str(error)) from None

    @classmethod
    def _decode(cls, value: Any, functions: Functions) -> Any:
        if isinstance(value, Mapping):
            return cls._family._from_dict(value, functions)
        if is_listing(value):
            return tuple(cls._decode(item, functions) for item in value)
        return value


def _depth_error() -> ValueError:
    return ValueError("found data that is nested too deeply; expected what to_dict() writes.")


def _qualified(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


def _is_own(kind: type) -> bool:
    """Whether a class is one of this package, whose names are never ambiguous."""
    return kind.__module__.startswith(__name__.partition(".core.")[0] + ".core.")


def is_listing(value: object) -> TypeGuard[Sequence[Any]]:
    """Whether it is a sequence of any kind, but not a text."""
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray))


def real(value: object, name: str) -> float:
    """`value` as a finite float; raises TypeError or ValueError in the words of the argument `name`."""
    try:
        if isinstance(value, (bool, str, bytes, bytearray)):
            raise TypeError
        number = float(value)  # type: ignore[arg-type]  # anything with __float__: NumPy and framework scalars
    except OverflowError:
        number = math.inf
    except (TypeError, ValueError):
        raise TypeError(f"{name}: found {value!r} ({type(value).__name__}); expected a number.") from None
    if not math.isfinite(number):
        raise ValueError(f"{name}: found {number}; expected a finite number.")
    return number


def _checked(value: Any, hint: Any, where: str) -> Any:
    """`value` as what a field of this annotation holds; raises in the words of the field `where`."""
    kinds = getattr(hint, "__args__", (hint,))
    if NoneType in kinds:  # an annotation such as `float | None`
        if value is None:
            return None
        kinds = tuple(kind for kind in kinds if kind is not NoneType)
        if len(kinds) == 1:
            return _checked(value, kinds[0], where)
    if hint is float:
        return real(value, where)
    if Duration in kinds and get_origin(hint) is not tuple:
        return as_duration(value, where)
    if get_origin(hint) is tuple and kinds[1:] == (...,):
        if not is_listing(value):
            listed = f": write [{value!r}]" if isinstance(value, Value) and isinstance(value, kinds[0]) else ""
            raise TypeError(f"{where}: found {value!r} ({type(value).__name__}); expected a list{listed}.")
        return tuple(_checked(item, kinds[0], where) for item in value)
    if hint is bool and not isinstance(value, bool):
        raise TypeError(f"{where}: found {value!r} ({type(value).__name__}); expected True or False.")
    if get_origin(hint) is Literal and value not in kinds:
        raise ValueError(f"{where}: found {value!r}; expected one of {', '.join(map(repr, kinds))}.")
    if isinstance(hint, type) and issubclass(hint, Value) and not isinstance(value, hint):
        raise TypeError(f"{where}: {hint._mistaken(value)}")
    return value


def _hints(cls: type[Value]) -> dict[str, Any]:
    """The annotations of a class's fields, looked up once per class."""
    if "_field_hints" not in vars(cls):
        hints = get_type_hints(cls)
        cls._field_hints = {f.name: hints[f.name] for f in fields(cls)}
    return cls._field_hints


def _encode(value: Any) -> Any:
    if isinstance(value, Value):
        return value.to_dict()
    if isinstance(value, Duration):
        return str(value)
    if isinstance(value, tuple):
        return [_encode(item) for item in value]
    if callable(value):
        if not hasattr(value, "__qualname__"):
            raise ValueError(f"found {value!r}, which has no name to save it by; define it with def.")
        return f"{value.__module__}:{value.__qualname__}"
    return value
