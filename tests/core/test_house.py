"""Which module imports which: without a circle, and only along the arrows of the design."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

import samestep

ROOT = Path(samestep.__file__).parent
FRAMEWORKS = {"torch", "lightning", "pytorch_lightning", "lightning_fabric", "keras", "tensorflow", "jax", "tf_keras"}

# A room imports of the rooms on the levels below its own, and nothing of those beside it.
LEVELS = [{"cli"}, {"parity", "port", "files"}, {"lightning", "keras"}, {"torch", "exchange"}, {"core"}, {""}]
CORE = ["callbacks", "checkpoints", "policies", "recipes", "specs", "schedules", "arguments", ""]
FOREIGN = {  # what a room may import of the frameworks
    "core": set(),
    "exchange": set(),
    "torch": {"torch"},
    "lightning": {"torch", "lightning", "pytorch_lightning", "lightning_fabric"},
    "keras": FRAMEWORKS - {"lightning", "pytorch_lightning", "lightning_fabric"},
}


class Import(NamedTuple):
    """An import of a module in a file: "core.specs.spec", or "torch" of another package; and where it stands."""

    name: str
    own: bool
    line: int
    when_loaded: bool


def name_of(path: Path) -> str:
    """A module by its name within the package; a package is its `__init__`, and the package itself ""."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def files() -> dict[str, Path]:
    return {name_of(path): path for path in sorted(ROOT.rglob("*.py"))}


def module_of(name: str) -> str:
    """The module of a name, or the one that has it as an attribute."""
    return name if name in files() else name.rpartition(".")[0]


def imported(name: str, path: Path, node: ast.AST) -> Iterator[tuple[str, bool]]:
    """What a statement or a call imports, and whether it is of this package."""
    package = f"samestep.{name}".rstrip(".").split(".")
    package = package if path.name == "__init__.py" else package[:-1]
    match node:
        case ast.Import():
            found = [alias.name for alias in node.names]
        case ast.ImportFrom():
            base = ".".join([*package[: len(package) - node.level + 1], *([node.module] if node.module else [])])
            base = base if node.level else node.module or ""
            found = [f"{base}.{alias.name}" for alias in node.names]
        case ast.Call(func=ast.Name("import_module") | ast.Attribute(attr="import_module") | ast.Name("__import__")):
            text = node.args[0] if node.args else None
            if not (isinstance(text, ast.Constant) and isinstance(text.value, str)):
                return
            level = len(text.value) - len(text.value.lstrip("."))
            found = [".".join([*package[: len(package) - level + 1], text.value.lstrip(".")]) if level else text.value]
        case _:
            return
    for each in found:
        top, _, rest = each.partition(".")
        yield (module_of(rest), True) if top == "samestep" else (top, False)


def walked(node: ast.AST, when_loaded: bool = True) -> Iterator[tuple[ast.AST, bool]]:
    """All nodes of a tree, and whether they are run when the module is loaded, whatever it is loaded for."""
    for child in ast.iter_child_nodes(node):
        deferred = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        # `if TYPE_CHECKING:` is never run, and `if backend() == "torch":` for that backend.
        conditional = isinstance(child, ast.If) and any(
            w in ast.unparse(child.test) for w in ("TYPE_CHECKING", "torch")
        )
        yield child, when_loaded
        yield from walked(child, when_loaded and not deferred and not conditional)


@cache
def imports_of(name: str) -> tuple[Import, ...]:
    path = files()[name]
    return tuple(
        Import(found, own, getattr(node, "lineno", 0), when_loaded)
        for node, when_loaded in walked(ast.parse(path.read_text(encoding="utf-8")))
        for found, own in imported(name, path, node)
    )


def room(name: str) -> str:
    return name.partition(".")[0]


def level(name: str) -> int:
    return next((number for number, rooms in enumerate(LEVELS) if room(name) in rooms), -1)


def told(arrows: Iterable[tuple[str, Import]]) -> str:
    return "\n".join(f"{name}:{each.line} imports {each.name}" for name, each in arrows)


def arrows(of: str | None = None, own: bool = True) -> list[tuple[str, Import]]:
    """All imports, of one room or of all of them."""
    found = [(name, each) for name in files() for each in imports_of(name) if each.own is own]
    return [(name, each) for name, each in found if of is None or room(name) == of]


ROOMS = sorted({room(name) for name in files()} - {""})


def test_the_imports_are_found() -> None:
    """So that no arrow that is not there means something."""
    assert len(files()) > 60
    assert len(arrows("core")) > 100
    own = {each.name for each in imports_of("core.policies.plateau_policy")}
    assert {"core.policies.plateau", "core.policies.policy", "core.schedules.clock"} <= own
    assert {each.name for each in imports_of("core.recipes.plan") if each.own} >= {"core.recipes.lint"}
    program = """
from __future__ import annotations
import samestep.core.specs
from ..torch import optimizers
def f():
    from .. import lightning
    import_module("..exchange.files", __package__)
if TYPE_CHECKING:
    from samestep.core.specs.adamw import AdamW
class C:
    import numpy
"""
    found = [
        (*each, when_loaded)
        for node, when_loaded in walked(ast.parse(program))
        for each in imported("keras.models", ROOT / "keras" / "models.py", node)
    ]
    assert sorted(found) == [
        ("__future__", False, True),
        ("core.specs", True, True),
        ("core.specs.adamw", True, False),
        ("exchange.files", True, False),
        ("lightning", True, False),
        ("numpy", False, True),
        ("torch.optimizers", True, True) if "torch.optimizers" in files() else ("torch", True, True),
    ]


def test_every_room_has_its_place() -> None:
    assert {*ROOMS} <= set().union(*LEVELS)


@pytest.mark.parametrize("of", ROOMS)
def test_what_a_room_imports_is_there(of: str) -> None:
    assert told((name, each) for name, each in arrows(of) if each.name not in files()) == ""


@pytest.mark.parametrize("of", ROOMS)
def test_no_module_imports_itself_by_way_of_others(of: str) -> None:
    """Between rooms there is no circle where each imports those below it."""
    graph = {name: {each.name for each in imports_of(name) if each.own} - {""} for name in files() if room(name) == of}
    assert [name for name, after in graph.items() if name in after] == []
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


@pytest.mark.parametrize("of", ROOMS)
def test_a_room_imports_those_below_it(of: str) -> None:
    assert told((n, each) for n, each in arrows(of) if room(each.name) != of and level(each.name) <= level(of)) == ""


def test_the_rooms_of_the_core_import_those_below_them() -> None:
    def place(name: str) -> int:
        inner = name.split(".")[1:]
        return CORE.index(inner[0] if inner and f"core.{inner[0]}" in {*PACKAGES} else "")

    assert {name.split(".")[1] for name in PACKAGES} == {*CORE} - {""}
    assert told((name, each) for name, each in arrows("core") if place(each.name) < place(name)) == ""


PACKAGES = [name for name, path in files().items() if path.name == "__init__.py" and name.startswith("core.")]


def test_the_core_imports_the_standard_library() -> None:
    assert told((name, each) for name, each in arrows("core", False) if each.name not in sys.stdlib_module_names) == ""


@pytest.mark.parametrize("of", [name for name in ROOMS if name in FOREIGN])
def test_a_room_imports_no_framework_that_is_not_its_own(of: str) -> None:
    foreign = FRAMEWORKS - FOREIGN[of]
    assert told((name, each) for name, each in arrows(of, False) if each.name in foreign) == ""


def test_keras_imports_what_is_torch_s_on_its_torch_backend_only() -> None:
    """No module that is loaded with `samestep.keras` imports torch or `samestep.torch` when it is loaded."""
    loaded, new = set[str](), {"keras"}
    while new:
        loaded |= new
        new = {each.name for name in new for each in imports_of(name) if each.own and each.when_loaded} - loaded
    found = [(name, each) for name in sorted(loaded) for each in imports_of(name) if each.when_loaded]
    assert told((name, each) for name, each in found if room(each.name) == "torch") == ""
    assert {room(name) for name in loaded} <= {"keras", "exchange", "core", ""}


TRAINED = """
import sys
import keras
import numpy as np
from samestep import AdamW, Recipe, Warmup
from samestep.keras import HyperparameterScheduler, ReduceOnPlateau, TraceRecorder, build_optimizer, describe_parameters
model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
recipe = Recipe(AdamW(0.5, clipnorm=1.0), learning_rate=Warmup("2 updates"))
model.compile(build_optimizer(recipe, model), "mse")
callbacks = [HyperparameterScheduler(recipe, verify=True), ReduceOnPlateau("loss"), recorder := TraceRecorder()]
model.fit(np.ones((4, 2)), np.ones((4, 1)), batch_size=1, epochs=2, verbose=0, callbacks=callbacks)
describe_parameters(recipe.optimizer, model)
print(len(recorder.trace), sorted(name for name in sys.modules if name == "torch" or name.startswith("samestep.torch")))
"""


@pytest.mark.parametrize("backend", ["jax", "tensorflow"])
def test_nothing_of_torch_is_loaded_where_keras_trains_on_another_backend(backend: str) -> None:
    """Nor by what is imported inside functions."""
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, "-c", TRAINED], env=environment, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1:] == ["8 []"], done.stderr
