"""Whoever reads a public docstring can import what it names."""

from __future__ import annotations

import builtins
import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest

import samestep
from samestep.core import callbacks
from samestep.core.specs.spec import HYPERPARAMETERS

PUBLIC = {name: getattr(samestep, name) for name in samestep.__all__}
PUBLIC |= {name: getattr(callbacks, name) for name in callbacks.__all__}
ROOMS = {room: import_module(f"samestep.{room}") for room in ("lightning", "keras")}
OF_FRAMEWORKS = {"build_optimizer", "describe_parameters", "extract_weight_decay", "export_state", "import_state"}
OF_OTHERS = {"step_size", "fit", "compile"}  # an argument of another library, methods of a model


def documented() -> Iterator[tuple[str, Any, Any]]:
    """Of everything public that has a docstring: what it is called, itself, and the class that has it."""
    for name, found in PUBLIC.items():
        if isinstance(found, type) or inspect.isroutine(found):
            yield name, found, found
        if isinstance(found, type):
            for member, inner in inspect.getmembers(found):
                if not member.startswith("_") and (inspect.isroutine(inner) or isinstance(inner, property)):
                    yield f"{name}.{member}", inner, found


def of_rooms() -> Iterator[tuple[str, Any, Any]]:
    """The functions of the frameworks' rooms; their callbacks have the docstrings of the core's."""
    for room, module in ROOMS.items():
        for name in module.__all__:
            found = getattr(module, name)
            if inspect.isroutine(found):
                yield f"{room}.{name}", found, found


DOCUMENTED = {name: (found, owner) for name, found, owner in (*documented(), *of_rooms()) if inspect.getdoc(found)}


def arguments(found: Any) -> set[str]:
    try:
        return set(inspect.signature(found).parameters)
    except (TypeError, ValueError):
        return set()


def can_be_found(token: str, found: Any, owner: Any) -> bool:
    name, *rest = token.removeprefix("model.").split(".")
    if name in PUBLIC or name in OF_FRAMEWORKS or hasattr(builtins, name):
        return not rest or (name in PUBLIC and hasattr(PUBLIC[name], rest[0]))
    if not rest:
        known = {*arguments(found), *arguments(owner), *HYPERPARAMETERS, *OF_OTHERS}
        # What a function passes on, such as `foreach`, has no class's name.
        return name in known or hasattr(owner, name) or ("options" in known and name.islower())
    try:
        module: Any = import_module(".".join([name, *rest[:-1]]))
    except ImportError:
        return False
    return hasattr(module, rest[-1])


@pytest.mark.parametrize("name", DOCUMENTED)
def test_what_a_docstring_names_can_be_imported_or_is_of_its_subject(name: str) -> None:
    found, owner = DOCUMENTED[name]
    text = inspect.getdoc(found) or ""
    tokens = re.findall(r"(?<!`)`([A-Za-z_][\w.]*)(?:\([^`]*)?`", text)
    assert [token for token in tokens if not can_be_found(token, found, owner)] == []


@pytest.mark.parametrize("name", ["ReduceOnPlateau.like_torch", "HyperparameterScheduler", "Recipe.plan", "sequence"])
def test_a_name_that_there_is_not_would_be_seen(name: str) -> None:
    found, owner = DOCUMENTED[name]
    for token in ("HyperparameterSchedulerMixin", "schedulers", "torch.optim.lr_scheduler.Reduce", "Plan.tables"):
        assert not can_be_found(token, found, owner)


def test_the_names_of_the_frameworks_are_those_of_both() -> None:
    for module in ROOMS.values():
        assert set(module.__all__) >= OF_FRAMEWORKS
