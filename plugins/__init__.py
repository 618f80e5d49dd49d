"""One training recipe, two frameworks, the same step: PyTorch Lightning and Keras 3 follow it update by update.

`samestep` imports no framework; `samestep.lightning` and `samestep.keras` import theirs. The public names are listed in
`__init__.pyi`, and loaded on first use, which keeps `import samestep` at a few milliseconds.
"""

from ast import ImportFrom, parse
from importlib import import_module
from pathlib import Path

__version__ = "0.2.0"

# The stub is the one table of public names, for type checkers, for editors and for this module.
_HOME = {
    alias.name: f".{node.module}"
    for node in parse(Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8")).body
    if isinstance(node, ImportFrom)
    for alias in node.names
}
__all__ = sorted(_HOME, key=lambda name: (0 if name.isupper() else 1 if name[0].isupper() else 2, name))


def __getattr__(name: str) -> object:
    if name not in _HOME:
        if not name.startswith("_"):
            import_module(
                ".core.arguments", __name__
            )  # which says what to write, if this is for `from samestep import name`
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
