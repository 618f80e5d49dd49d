"""A mutant made in a running process: its function gets the code of the changed text."""

from __future__ import annotations

import functools
import gc
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType

from mutations import Mutant


class NotPossibleError(Exception):
    """The change can't be made: the text does not compile, or the function would close over other variables."""


class Functions:
    """Every function of the package in this process, and every cache: to be made before the first fork."""

    def __init__(self, root: Path) -> None:
        self.found: dict[tuple[str, int, Path], list[FunctionType]] = {}
        self.caches: list[functools._lru_cache_wrapper[object]] = []
        self.texts = {path: path.read_text(encoding="utf-8") for path in root.rglob("*.py")}
        for each in gc.get_objects():  # whose type is asked, since some objects answer isinstance() with a warning
            if type(each) is FunctionType and str(each.__module__).startswith("samestep."):
                code = each.__code__
                key = (code.co_qualname, code.co_firstlineno, Path(code.co_filename).resolve())
                self.found.setdefault(key, []).append(each)
            elif type(each) is functools._lru_cache_wrapper and str(each.__module__).startswith("samestep."):
                self.caches.append(each)

    def swap(self, root: Path, mutant: Mutant) -> None:
        """Make the change in every copy of the function, and empty the caches."""
        path = root / mutant.file
        try:
            module = compile(mutant.source(self.texts[path]), str(path), "exec", dont_inherit=True)
        except SyntaxError as error:
            raise NotPossibleError from error
        named = [c for c in _codes(module) if c.co_qualname == mutant.function and c.co_firstlineno <= mutant.line]
        code = max(named, key=lambda code: code.co_firstlineno)
        for each in self.found.get((code.co_qualname, code.co_firstlineno, path), [None]):
            if each is None or each.__code__.co_freevars != code.co_freevars:
                raise NotPossibleError
            each.__code__ = code
        for cache in self.caches:
            cache.cache_clear()


def _codes(code: CodeType) -> Iterator[CodeType]:
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield each
            yield from _codes(each)
