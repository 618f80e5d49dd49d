"""The mutants of a module: its functions, each with one small change by the operators of mutmut."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.mutators import mutation_operators


class Mutant(NamedTuple):
    """One change. Its file, function, both texts and `nth` name it as long as the function has it."""

    file: str
    function: str
    was: str
    becomes: str
    nth: int  # of the places in this function where the same text is changed in the same way
    line: int
    begin: int
    end: int

    @property
    def key(self) -> tuple[str, str, str, str, int]:
        return self[:5]

    def __str__(self) -> str:
        place = f" ({self.nth + 1}.)" if self.nth else ""
        return f"{self.file}:{self.line}: {self.function}{place}: {self.was}  ->  {self.becomes}"

    def source(self, text: str) -> str:
        """The module's text with the change."""
        return text[: self.begin] + self.becomes + text[self.end :]


class _Finder(cst.CSTVisitor):
    """Collects the changes to bodies of functions.

    Outside of functions nothing is mutated, nor are default values, decorators and annotations: a change there can't be
    made in a process that has imported the module. Wording is not mutated either: strings with a space and f-strings.
    """

    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self, file: str, text: str) -> None:
        self.file, self.text, self.found = file, text, list[Mutant]()
        self.scopes: list[tuple[str, bool]] = []
        self.starts = [0]
        for line in text.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))
        self.seen = Counter[tuple[str, str, str]]()

    def on_visit(self, node: cst.CSTNode) -> bool:
        match node:
            case cst.ClassDef() | cst.FunctionDef():
                self.scopes.append((node.name.value, isinstance(node, cst.FunctionDef)))
            case cst.Parameters() | cst.Decorator() | cst.Annotation():
                return False
            case cst.SimpleStatementLine(body=[cst.Expr(value=cst.SimpleString() | cst.ConcatenatedString())]):
                return False  # a docstring
        if any(function for _, function in self.scopes):
            self.mutate(node)
        return True

    def on_leave(self, original_node: cst.CSTNode) -> None:
        if isinstance(original_node, cst.ClassDef | cst.FunctionDef):
            self.scopes.pop()

    def mutate(self, node: cst.CSTNode) -> None:
        if _is_wording(node):
            return
        outer = next(at for at, (_, function) in enumerate(self.scopes) if function)
        function = ".".join(name for name, _ in self.scopes[: outer + 1])
        place = self.get_metadata(PositionProvider, node, None)
        if place is None:
            return
        begin = self.starts[place.start.line - 1] + place.start.column
        end = self.starts[place.end.line - 1] + place.end.column
        for kind, operator in mutation_operators:
            for other in operator(node) if isinstance(node, kind) else ():
                if any(map(_is_wording, _arguments(node, other))):
                    continue
                was, becomes = self.text[begin:end], _code(other)
                if isinstance(node, cst.Match):
                    becomes = becomes.replace("\n", "\n" + " " * place.start.column)
                nth = self.seen[function, was, becomes]
                self.seen[function, was, becomes] += 1
                self.found.append(Mutant(self.file, function, was, becomes, nth, place.start.line, begin, end))


def _code(node: cst.CSTNode) -> str:
    return cst.Module([]).code_for_node(node).strip()


def _is_wording(node: cst.CSTNode) -> bool:
    match node:
        case cst.SimpleString():
            return " " in node.value
        case cst.FormattedString() | cst.ConcatenatedString():
            return True
    return False


def _arguments(node: cst.CSTNode, other: cst.CSTNode) -> list[cst.BaseExpression]:
    """Those of a call that a mutant leaves out or replaces."""
    if isinstance(node, cst.Call) and isinstance(other, cst.Call):
        return [each.value for each in node.args if not any(each is kept for kept in other.args)]
    return []


def mutants(root: Path, path: Path) -> Sequence[Mutant]:
    """All mutants of a module, in its order."""
    text = path.read_text(encoding="utf-8")
    finder = _Finder(str(path.relative_to(root)), text)
    MetadataWrapper(cst.parse_module(text), unsafe_skip_copy=True).visit(finder)
    return finder.found


def all_mutants(root: Path) -> Iterator[Mutant]:
    """The mutants of all modules below a folder."""
    for path in sorted(root.rglob("*.py")):
        yield from mutants(root, path)
