"""Which private names of frameworks a room uses, read from its source, for the tests of its table of them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import samestep

PLUGINS = Path(samestep.__file__).parent


PUBLIC = {"_asdict", "_fields", "_make", "_replace"}  # methods of named tuples


def is_private(name: str) -> bool:
    return name not in PUBLIC and name.startswith("_") and not name.startswith("__") and name.isidentifier()


def used_in(room: str) -> set[str]:
    """The private names that a room uses, as an attribute, in an import or as text, and that samestep does not define.

    A name that samestep defines somewhere is taken for its own.
    """
    own = {name for path in PLUGINS.rglob("*.py") for name in _defined(ast.parse(path.read_text()))}
    files = (path for path in (PLUGINS / room).rglob("*.py") if path.name != "private_names.py")
    return {name for path in files for name in _used(ast.parse(path.read_text())) if is_private(name)} - own


def _used(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.ImportFrom):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _defined(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            if isinstance(node.value, ast.Name) and node.value.id == "self":
                yield node.attr
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
